package translate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestUnknownTypes translates events of types that no specification has: they go to the rows for all others, or are
// refused as invalid input. Never is the translation itself to blame.
func TestUnknownTypes(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	for _, text := range []string{
		`{"meta":{"id":"00000000-0000-4000-8000-000000000901","type":"EiffelFooBarEvent","version":"1.0.0","time":1.5},"data":{},"links":[]}`,
		`{"meta":{"id":"00000000-0000-4000-8000-000000000901","type":"EiffelFooBarEvent","version":"1.0.0","time":5},"data":{},"links":[{}]}`,
		`{"meta":{"id":"00000000-0000-4000-8000-000000000901","type":"EiffelFooBarEvent","version":"1.0.0","time":5},"data":{},"links":["x",{"type":1,"target":2}]}`,
		`{"meta":{"id":"00000000-0000-4000-8000-000000000901","type":"x","version":"1.0.0","time":5,"source":{"uri":"%zz \u0000"}},"data":{},"links":[]}`,
		`{"meta":{"id":"00000000-0000-4000-8000-000000000901","type":"EiffelFooBarEvent","time":5,"source":7},"data":{"customData":7},"links":[]}`,
		`{"meta":{"id":"00000000-0000-4000-8000-000000000901","type":"EiffelFooBarEvent","time":5},"data":{"customData":[{"key":"cdevents","value":1},7]},"links":[]}`,
		`{"meta":{"id":"00000000-0000-4000-8000-000000000901","type":"EiffelÉEvent","time":5},"data":{},"links":[]}`,
		`{"context":{"id":"x","source":"s","type":"t","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"x","content":{}}}`,
		`{"context":{"id":"x","source":"s","type":"t","timestamp":"2026-03-01T09:30:00Z","links":7,"chainId":7},"subject":{"id":"x","source":7,"content":{"description":""}},"customData":[]}`,
		`{"context":{"id":"x","source":"a b\\c","type":"..","timestamp":"2026-03-01T09:30:00Z","links":[{},7,{"linkType":"RELATION"},{"linkType":"RELATION","linkKind":"X","target":{"contextId":"y"}}]},"subject":{"id":"x","content":{}},"customData":7}`,
	} {
		r, err := fresh(engine).Translate(context.Background(), []byte(text))
		var e *translate.EventError
		if errors.As(err, &e) {

			if e.Code == translate.CodeInvalidOutput {
				t.Errorf("%v\n%s", err, text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v is no *EventError", err)
			continue
		}
		for _, out := range r.Events {
			checkValid(t, out)
			if back := only(t, through(t, fresh(engine), string(out.JSON))); string(back.JSON) != compact(t, text) {
				t.Errorf("given back\n%s\nwant\n%s", back.JSON, text)
			}
		}
	}
}
