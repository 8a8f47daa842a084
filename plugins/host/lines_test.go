package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestHistoriesOfOlderPlugins: a plugin that knows of no ranges sees whole histories, and what it learns is kept like everything
// else.
func TestHistoriesOfOlderPlugins(t *testing.T) {
	p, _ := start(t, "older")
	c := chain(t, p, host.ModeOverride, host.MappingSettings{})
	l := translate.NewMemoryLedger()
	session := translate.NewSession(c, l)
	entries, runs := 0, 0
	for n := range 160 {
		in := event(t, fmt.Sprint(n), fmt.Sprint(n))
		in, err := translate.Decode([]byte(strings.Replace(string(in.JSON), "2026-03-01T09:30:00Z", time.UnixMilli(int64(n)).UTC().Format(time.RFC3339Nano), 1)))
		if err != nil {
			t.Fatal(err)
		}
		saw := func() {
			t.Helper()
			r, err := session.TranslateEvent(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("absent %t, %d entries, %d first runs", entries == 0, entries, runs)
			if !strings.Contains(string(r.Events[0].JSON), want) {
				t.Fatalf("event %d saw %s, want %s", n, r.Events[0].JSON, want)
			}
		}
		saw()
		if entries++; entries > 150 {
			entries = 100
		}
		runs = entries
		if n%5 == 0 {
			saw() // a redelivery, which adds nothing
		}
	}
	h, err := ledger.OpenLine(func(q ledger.Query) []byte {
		records, err := l.Read(t.Context(), []ledger.Query{q})
		if err != nil {
			t.Fatal(err)
		}
		return records[0].Bytes
	}, `["s","x","s","e"]`)
	if err != nil {
		t.Fatal(err)
	}
	whole := h.Whole()
	if facts := h.Recount(nil); len(whole.Entries) != entries || len(whole.FirstRuns) != runs || len(facts) > 0 {
		t.Errorf("%d entries, %d first runs, and to be counted anew: %v", len(whole.Entries), len(whole.FirstRuns), facts)
	}
	if last := whole.Entries[len(whole.Entries)-1]; last.Artifact != "pkg:oci/x@159" {
		t.Errorf("the last entry is %+v", last)
	}
}

// TestDecoratorsForgetNothing: what the bridge forgets is forgotten, be it beyond a decorator that knows of no such thing.
func TestDecoratorsForgetNothing(t *testing.T) {
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, "blunt")
	var ledgers []*ledger.Memory
	for _, tr := range []translate.Translator{engine, chain(t, p, host.ModeDecorate, host.MappingSettings{})} {
		l := translate.NewMemoryLedger()
		session := translate.NewSession(tr, l)
		for n := range 155 {
			text := fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":"%d","source":"s","type":"dev.cdevents.service.deployed.0.3.0","timestamp":%q},"subject":{"id":"shop","content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop@%d"}}}`,
				n, time.UnixMilli(int64(n)).UTC().Format(time.RFC3339Nano), n)
			if _, err := session.Translate(t.Context(), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		ledgers = append(ledgers, l)
	}
	for _, kind := range []ledger.FactKind{ledger.LineFact, ledger.EntryFact, ledger.FirstRunFact} {
		var lists [2][]string
		for i, l := range ledgers {
			if err := l.Scan(t.Context(), kind, func(key string, record []byte) error {
				lists[i] = append(lists[i], fmt.Sprintf("%s %x", key, record))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(lists[0], lists[1]) || kind != ledger.LineFact && len(lists[0]) != 104 {
			t.Errorf("there are %d %s records without the decorator and %d with it, or they differ", len(lists[0]), kind, len(lists[1]))
		}
	}
}
