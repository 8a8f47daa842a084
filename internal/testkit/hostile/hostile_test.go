package hostile

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestShapes writes every shape in every size.
func TestShapes(t *testing.T) {
	names := map[string]bool{}
	all := Shapes()
	if len(all) < 100 {
		t.Fatalf("there are %d shapes", len(all))
	}
	for _, s := range all {
		if names[s.Name] {
			t.Errorf("two shapes are named %q", s.Name)
		}
		names[s.Name] = true
		const slack = 30_000 // what is written in pieces may end with a whole one
		for _, size := range Sizes()[1:] {
			if n := len(s.Event(size)); n > size+size/4+slack {
				t.Errorf("%s: %d bytes for %d", s.Name, n, size)
			}
		}
	}
}

// TestCodes holds what becomes of each shape against what should.
func TestCodes(t *testing.T) {
	for _, v := range Variants() {
		engine, err := translate.New(v.Settings)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range Shapes() {
			for _, taught := range []bool{false, true} {
				if taught && s.Past == nil || !taught && s.Needs {
					continue
				}
				c, err := s.Prepare(engine, 16<<10, taught)
				if errors.Is(err, ErrNoCase) {
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", v.Name, err)
					continue
				}
				r, err := c.Translate()
				code, ok := CodeOf(err)
				if !ok || code != s.Code && s.Code != CodeAny {
					t.Errorf("%s, %s: %v, want the code %q", s.Name, v.Name, err, s.Code)
				}
				if s.Code == CodeAny && v.Name == "original" && !taught {
					t.Logf("%s: %s %v", s.Name, code, err)
				}
				if err := c.Apply(r); err != nil {
					t.Errorf("%s, %s: %v", s.Name, v.Name, err)
				}
			}
		}
	}
}

// TestEnlarge makes an event larger wherever it can be, and leaves it JSON.
func TestEnlarge(t *testing.T) {
	event := Ordinary()[0].Event(0)
	larger := map[string]bool{}
	for number := range 60 {
		got := Enlarge(event, number, 5000)
		if len(got) < 4000 || len(got) > 6000 {
			t.Errorf("%d: %d bytes, want about 5000", number, len(got))
		}
		if !json.Valid(got) {
			t.Errorf("%d: no JSON: %s", number, got)
		}
		larger[string(got)] = true
	}
	if len(larger) < 20 {
		t.Errorf("there are %d ways to enlarge an event", len(larger))
	}
	if got := Enlarge([]byte("x"), 0, 5000); string(got) != "x" {
		t.Errorf("what is no JSON became %q", got)
	}
}
