// Package compose joins translators: one that stands in where another has no mapping, one that goes before another, an edit of
// what one made.
package compose

import (
	"errors"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Decorator edits what a translator made of an event. Like a translator it is deterministic, is safe for concurrent use,
// and does not change its arguments. It may set [translate.Result.Need] to ask the ledger; it is then called again, with the
// answers. An error is of type *[translate.EventError].
type Decorator func(in translate.Event, made translate.Result, facts *ledger.Facts) (translate.Result, error)

// Fallback joins two translators: the second is asked about an event for which the first says [translate.CodeNoMapping].
func Fallback(first, second translate.Translator) translate.Translator {
	return fallback{first, second}
}

// Override joins two translators: over translates what it has a mapping for, base the rest. Base is asked first all the same
// and has the word about events that came round, so that what over makes cannot go in a circle.
func Override(base, over translate.Translator) translate.Translator { return override{base, over} }

// Decorate joins a translator and an edit of its results. The edit is not asked while the translator has questions, and
// not about events that came round.
func Decorate(base translate.Translator, edit Decorator) translate.Translator {
	return decorated{base, edit}
}

type fallback struct{ first, second translate.Translator }

// Translate implements [translate.Translator].
func (f fallback) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	result, err := f.first.Translate(in, facts)
	var e *translate.EventError
	if errors.As(err, &e) && e.Code == translate.CodeNoMapping {
		return f.second.Translate(in, facts)
	}
	return result, err
}

type override struct{ base, over translate.Translator }

// Translate implements [translate.Translator].
func (o override) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	made, failed := o.base.Translate(in, facts)
	if failed == nil && (len(made.Need) > 0 || made.Returning != "") {
		return made, nil
	}
	result, err := o.over.Translate(in, facts)
	var e *translate.EventError
	if errors.As(err, &e) && e.Code == translate.CodeNoMapping {
		return made, failed
	}
	return result, err
}

type decorated struct {
	base translate.Translator
	edit Decorator
}

// Translate implements [translate.Translator].
func (d decorated) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	made, err := d.base.Translate(in, facts)
	if err != nil || len(made.Need) > 0 || made.Returning != "" {
		return made, err
	}
	return d.edit(in, made, facts)
}
