package translate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// far is a ledger that is not known to be in memory. It counts how often it is taught, and fails when it is told to.
type far struct {
	ledger.Ledger
	taught atomic.Int32
	fail   error
}

func (f *far) Apply(ctx context.Context, facts []ledger.Fact) error {
	f.taught.Add(1)
	if f.fail != nil {
		return f.fail
	}
	return f.Ledger.Apply(ctx, facts)
}

// learned is all that a ledger has.
func learned(t *testing.T, store ledger.Ledger) string {
	t.Helper()
	var b bytes.Buffer
	for _, kind := range ledger.FactKinds() {
		err := store.Scan(context.Background(), kind, func(key string, record []byte) error {
			_, err := fmt.Fprintf(&b, "%s %s %x\n", kind, key, record)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// TestBatches translates events in batches of several sizes, some of them twice and one that is no event: each becomes what it
// becomes alone, and the ledger is the same.
func TestBatches(t *testing.T) {
	ctx := context.Background()
	events := manyEvents(t)
	events = append(append(events, "{}"), events...) // the second time all are redeliveries
	for name, settings := range determined {
		engine := newEngine(t, settings)
		one := fresh(engine)
		var want []string
		for _, text := range events {
			want = append(want, outcome(one.Translate(ctx, []byte(text))))
		}
		state := learned(t, one.Ledger())
		for _, size := range []int{1, 7, 64, len(events)} {
			away := &far{Ledger: translate.NewMemoryLedger()}
			for _, store := range []ledger.Ledger{translate.NewMemoryLedger(), away} {
				s := translate.NewSession(engine, store)
				at, batches := 0, 0
				for from := 0; from < len(events); from += size {
					var texts [][]byte
					for _, text := range events[from:min(from+size, len(events))] {
						texts = append(texts, []byte(text))
					}
					out, err := s.TranslateBatch(ctx, texts)
					if err != nil || len(out) != len(texts) {
						t.Fatalf("%s: %d outcomes of %d events: %v", name, len(out), len(texts), err)
					}
					for _, o := range out {
						if got := outcome(o.Result, o.Err); got != want[at] {
							t.Fatalf("%s, batches of %d, event %d became\n%s\nwant\n%s", name, size, at, got, want[at])
						}
						at++
					}
					batches++
				}
				if got := learned(t, store); got != state {
					t.Fatalf("%s, batches of %d: the ledger has\n%s\nwant\n%s", name, size, got, state)
				}
				if store == ledger.Ledger(away) && int(away.taught.Load()) > batches {
					t.Errorf("%s: the ledger was taught %d times by %d batches", name, away.taught.Load(), batches)
				}
			}
		}
	}
}

// TestBatchFails: a ledger that fails at the end of a batch has learned nothing, and there are no outcomes.
func TestBatchFails(t *testing.T) {
	ctx := context.Background()
	away := &far{Ledger: translate.NewMemoryLedger(), fail: errors.New("disk full")}
	s := translate.NewSession(newEngine(t, translate.Settings{}), away)
	var batch [][]byte
	for _, text := range life(t) {
		batch = append(batch, []byte(text))
	}
	out, err := s.TranslateBatch(ctx, batch)
	if !errors.Is(err, away.fail) || len(out) > 0 || learned(t, away.Ledger) != "" {
		t.Fatalf("%d outcomes, error %v, the ledger has %q", len(out), err, learned(t, away.Ledger))
	}
	away.fail = nil
	again, err := s.TranslateBatch(ctx, batch)
	if err != nil || len(again) != len(batch) {
		t.Fatalf("%d outcomes: %v", len(again), err)
	}
}

// TestChosenReason: why a link was left out is told again when the event comes again, by what was chosen.
func TestChosenReason(t *testing.T) {
	const (
		environment = `{"meta":{"id":"11111111-1111-4111-8111-111111111111","type":"EiffelEnvironmentDefinedEvent","version":"3.3.0","time":1,"source":{"uri":"https://k8s.example.com"}},"data":{"name":"prod"},"links":[]}`
		deployed    = `{"context":{"specversion":"0.5.1","id":"22222222-2222-4222-8222-222222222222","source":"https://ci.example.com","type":"dev.cdevents.service.deployed.0.3.0","timestamp":"2026-03-20T08:40:00Z","links":[{"linkType":"RELATION","linkKind":"CONFIGURATION","target":{"contextId":"11111111-1111-4111-8111-111111111111"}}]},"subject":{"id":"shop","content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop@1.0.0"}}}`
	)
	s := newSession(t, translate.Settings{})
	through(t, s, environment)
	for range 2 {
		result := through(t, s, deployed)
		found := false
		for _, l := range result.Losses {
			found = found || l.Pointer == "/context/links/0" && l.Reason == "illegal_link_target"
		}
		if !found {
			t.Errorf("the losses are %+v", result.Losses)
		}
	}
}
