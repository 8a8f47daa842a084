//go:build !race

// The race detector allocates as well, so that this is for tests without it; `make test` has both.

package translate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/steady"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// allocations are those of one event in a stream of its like, with the original carried. When they change, the test prints
// the table as it should be.
var allocations = []struct {
	name                     string
	decode, translate, apply int
}{
	{"service.deployed", 3, 8, 0},
	{"EiffelArtifactDeployedEvent", 3, 11, 0},
	{"change.created", 3, 14, 0},
	{"artifact.packaged", 3, 16, 5},
	{"pipelinerun.started", 3, 10, 6},
	{"testcaserun.finished", 3, 14, 11},
	{"EiffelActivityTriggeredEvent", 3, 11, 0},
	{"EiffelArtifactCreatedEvent", 3, 26, 5},
	{"EiffelConfidenceLevelModifiedEvent", 3, 9, 0},
	{"EiffelTestCaseFinishedEvent", 3, 16, 11},
}

// TestAllocations counts the allocations of decoding, translating and applying, each for itself.
func TestAllocations(t *testing.T) {
	types, err := steady.Types()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := translate.New(translate.Settings{Returning: translate.ReturningDrop})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	differs := false
	for _, want := range allocations {
		at := slices.IndexFunc(types, func(typ steady.Type) bool { return typ.Name == want.name })
		if at < 0 {
			t.Fatalf("there is no event of type %s", want.name)
		}
		got := want
		got.decode, got.translate, got.apply = allocationsOf(t, engine, types[at])
		differs = differs || got != want
		fmt.Fprintf(&table, "\t{%q, %d, %d, %d},\n", got.name, got.decode, got.translate, got.apply)
	}
	if differs {
		t.Errorf("the allocations are not those of the table, which should be\n%s", table.String())
	}
}

func allocationsOf(t *testing.T, engine *translate.Engine, typ steady.Type) (decode, ask, apply int) {
	t.Helper()
	const runs = 200
	s, err := steady.New(engine, typ, runs+1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, ledger := context.Background(), s.Session.Ledger()
	texts := make([][]byte, runs+1) // AllocsPerRun runs once more than it counts
	for i := range texts {
		texts[i] = s.Text()
	}
	events := make([]translate.Event, len(texts))
	results := make([]translate.Result, len(texts))
	count := func(work func(i int) error) int {
		i := 0
		return int(testing.AllocsPerRun(runs, func() {
			if err := work(i); err != nil {
				t.Fatal(err)
			}
			i++
		}))
	}
	// A session adds nothing to that.
	for i := range 5 {
		if _, err := s.Session.Translate(ctx, texts[i]); err != nil {
			t.Fatal(err)
		}
	}
	whole := count(func(i int) error { _, err := s.Session.Translate(ctx, texts[i]); return err })
	defer func() {
		if parts := decode + ask + apply; whole > parts {
			t.Errorf("%s: a session needs %d allocations for an event, and its parts %d", typ.Name, whole, parts)
		}
	}()
	if s, err = steady.New(engine, typ, runs+1); err != nil {
		t.Fatal(err)
	}
	ledger = s.Session.Ledger()
	decode = count(func(i int) (err error) { events[i], err = translate.Decode(texts[i]); return err })
	ask = count(func(i int) (err error) { results[i], err = translate.Ask(ctx, engine, ledger, events[i]); return err })
	apply = count(func(i int) error { return ledger.Apply(ctx, results[i].Learned) })
	return decode, ask, apply
}
