package steady

import (
	"bytes"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestTypes has a type for every event type of both protocols, of which as many events can be written and translated as one
// likes.
func TestTypes(t *testing.T) {
	types, err := Types()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	engine, err := translate.New(translate.Settings{Returning: translate.ReturningDrop})
	if err != nil {
		t.Fatal(err)
	}
	for i, typ := range types {
		if have[typ.Name] {
			t.Errorf("%s is there twice", typ.Name)
		}
		have[typ.Name] = true
		if typ.Main != (i < 2) {
			t.Errorf("%s stands at %d and is judged: %t", typ.Name, i, typ.Main)
		}
		if bytes.Equal(typ.Write(1), typ.Write(2)) || len(typ.Write(1)) > 3000 {
			t.Errorf("%s is always the same, or large: %s", typ.Name, typ.Write(1))
		}
		s, err := New(engine, typ, 10)
		if err != nil {
			t.Error(err)
			continue
		}
		for range 20 {
			s.Next()
		}
		if s.Err() != nil {
			t.Errorf("%s: %v", typ.Name, s.Err())
		}
	}
	for _, eiffelType := range schema.EiffelTypes() {
		if _, ok := schema.EditionVersion("Orizaba", eiffelType); ok && !have[eiffelType] {
			t.Errorf("there is no %s", eiffelType)
		}
	}
	for _, full := range schema.CDEventTypes() {
		parts := strings.Split(full, ".")
		if newest, _ := schema.CDEventType("0.5", parts[2], parts[3]); newest == full && !have[parts[2]+"."+parts[3]] {
			t.Errorf("there is no %s", full)
		}
	}
}
