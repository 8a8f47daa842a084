package schema_test

import (
	"math/rand/v2"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
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

// TestVerdictsOnEveryExample takes every example of both specifications, or those of this repository.
func TestVerdictsOnEveryExample(t *testing.T) {
	oracles := schema.Oracles(t)[:1] // the best one: no event is judged by the tables themselves
	v := verdicts{t: t}
	events := 0
	for i, e := range specs.Examples(t) {
		if i%schema.EveryNth != 0 {
			continue
		}
		events++
		v.on(e.Name, i, 12, oracles, e.JSON)
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
