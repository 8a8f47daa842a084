package ce_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ce"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func open(t testing.TB) *translate.Session {
	t.Helper()
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// TestEverything translates the examples of both protocols: each becomes what it becomes as bytes, in valid CloudEvents that survive
// their JSON form, with the attributes that the events have themselves.
func TestEverything(t *testing.T) {
	n := 0
	for _, story := range []func() ([]events.Example, error){events.CDEvents, events.Eiffel} {
		all, err := story()
		if err != nil {
			t.Fatal(err)
		}
		as, plain := open(t), open(t)
		for _, e := range all {
			in := cloudevents.NewEvent()
			in.SetExtension("traceparent", "00-1-2-03")
			if err := in.SetData(cloudevents.ApplicationJSON, []byte(e.JSON)); err != nil {
				t.Fatal(err)
			}
			got, err := ce.Translate(t.Context(), as, in)
			if err != nil {
				t.Fatalf("%s: %v", e.File, err)
			}
			want, err := plain.Translate(t.Context(), e.JSON)
			if err != nil || len(got) != len(want.Events) {
				t.Fatalf("%s became %d CloudEvents and %d events, %v", e.File, len(got), len(want.Events), err)
			}
			for i, out := range got {
				n++
				w := want.Events[i]
				if err := out.Validate(); err != nil {
					t.Errorf("%s, output %d: %v", e.File, i, err)
				}
				ceType := w.Type
				if w.Protocol == translate.Eiffel {
					ceType = "io.github.eiffel-community." + w.Type
				}
				if out.ID() != w.ID || out.Source() != w.Source || out.Subject() != w.Subject || out.Type() != ceType || out.Time().UnixMilli() != w.Time ||
					out.DataSchema() != w.Schema || out.Extensions()["traceparent"] != "00-1-2-03" || !bytes.Equal(out.Data(), w.JSON) {
					t.Errorf("%s, output %d: %s\nof %s", e.File, i, out, w.JSON)
				}
				text, err := json.Marshal(out)
				if err != nil {
					t.Fatal(err)
				}
				var again cloudevents.Event
				if err := json.Unmarshal(text, &again); err != nil {
					t.Fatal(err)
				}
				if back, err := ce.ToEvent(again); err != nil || back.ID != w.ID || value(t, back.JSON) != value(t, w.JSON) {
					t.Errorf("%s, output %d, %v: from its JSON form comes %s", e.File, i, err, back.JSON)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("there were %d outputs", n)
	}
}

// value is a JSON text in one form, whatever is escaped in it.
func value(t testing.TB, text []byte) string {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestTransaction: nothing is learned before Commit, and never after Rollback.
func TestTransaction(t *testing.T) {
	session := open(t)
	in := cloudevents.NewEvent()
	if err := in.SetData(cloudevents.ApplicationJSON, []byte(deployed)); err != nil {
		t.Fatal(err)
	}
	known := func() (n int) {
		for _, kind := range ledger.FactKinds() {
			if err := session.Ledger().Scan(t.Context(), kind, func(string, []byte) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	for _, commits := range []bool{false, true} {
		tx, err := ce.Begin(t.Context(), session, in)
		if err != nil || len(tx.Events) != 3 || known() != 0 {
			t.Fatalf("%d facts: %v", known(), err)
		}
		if commits {
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		tx.Rollback()
		if (known() > 0) != commits {
			t.Errorf("commit %t: there are %d facts", commits, known())
		}
	}
}

// TestErrors: an event at fault is an *EventError that names it.
func TestErrors(t *testing.T) {
	for name, data := range map[string]string{"no data": "", "no JSON": "{", "no event": "{}"} {
		in := cloudevents.NewEvent()
		in.SetID("the one")
		if err := in.SetData(cloudevents.ApplicationJSON, []byte(data)); err != nil {
			t.Fatal(err)
		}
		var failed *translate.EventError
		if _, err := ce.Begin(context.Background(), open(t), in); !errors.As(err, &failed) || failed.ID != "the one" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ce.Translate(context.Background(), open(t), in); !errors.As(err, &failed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ce.FromEvent(translate.Event{}); err == nil {
		t.Error("no event became a CloudEvent")
	}
}

// TestSchemaThatIsNoURI: Eiffel takes any text for meta.schemaUri, CloudEvents only an absolute URI for dataschema.
func TestSchemaThatIsNoURI(t *testing.T) {
	for schema, want := range map[string]string{
		"https://example.com/s": "https://example.com/s", "urn:s": "urn:s", "foo/bar": "", "not a uri %zz": "", "//host": "", "": "",
	} {
		text := fmt.Sprintf(`{"meta": {"id": "11111111-1111-4111-8111-111111111111", "type": "EiffelEnvironmentDefinedEvent", "version": "3.3.0",
			"time": 1774000000000, "schemaUri": %q}, "data": {"name": "prod"}, "links": []}`, schema)
		event, err := translate.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		out, err := ce.FromEvent(event)
		if err != nil || out.DataSchema() != want {
			t.Errorf("%q: dataschema %q, %v", schema, out.DataSchema(), err)
		}
		// What comes back from the other side names it, too.
		session := open(t)
		there, err := ce.Translate(t.Context(), session, out)
		if err != nil || len(there) != 1 {
			t.Fatalf("%q: %d events, %v", schema, len(there), err)
		}
		if back, err := ce.Translate(t.Context(), session, there[0]); err != nil || len(back) != 1 || back[0].DataSchema() != want {
			t.Errorf("%q: back comes %v, %v", schema, back, err)
		}
	}
}
