package translate

import (
	"strconv"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// entry is an entry of the output's custom data.
type entry struct {
	key   string
	value value
}

// makeData makes the row's members of data, then the custom data behind the mark.
func (t *toEiffel) makeData() (data []member, custom []entry, err error) {
	data = t.room.members[:0]
	written := false // the last place
	for i := range t.row.data {
		f := &t.row.data[i]
		if !f.place.Named() || f.again && written {
			continue
		}
		v, err := makeField(t, &t.run, f, &f.place, t.subject, t.row.rule)
		if err != nil {
			return nil, nil, err
		}
		if written = v.exists(); written {
			data = append(data, member{f.place.path, v})
		}
	}
	if custom, err = t.customData(); err != nil {
		return nil, nil, err
	}
	if t.row.ID == mappings.IDAnchor {
		subject := t.in.doc.Root().Get("subject")
		for _, v := range [...]jsondoc.Value{subject.Get("id"), subject.Get("source")} {
			if v.Str() != "" && !t.isUsed(v) {
				t.move(v, "/meta/id", t.g.rules[ruleIDSubject], OneWay)
			}
		}
	}
	return data, custom, nil
}

// dataJudgements say what a member of data is where no field of the CDEvent gives it.
var dataJudgements = map[string]func(*toEiffel, *place) value{
	"deployment":         (*toEiffel).deploymentDescription,
	"purl":               (*toEiffel).purl,
	"locations":          (*toEiffel).locations,
	"outcomeDescription": (*toEiffel).outcomeDescription,
}

// customData is the event's custom data behind the carried original or the mark: the row's own entries and, without
// carrying, what identifies the event and the user's own.
func (t *toEiffel) customData() ([]entry, error) {
	carry := t.g.settings.Carry == CarryOriginal
	var entries []entry
	if carry {
		t.stripOriginal()
	} else {
		entries = t.identify(entries)
	}
	for i := range t.row.custom {
		f := &t.row.custom[i]
		v, err := makeField(t, &t.run, f, &place{at: t.entryPointer(len(entries))}, t.subject, t.row.rule)
		if err != nil {
			return nil, err
		}
		if v.exists() {
			entries = append(entries, entry{f.To[1:], v})
		}
	}
	if carry {
		return entries, nil
	}
	root := t.in.doc.Root()
	custom, contentType := root.Get("customData"), root.Get("customDataContentType")
	switch custom.Kind() {
	case jsondoc.Object:
		for v := range custom.Children() {
			if t.own(v.Key(), v) {
				t.lose(v, LossEnvelope)
				continue
			}
			if t.tooDeep(v, 4) { // below the event, data, customData and the entry
				t.lose(v, LossTooDeep)
				continue
			}
			t.move(v, t.entryPointer(len(entries)), "custom data, one entry per key", Exact)
			entries = append(entries, entry{v.Key(), inputValue(v)})
		}
		if contentType.Str() == "application/json" {
			t.move(contentType, "", "custom data is an object", Exact)
		}
	case jsondoc.String:
		// CDEvents' own mark needs an object, so that this does not come back as it was.
		t.lose(custom, LossOneWay)
		raw := append([]byte(`{"customData":`), custom.Raw()...)
		if contentType.Exists() {
			raw = append(raw, `,"customDataContentType":`...)
			raw = append(raw, contentType.Raw()...)
			t.move(contentType, t.entryPointer(len(entries))+"/customDataContentType", "custom data that is no object", OneWay)
		}
		entries = append(entries, entry{"customData", jsonValue(append(raw, '}'))})
	}
	return entries, nil
}

// entryPointer points to the value of an entry behind the mark; it is only needed for moves.
func (t *toEiffel) entryPointer(index int) string {
	if !t.explain {
		return ""
	}
	return "/data/customData/" + strconv.Itoa(index+1) + "/value"
}

// identify says what the event is about where the original is not there to say it: the subject, which the Eiffel event
// may not name, and of a deployment the service.
func (t *toEiffel) identify(entries []entry) []entry {
	subject := t.in.doc.Root().Get("subject")
	id, source := subject.Get("id"), subject.Get("source")
	raw := append([]byte(`{"id":`), id.Raw()...)
	foreign := source.Str() != "" && source.Str() != t.in.Source
	if foreign {
		raw = append(append(raw, `,"source":`...), source.Raw()...)
	}
	at := t.entryPointer(len(entries))
	t.move(id, at+"/id", "custom data "+subjectKey, Exact)
	if foreign {
		t.move(source, at+"/source", "custom data "+subjectKey, Exact)
	}
	entries = append(entries, entry{subjectKey, jsonValue(append(raw, '}'))})
	if t.row.Learns == mappings.LearnIncarnation {
		entries = append(entries, entry{t.g.settings.ServiceIDKey, inputValue(id)})
	}
	return entries
}
