package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// makeField gives a member's value, in either direction; none for a member that is left out. row is the rule of the field's row.
func makeField[T any](t *T, r *run, f *field[T], at *place, subject ledger.SubjectKey, row string) (value, error) {
	root := r.in.doc.Root()
	var needed jsondoc.Value
	if f.needs != nil {
		if needed = root.Follow(f.needs); !needed.Exists() || needed.Kind() == jsondoc.String && needed.Str() == "" {
			return none, nil
		}
	}
	v, err := makeValue(t, r, f, at, subject, row)
	if v.exists() && needed.Exists() && needed.Kind() < jsondoc.Array && !r.isUsed(needed) {
		r.move(needed, at.at, row, OneWay) // it decides
	}
	return v, err
}

func makeValue[T any](t *T, r *run, f *field[T], at *place, subject ledger.SubjectKey, row string) (value, error) {
	root := r.in.doc.Root()
	if f.Value != nil {
		raw, err := r.evaluate(f.Value, subject, at.at, row)
		if err != nil || raw != nil {
			return jsonValue(raw), err
		}
	}
	for i := range f.from {
		o := &f.from[i]
		switch {
		case o.source:
			r.move(jsondoc.Value{}, at.at, row, OneWay)
			return textValue(r.in.Source), nil
		case o.subjectSource:
			if v := root.At("subject", "source"); v.Str() != "" {
				r.move(v, at.at, row, Exact)
			}
			return textValue(subject.Source), nil
		case o.category:
			category := r.g.category(subject.Kind)
			if category == "" {
				continue
			}
			r.move(jsondoc.Value{}, at.at, row, OneWay)
			return jsonValue(append(jsondoc.AppendString([]byte{'['}, category), ']')), nil
		}
		v := root.Follow(o.path)
		if o.custom != "" {
			v = r.customEntry(o.custom).Get("value")
		}
		text := v.Str()
		switch {
		case text == "":
			continue
		case f.Format == "uri" && !isURI(text), f.Format == "uri-reference" && !isURIReference(text):
			r.lose(v, LossNotURI)
			continue
		case f.vocabulary != nil:
			word, known := r.translateWord(f.vocabulary, text, at)
			if known {
				r.move(v, at.at, f.rule, Translated)
			}
			return textOrNone(word), nil
		case !at.Allows(text):
			continue
		}
		fidelity := Exact
		switch {
		case f.OneWay:
			fidelity = OneWay
		case r.explain && r.in.Protocol == CDEvents && (v.Key() == "uri" || v.Key() == "url") && !isURI(text):
			fidelity = OneWay // Eiffel's are free text; those of CDEvents are mostly not
		}
		if o.custom != "" && r.explain {
			row = "custom data " + o.custom
		}
		if at.IsReference() { // the text is the id of what the member refers to
			r.move(v, at.at+"/id", row, fidelity)
			return value{kind: ofReference, text: text}, nil
		}
		r.move(v, at.at, row, fidelity)
		return inputValue(v), nil
	}
	if f.by != nil {
		if v := f.by(t, at); v.exists() {
			r.move(jsondoc.Value{}, at.at, f.rule, OneWay)
			return v, nil
		}
	}
	switch {
	case f.text != nil:
		return textValue(r.makeText(f.text, at, row)), nil
	case f.fixed != nil:
		r.move(jsondoc.Value{}, at.at, row, OneWay)
		return jsonValue(f.fixed), nil
	case f.vocabulary != nil:
		if r.in.Protocol == CDEvents {
			return textOrNone(f.vocabulary.Otherwise.Eiffel), nil
		}
		return textOrNone(f.vocabulary.Otherwise.CDEvents), nil
	}
	return none, nil
}

// translateWord gives the other protocol's word for one of the event's.
func (r *run) translateWord(v *vocabulary, word string, at *place) (translated string, known bool) {
	if r.in.Protocol == CDEvents {
		return v.eiffel(word)
	}
	return v.cdevents(word, at.Enum())
}

// makeText puts members of the event into a text. They move there, unless they have a place of their own.
func (r *run) makeText(parts []textPart, at *place, row string) string {
	text := r.texts.Room(usualText)
	for i := range parts {
		p := &parts[i]
		switch {
		case p.event:
			text = appendHappened(text, r.what)
		case p.path != nil:
			v := r.in.doc.Root().Follow(p.path)
			if !v.Exists() || v.Kind() >= jsondoc.Array {
				continue // no text
			}
			if !r.isUsed(v) {
				r.move(v, at.at, row, OneWay)
			}
			if v.Kind() == jsondoc.String {
				text = append(text, v.Str()...)
			} else {
				text = append(text, v.Raw()...)
			}
		default:
			text = append(text, p.fixed...)
		}
	}
	r.move(jsondoc.Value{}, at.at, row, OneWay)
	return r.texts.Keep(text)
}

// appendHappened appends what {event} stands for in the text of a field: of a name, subject.predicate.
func appendHappened(b []byte, name string) []byte {
	if other, ok := strings.CutPrefix(name, foreign); ok {
		return append(b, other...)
	}
	subject, predicate, ok := strings.Cut(name, ".")
	b = append(b, subject...)
	if ok {
		b = append(append(b, ' '), predicate...)
	}
	return b
}
