package translate

import (
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// beginEiffel begins an Eiffel event, up to the inside of its data. Members that the event's version does not have are left
// out.
func (t *toEiffel) beginEiffel(e *Event, source string) *jsondoc.Writer {
	w := t.newWriter()
	w.Object()
	w.Name("meta")
	w.Object()
	w.Member("id", e.ID)
	w.Member("type", e.Type)
	w.Member("version", e.Version)
	w.Name("time")
	w.Int(e.Time)
	w.Name("source")
	w.Object()
	w.Member("serializer", t.g.serializer)
	if source != "" {
		w.Member("uri", source)
	}
	w.Close()
	w.Close()
	w.Name("data")
	w.Object()
	return w
}

// beginEntry begins an entry of custom data, up to its value. The entry is an object to close.
func beginEntry(w *jsondoc.Writer, key string) {
	w.Object()
	w.Member("key", key)
	w.Name("value")
}

// endEiffel ends the event's data and writes its links.
func (t *toEiffel) endEiffel(w *jsondoc.Writer, e *Event, source string, links []ledger.EiffelLink) Event {
	w.Close()
	w.Name("links")
	w.Array()
	for _, l := range links {
		w.Object()
		w.Member("type", l.Type)
		w.Member("target", l.Target)
		if l.DomainID != "" {
			w.Member("domainId", l.DomainID)
		}
		w.Close()
	}
	w.Close()
	w.Close()
	e.Protocol = Eiffel
	e.Source = sourceOf(source, "", "")
	if err := t.seal(w, e, t.g.eiffel[e.Type].schema); err != nil {
		t.refuse(err)
	}
	return *e
}

// write makes the output event.
func (t *toEiffel) write(data []member, custom []entry) (Event, error) {
	e := Event{ID: t.id, Type: t.row.Eiffel, Version: t.row.version, Time: t.in.Time}
	w := t.beginEiffel(&e, t.in.Source)
	if err := writeMembers(w, data); err != nil {
		return Event{}, t.invalidOutput("%v", err)
	}
	w.Name("customData")
	w.Array()
	beginEntry(w, carriedCDEvent)
	w.Object()
	if t.carry {
		w.Name("event")
		if err := t.writeOriginal(w); err != nil {
			return Event{}, err
		}
	} else {
		w.Member("id", t.in.ID)
	}
	endMark(w)
	w.Close()
	for _, c := range custom {
		beginEntry(w, c.key)
		if err := c.value.write(w); err != nil {
			return Event{}, t.invalidOutput("%v", err)
		}
		w.Close()
	}
	w.Close()
	e = t.endEiffel(w, &e, t.in.Source, t.links)
	return e, t.failure
}
