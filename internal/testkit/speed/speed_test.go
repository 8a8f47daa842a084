package speed

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fits prints a table, which must fit a screen.
func fits(t *testing.T, table *Table) string {
	t.Helper()
	var text, markdown strings.Builder
	table.Print(&text)
	for line := range strings.Lines(text.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	table.Markdown(&markdown)
	if got := strings.Count(markdown.String(), "\n| "); got != len(table.Rows)+2 {
		t.Errorf("%d rows of markdown, want %d:\n%s", got, len(table.Rows)+2, markdown.String())
	}
	return text.String()
}

// TestTypes measures a few types for a moment: the times say nothing then, but all of the table is there.
func TestTypes(t *testing.T) {
	tables, err := MeasureTypes(TypeOptions{Rounds: 1, Round: time.Millisecond, Only: regexp.MustCompile("^service.deployed$|TestExecutionRecipe|Custom|switchboard")})
	if err != nil {
		t.Fatal(err)
	}
	text := fits(t, tables[0]) + fits(t, tables[1])
	for _, want := range []string{"service.deployed  ", "TestExecutionRecipe", "switchboard", "two goroutines", "a batch of 64", "of 3 types are beyond"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

// TestHostile measures one shape.
func TestHostile(t *testing.T) {
	costs, err := Hostile(HostileOptions{Only: regexp.MustCompile("^many tags$"), Variants: regexp.MustCompile("^none$")})
	if err != nil {
		t.Fatal(err)
	}
	if text := fits(t, HostileTable(costs, true)); !strings.Contains(text, "many tags") {
		t.Errorf("the shape is missing in\n%s", text)
	}
}

func TestMarks(t *testing.T) {
	at := func(times ...float64) *Cost {
		c := &Cost{}
		for _, x := range times {
			c.At = append(c.At, CostAt{Times: x})
		}
		return c
	}
	for _, c := range []struct {
		cost *Cost
		want string
	}{
		{at(9, 1, 1, 1, 1.9), ""},
		{at(1, 1, 1, 1, 2.1), "grows"},
		{at(1, .1, .1, .1, .9), ""}, // as little as that is nothing, even for a larger event
		{at(31, 1, 1, 1, 1), "30x"},
		{at(1, 1, 1, 1, 31), "30x grows"},
	} {
		if got := c.cost.Marks(); got != c.want {
			t.Errorf("%v: marked %q, want %q", c.cost.At, got, c.want)
		}
	}
}

func TestBusiest(t *testing.T) {
	const profile = `      flat  flat%   sum%        cum   cum%
         0     0%     0%      0.90s 90.00%  github.com/eiffelbridge/eiffelbridge/internal/testkit/speed.once
     0.05s  5.00%  5.00%      0.85s 85.00%  github.com/eiffelbridge/eiffelbridge/translate.(*account).lose
     0.10s 10.00% 15.00%      0.70s 70.00%  github.com/eiffelbridge/eiffelbridge/internal/jsondoc.Value.AppendPointer
     0.60s 60.00% 75.00%      0.60s 60.00%  runtime.memmove
     0.01s  1.00% 76.00%      0.02s  2.00%  github.com/eiffelbridge/eiffelbridge/translate.Decode (inline)
`
	if got, want := busiest([]byte(profile)), "internal/jsondoc.Value.AppendPointer 70%; itself runtime.memmove 60%"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestWriteEvents writes a file of as many events as it should have, a line each.
func TestWriteEvents(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.jsonl")
	size, err := writeEvents(file, 300)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if len(lines) != 300 || int64(len(text)) != size {
		t.Errorf("%d lines, %d bytes; want 300, %d", len(lines), len(text), size)
	}
	for _, line := range lines {
		if !json.Valid(line) {
			t.Errorf("no JSON: %s", line)
		}
	}
}
