// Package hostile writes events that cost, or once cost, far more than others of their size: the shapes that somebody sends
// who means harm, and those of their kind that came to nobody's mind yet. Each is made in any size, so that a test can see
// whether its cost grows with the size alone.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Shape is a kind of event.
type Shape struct {
	Name string

	// Event writes an event of about that many bytes, never much more; small sizes may come out larger. Where Past
	// makes the cost, it is small whatever the size.
	Event func(size int) []byte

	// Past writes the events that the ledger has learned from before: those that the event speaks of, or a history that
	// is as long as the size says. Nil: there are none.
	Past func(size int) [][]byte

	// Needs says that the shape is nothing without its past.
	Needs bool

	// Then says what is done with the event.
	Then Then

	// Code is the code with which the translation refuses the event, where that is right; CodeAny stands for any.
	Code string
}

// CodeAny stands for any code of a refusal.
const CodeAny = "*"

// Then says how an event of a shape is put to the translation.
type Then byte

// The ways to put it.
const (
	Once  Then = iota // as it is
	Again             // it was translated before, and comes again
	Back              // what the bridge made of it is translated
)

// Sizes are those in which the shapes are tried. Each of the last two is twice the one before.
func Sizes() []int { return []int{1 << 10, 16 << 10, 64 << 10, 128 << 10, 256 << 10} }

// Shapes are all the shapes, in a fixed order; their names are unique.
func Shapes() []Shape {
	var all []Shape
	all = append(all, cdeventLinks()...)
	all = append(all, cdeventTexts()...)
	all = append(all, cdeventData()...)
	all = append(all, eiffelLinks()...)
	all = append(all, eiffelMarks()...)
	all = append(all, eiffelData()...)
	all = append(all, jsonShapes()...)
	all = append(all, histories()...)
	all = append(all, everyType()...)
	all = append(all, carried(all)...)
	return all
}

// Case is an event of a shape, ready to be translated as often as one likes: translating it teaches the ledger nothing until
// [Case.Apply].
type Case struct {
	Text   []byte
	Ledger ledger.Ledger

	engine *translate.Engine
}

// NewCase is a case of any text, with an empty ledger.
func NewCase(engine *translate.Engine, text []byte) *Case {
	return &Case{Text: text, Ledger: translate.NewMemoryLedger(), engine: engine}
}

// ErrNoCase says that a shape comes to nothing with these settings: there is no output that could come back.
var ErrNoCase = errors.New("the shape comes to nothing with these settings")

// Prepare makes a case: with a ledger that has learned from the shape's past, or an empty one.
func (s *Shape) Prepare(engine *translate.Engine, size int, taught bool) (*Case, error) {
	ctx := context.Background()
	c := NewCase(engine, s.Event(size))
	session := translate.NewSession(engine, c.Ledger)
	if taught && s.Past != nil {
		for _, text := range s.Past(size) {
			if _, err := session.Translate(ctx, text); err != nil {
				return nil, fmt.Errorf("the past of %s: %w\n%s", s.Name, err, short(text))
			}
		}
	}
	switch s.Then {
	case Again:
		if _, err := session.Translate(ctx, c.Text); err != nil {
			return nil, fmt.Errorf("%s, the first time: %w", s.Name, err)
		}
	case Back:
		other := session
		if !taught {
			other = translate.NewSession(engine, translate.NewMemoryLedger()) // it comes from another bridge
		}
		r, err := other.Translate(ctx, c.Text)
		main, ok := r.Main()
		if err != nil || !ok {
			return nil, ErrNoCase
		}
		c.Text = main.JSON
	}
	return c, nil
}

// Decode reads the event. A text that is no event is as good a case as any other: the error is what it costs.
func (c *Case) Decode() (translate.Event, error) { return translate.Decode(c.Text) }

// Translate decodes the event and translates it with what the ledger knows.
func (c *Case) Translate() (translate.Result, error) {
	in, err := c.Decode()
	if err != nil {
		return translate.Result{}, err
	}
	return translate.Ask(context.Background(), c.engine, c.Ledger, in)
}

// Apply teaches the ledger what was learned.
func (c *Case) Apply(r translate.Result) error {
	if len(r.Learned) == 0 {
		return nil
	}
	return c.Ledger.Apply(context.Background(), r.Learned)
}

// Merge does what Apply does but for keeping it, so that it can be done again: each record is merged with what the ledger has.
func (c *Case) Merge(r translate.Result) error {
	queries := make([]ledger.Query, len(r.Learned))
	for i := range r.Learned {
		queries[i] = r.Learned[i].Query
	}
	records, err := c.Ledger.Read(context.Background(), queries)
	if err != nil {
		return err
	}
	merged := map[ledger.Query][]byte{}
	for i, f := range r.Learned {
		old, ok := merged[f.Query]
		if !ok {
			old = records[i].Bytes
		}
		if merged[f.Query], err = ledger.Merge(f.Query.Kind, old, f.Record); err != nil {
			return err
		}
	}
	return nil
}

// CodeOf is the code of a refusal, "" for none. An error of another kind is a fault of the case.
func CodeOf(err error) (code string, refused bool) {
	var e *translate.EventError
	if err == nil || !errors.As(err, &e) {
		return "", err == nil
	}
	return e.Code, true
}

// Variant is a way to translate the shapes.
type Variant struct {
	Name     string
	Settings translate.Settings
}

// Variants are the ways that differ in cost: a library's, one without carrying, and a relay's.
func Variants() []Variant {
	return []Variant{
		{"original", translate.Settings{}},
		{"none", translate.Settings{Carry: translate.CarryNone}},
		{"relay", translate.Settings{Returning: translate.ReturningDrop}},
		{"relay, none", translate.Settings{Returning: translate.ReturningTranslate, Carry: translate.CarryNone}},
	}
}

func short(text []byte) string {
	const most = 500
	if len(text) <= most {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:most]), "") + "..."
}
