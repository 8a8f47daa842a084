package translate_test

import (
	"context"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestExpired asks of everything that a few streams teach whether it may be forgotten (mapping.md, "What the ledger keeps").
func TestExpired(t *testing.T) {
	s := translate.NewMemoryLedger()
	session := translate.NewSession(newEngine(t, translate.Settings{}), s)
	n := &names{map[string]string{}}
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, line := range []string{
		`pipelinerun.started open {"pipelineName":"x","uri":"https://x.example.com"}`,
		`pipelinerun.queued done {}`,
		`pipelinerun.finished done {}`,
		`change.created merged {}`,
		`change.merged merged {}`,
		`ticket.created t1 {"summary":"s","creator":"c","uri":"u"}`,
		`artifact.packaged pkg:oci/shop@1 {"change":{"id":"merged"}}`,
		`service.deployed shop {"environment":{"id":"prod"},"artifactId":"pkg:oci/shop@1"}`,
		`environment.deleted gone {}`,
	} {
		at = at.Add(time.Minute)
		words, data := splitLine(line)
		through(t, session, inputEvent(t, line, n, at, words, data))
	}
	get := func(q ledger.Query) ([]byte, error) {
		records, err := s.Read(context.Background(), []ledger.Query{q})
		return records[0].Bytes, err
	}
	// With its subject gone, a name goes as well.
	forgotten := func(kind, id string) func(ledger.Query) ([]byte, error) {
		return func(q ledger.Query) ([]byte, error) {
			if parts, _ := ledger.ParseKey(q.Key); q.Kind == ledger.SubjectFact && parts[0] == kind && parts[2] == id {
				return nil, nil
			}
			return get(q)
		}
	}
	const source = `"https://ci.example.com"`
	for _, c := range []struct {
		kind ledger.FactKind
		key  string
		get  func(ledger.Query) ([]byte, error)
		want bool
	}{
		{ledger.SubjectFact, `["pipelinerun",` + source + `,"open"]`, get, false},
		{ledger.SubjectFact, `["pipelinerun",` + source + `,"done"]`, get, true},
		{ledger.SubjectFact, `["change",` + source + `,"merged"]`, get, true},
		{ledger.SubjectFact, `["ticket",` + source + `,"t1"]`, get, false},
		{ledger.SubjectFact, `["artifact","","pkg:oci/shop@1"]`, get, false},
		{ledger.SubjectFact, `["service",` + source + `,"shop"]`, get, false},
		{ledger.SubjectFact, `["environment",` + source + `,"gone"]`, get, false},
		{ledger.NameFact, `["pipelinerun","done"]`, get, false},
		{ledger.NameFact, `["pipelinerun","done"]`, forgotten("pipelinerun", "done"), true},
		{ledger.RunsFact, `[` + source + `,"prod"]`, get, false},
		{ledger.LineFact, `[` + source + `,"shop",` + source + `,"prod"]`, get, false},
	} {
		record, err := get(ledger.Query{Kind: c.kind, Key: c.key})
		if err != nil || record == nil {
			t.Fatalf("%s %s is not there: %v", c.kind, c.key, err)
		}
		got, err := ledger.Expired(c.kind, c.key, record, c.get)
		if err != nil || got != c.want {
			t.Errorf("%s %s: expired is %t (%v)", c.kind, c.key, got, err)
		}
		if got && !ledger.Ages(c.kind) {
			t.Errorf("%s may expire but does not age", c.kind)
		}
	}
	if _, err := ledger.Expired(ledger.SubjectFact, "[]", nil, get); err == nil {
		t.Error("a key with no parts is no error")
	}
}
