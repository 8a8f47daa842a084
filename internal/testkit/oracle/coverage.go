package oracle

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Coverage counts what the events of a corpus met in the engine: the rows of the catalogue, the reasons of losses, the
// codes of diagnostics and errors, what was missing, and what became of events that came round.
type Coverage struct {
	counts map[string]map[string]int
}

// The tables of the coverage, in the order in which they are printed, and where the values stand in a driver's line.
var tables = []struct{ name, before string }{
	{"error", `,"error":{"n":0,"code":"`},
	{"other error", `,"error":{"n":0,"other":"`},
	{"loss", `,"reason":"`},
	{"diagnostic", `{"n":N,"code":"`},
	{"missing", `,"want":"`},
	{"returning", `,"returning":"`},
	{"row", `,"row":"`},
}

// NewCoverage returns an empty count of what there is to meet: 0 stands for what was not met.
func NewCoverage(known map[string][]string) *Coverage {
	c := &Coverage{counts: map[string]map[string]int{}}
	for _, t := range tables {
		c.counts[t.name] = map[string]int{}
	}
	for table, names := range known {
		for _, name := range names {
			c.counts[table][name] = 0
		}
	}
	return c
}

// line counts one line of a driver.
func (c *Coverage) line(l []byte) {
	for _, t := range tables {
		counts := c.counts[t.name]
		if t.name == "diagnostic" {
			_, rest, found := bytes.Cut(l, []byte(`,"diagnostics":[`))
			for found {
				var value string
				value, rest, found = next(rest, `,"code":"`)
				if found {
					counts[value]++
				}
			}
			continue
		}
		rest, found := l, true
		for found {
			var value string
			value, rest, found = next(rest, t.before)
			if found {
				counts[value]++
			}
		}
	}
}

// next finds the next text that stands behind something.
func next(l []byte, before string) (value string, rest []byte, found bool) {
	_, rest, found = bytes.Cut(l, []byte(before))
	if !found {
		return "", nil, false
	}
	end := 0
	for end < len(rest) && rest[end] != '"' {
		if rest[end] == '\\' {
			end++
		}
		end++
	}
	return string(rest[:min(end, len(rest))]), rest[min(end, len(rest)):], true
}

// Print writes the tables.
func (c *Coverage) Print(w io.Writer) {
	for _, t := range tables {
		counts := c.counts[t.name]
		if len(counts) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", t.name)
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			shown := name
			if shown == "" {
				shown = "(none)"
			}
			fmt.Fprintf(w, "%9d  %s\n", counts[name], shorten(shown, 150))
		}
	}
	fmt.Fprintln(w)
}
