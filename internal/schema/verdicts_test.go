package schema_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
)

// verdicts compares the verdicts of the tables and of the schemas behind them.
type verdicts struct {
	t              *testing.T
	fields         int // values of the events, each of which was mutated
	valid, invalid int // what the schemas say of the mutations
}

// on mutates one event, whose name is for people, in every field.
func (v *verdicts) on(name string, n, share int, oracles []*schema.Oracle, text []byte) {
	d := schema.MustParse(v.t, text)
	s, err := schema.SchemaOf(d)
	if err != nil {
		v.t.Fatalf("%s: %v", name, err)
	}
	if s.Lenient() {
		v.t.Fatalf("%s: its version is not known", name)
	}
	judge, real := schema.Judge(v.t, oracles, s)
	check := func(text []byte) {
		ok, err := schema.Compare(s, real, text)
		if err != nil {
			v.t.Errorf("%s, judged by %s: %v", name, judge, err)
		}
		if ok {
			v.valid++
		} else {
			v.invalid++
		}
	}
	check(d.Bytes())
	if v.invalid+v.valid == 0 {
		v.t.Fatalf("%s was not judged", name)
	}
	v.fields += d.Len()
	schema.Mutations(d, n*share, share, check)
}

func (v *verdicts) report(events int) {
	v.t.Helper()
	v.t.Logf("%d events, %d fields, %d comparisons: %d valid, %d invalid", events, v.fields, v.valid+v.invalid, v.valid, v.invalid)
	if v.valid == 0 || v.invalid == 0 {
		v.t.Error("the comparisons are all of one verdict")
	}
}

// TestVerdictsOnEveryExample takes every example of both specifications.
func TestVerdictsOnEveryExample(t *testing.T) {
	specs := schema.NeedSpecs(t)
	oracles := schema.Oracles(t)[:1] // the specifications themselves
	v := verdicts{t: t}
	events := 0
	for _, pattern := range []string{"cdevents/*/conformance/*.json", "eiffel/examples/events/*/*.json"} {
		files, err := filepath.Glob(filepath.Join(specs, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for i, file := range files {
			if i%schema.EveryNth != 0 {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			events++
			v.on(strings.TrimPrefix(file, specs), i, 12, oracles, text)
		}
	}
	v.report(events)
}

// TestVerdictsOnGeneratedEvents takes a full event of every type and version.
func TestVerdictsOnGeneratedEvents(t *testing.T) {
	oracles := schema.Oracles(t)
	v := verdicts{t: t}
	events := 0
	for i, s := range generate.Schemas() {
		if i%schema.EveryNth != 0 {
			continue
		}
		events++
		w := generate.NewWriter(rand.New(rand.NewPCG(uint64(i), 1)))
		v.on(s.Type()+" "+s.Version(), i, 3, oracles, w.Event(s, generate.Full))
	}
	v.report(events)
}
