package translator_test

import (
	"flag"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
)

// rapidChooser lets rapid choose, so that it can make a failing stream smaller.
type rapidChooser struct{ rt *rapid.T }

func (c rapidChooser) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(c.rt, "choice") }

// TestLaws holds our translator to every law with random streams of any types and versions of a protocol.
func TestLaws(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	defer func() { _ = checks.Value.Set(before) }()
	if err := checks.Value.Set(strconv.Itoa(streams)); err != nil {
		t.Fatal(err)
	}
	protocols := map[string][]*schema.Schema{}
	for _, s := range generate.Schemas() {
		name := "Eiffel"
		if s.SpecVersions() != nil {
			name = "CDEvents"
		}
		protocols[name] = append(protocols[name], s)
	}
	for name, schemas := range protocols {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				w := generate.NewWriter(rapidChooser{rt})
				c := translator.Case{Name: "random stream"}
				for range rapid.IntRange(1, 6).Draw(rt, "events") {
					s := rapid.SampledFrom(schemas).Draw(rt, "schema")
					mode := rapid.SampledFrom([]generate.Mode{generate.Minimal, generate.Full, generate.Random, generate.Random}).Draw(rt, "mode")
					c.Events = append(c.Events, w.Event(s, mode))
				}
				report, err := translator.Test(t.Context(), ours, translator.Options{Cases: []translator.Case{c}})
				if err != nil {
					rt.Fatal(err)
				}
				for _, f := range report.Findings {
					rt.Errorf("%v\n%s", f, c.Events[f.Event])
				}
			})
		})
	}
}
