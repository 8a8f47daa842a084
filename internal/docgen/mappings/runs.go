package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// told is what became of an event of a story, in the state that the ledger had by then.
type told struct {
	example  events.Example
	event    translate.Event
	result   translate.Result
	problem  *translate.EventError // the event has no translation with these settings
	returned []translate.Event     // the outputs, translated back in the order of the story with another ledger
}

// tell translates a story, in order, by one session, and back by another.
func tell(story []events.Example, settings translate.Settings) ([]told, error) {
	settings.Version = "0.1.0"
	engine, err := translate.New(settings)
	if err != nil {
		return nil, err
	}
	there := translate.NewSession(engine, translate.NewMemoryLedger())
	back := translate.NewSession(engine, translate.NewMemoryLedger())
	var out []told
	for _, e := range story {
		t := told{example: e}
		if t.event, err = translate.Decode(e.JSON); err != nil {
			return nil, fmt.Errorf("%s: %w", e.File, err)
		}
		t.result, err = there.TranslateEvent(context.Background(), t.event)
		if err != nil && !errors.As(err, &t.problem) {
			return nil, fmt.Errorf("%s: %w", e.File, err)
		}
		for _, made := range t.result.Events {
			again, err := back.TranslateEvent(context.Background(), made)
			var problem *translate.EventError
			if err != nil && !errors.As(err, &problem) {
				return nil, fmt.Errorf("%s, translated back: %w", e.File, err)
			}
			t.returned = append(t.returned, again.Events...)
		}
		out = append(out, t)
	}
	return out, nil
}

// main is the event that the input itself became, nil if there is none.
func (t *told) main() *translate.Event {
	if main, ok := t.result.Main(); ok {
		return &main
	}
	return nil
}

// difference is a value that did not come back as it was.
type difference struct {
	value jsondoc.Value
	gone  bool // else it is another
}

// differences compares what came back with what it was made from: where it has other values, or none. An array's elements are
// compared as a set, since links come back in another order; times are compared as times.
func differences(before, after jsondoc.Value) []difference {
	switch {
	case !after.Exists():
		return []difference{{before, true}}
	case before.Kind() == jsondoc.Object && after.Kind() == jsondoc.Object:
		var out []difference
		for v := range before.Children() {
			out = append(out, differences(v, after.Get(v.Key()))...)
		}
		return out
	case before.Kind() == jsondoc.Array && after.Kind() == jsondoc.Array:
		have, named := map[string]bool{}, map[string]bool{}
		for v := range after.Children() {
			have[string(v.Raw())], named[nameOf(v)] = true, true
		}
		var out []difference
		for v := range before.Children() {
			if !have[string(v.Raw())] {
				out = append(out, difference{v, !named[nameOf(v)]})
			}
		}
		return out
	case before.Key() == "serializer": // the bridge writes itself
		return nil
	case before.Key() == "timestamp" && sameTime(before.Str(), after.Str()):
		return nil
	case string(before.Raw()) != string(after.Raw()):
		return []difference{{before, false}}
	}
	return nil
}

// nameOf tells an array's elements apart: a link by its type, an entry of custom data by its key.
func nameOf(v jsondoc.Value) string {
	return strings.TrimSpace(v.Get("type").Str() + v.Get("linkType").Str() + v.Get("key").Str() + " " + v.Get("linkKind").Str())
}

func sameTime(a, b string) bool {
	x, err := time.Parse(time.RFC3339, a)
	y, other := time.Parse(time.RFC3339, b)
	return err == nil && other == nil && x.Equal(y)
}
