package accounting

import (
	"fmt"
	"strings"
	"testing"
)

// scrape is what a relay shows, with changes: name{label} to value.
func scrape(changes map[string]int) string {
	values := map[string]int{
		"received_total": 20, "refused_total": 3,
		"settled_total{delivered}": 8, "settled_total{learned}": 2, "settled_total{dropped}": 1, "settled_total{parked}": 2,
		"settled_total{dead_lettered}": 2, "settled_total{joined}": 1, "settled_total{retried}": 4,
		"late_total{parked}": 1, "late_total{dead_lettered}": 1, "late_total{delivered}": 1,
		"unparked_total{delivered}": 1, "unparked_total{dead_lettered}": 1,
		"dead_letters_total{invalid}": 3, "dead_letters_total{panic}": 1,
		"in_flight": 0, "places_used": 0, "parked_total": 3, "parked_found_total": 1, "parked": 2,
		"outputs_total": 12, "synthesized_total": 2, "restored_total": 1, "published_total": 14, "retries_total": 3,
	}
	for name, v := range changes {
		values[name] = v
	}
	var b strings.Builder
	for name, v := range values {
		name, label, ok := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		labels := `relay="r"`
		if ok {
			key := "outcome"
			if name == "dead_letters_total" {
				key = "code"
			}
			labels += fmt.Sprintf(",%s=%q", key, label)
		}
		if v >= 0 {
			fmt.Fprintf(&b, "eiffelbridge_%s{%s} %d\n", name, labels, v)
		}
	}
	return b.String() + "go_goroutines 7\n"
}

func TestCheck(t *testing.T) {
	cases := map[string]struct {
		changes    map[string]int
		idle, busy string // what the errors say; empty: none
	}{
		"adds up":     {},
		"lost":        {map[string]int{"received_total": 21}, "received_total is 21, and settled_total + in_flight is 20", "received_total is 21"},
		"at work":     {map[string]int{"received_total": 21, "in_flight": 1, "places_used": 1}, "in_flight is 1", ""},
		"a place":     {map[string]int{"places_used": 1}, "places_used is 1", ""},
		"not parked":  {map[string]int{"parked": 1}, "parked_total + parked_found_total is 4, and unparked_total + parked is 3", ""},
		"parked":      {map[string]int{"parked_total": 4, "parked": 3}, "parked_total is 4", "parked_total is 4"},
		"a letter":    {map[string]int{"dead_letters_total{panic}": 2}, "dead_letters_total is 5", "dead_letters_total is 5"},
		"synthesized": {map[string]int{"synthesized_total": 13}, "synthesized_total is 13", "synthesized_total is 13"},
		"published":   {map[string]int{"published_total": 11}, "outputs_total is 12", "outputs_total is 12"},
		"missing":     {map[string]int{"retries_total": -1}, "relay r has no eiffelbridge_retries_total", "relay r has no eiffelbridge_retries_total"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text := scrape(c.changes)
			for _, check := range []struct {
				err  error
				want string
			}{{Check(strings.NewReader(text)), c.idle}, {CheckBusy(strings.NewReader(text)), c.busy}} {
				if c, want := check.err, check.want; (c == nil) != (want == "") || c != nil && !strings.Contains(c.Error(), want) {
					t.Errorf("got %v, want %q", c, want)
				}
			}
		})
	}
	relays, err := Read(strings.NewReader(scrape(nil)))
	if err != nil || relays["r"].Accepted() != 16 || relays["r"].Refused != 3 {
		t.Errorf("%+v %v", relays, err)
	}
	for _, text := range []string{"", "go_goroutines 7\n", "{", `eiffelbridge_received_total{relay="r"} 1.5` + "\n"} {
		if err := Check(strings.NewReader(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
