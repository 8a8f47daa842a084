package translate

import "errors"

// Decorator edits what a translator made of an event. Like a translator it is deterministic, is safe for concurrent use,
// and does not change its arguments. It may set [Result.Need] to ask the ledger; it is then called again, with the
// answers. An error is of type *[EventError].
type Decorator func(in Event, made Result, facts *Facts) (Result, error)

// Fallback joins two translators: the second is asked about an event for which the first says [CodeNoMapping].
func Fallback(first, second Translator) Translator { return fallback{first, second} }

// Override joins two translators: over translates what it has a mapping for, base the rest.
func Override(base, over Translator) Translator { return fallback{over, base} }

// Decorate joins a translator and an edit of its results. The edit is not asked while the translator has questions, and
// not about events that came round.
func Decorate(base Translator, edit Decorator) Translator { return decorated{base, edit} }

type fallback struct{ first, second Translator }

// Translate implements [Translator].
func (f fallback) Translate(in Event, facts *Facts) (Result, error) {
	result, err := f.first.Translate(in, facts)
	var e *EventError
	if errors.As(err, &e) && e.Code == CodeNoMapping {
		return f.second.Translate(in, facts)
	}
	return result, err
}

type decorated struct {
	base Translator
	edit Decorator
}

// Translate implements [Translator].
func (d decorated) Translate(in Event, facts *Facts) (Result, error) {
	made, err := d.base.Translate(in, facts)
	if err != nil || len(made.Need) > 0 || made.Returning != NotReturning {
		return made, err
	}
	return d.edit(in, made, facts)
}
