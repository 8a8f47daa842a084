package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// content is subject.content on its way: members, or the data of a custom event.
type content struct {
	members []member
	custom  value
}

// makeContent makes subject.content.
func (t *toCDEvents) makeContent() (content, error) {
	if t.out.custom {
		return content{custom: t.dataWithoutMark()}, nil
	}
	members := t.room.members[:0]
	written := false // the last place
	for i := range t.row.content {
		f, at := &t.row.content[i], &t.out.content[i]
		if !at.Named() || f.again && written {
			continue
		}
		v, err := makeField(t, &t.run, f, at, t.subject, t.row.rule)
		if err != nil {
			return content{}, err
		}
		if !v.exists() && f.Fill != "" {
			v = t.fillIn(at, f.Fill)
		}
		if written = v.exists(); written {
			members = append(members, member{at.path, v})
		}
	}
	return content{members: members}, nil
}

// dataWithoutMark is the content of a custom event: data, but for entries of custom data that are ours.
func (t *toCDEvents) dataWithoutMark() value {
	data := t.in.doc.Root().Get("data")
	if t.tooDeep(data, 2) { // below the event and the subject
		return jsonValue(t.shallowContent(data))
	}
	t.move(data, "/subject/content", customContent, OneWay)
	custom := data.Get("customData")
	for entry := range custom.Children() {
		if t.ownEntry(entry) {
			stripped := jsondoc.AppendWithout(nil, custom, t.ownEntry)
			return jsonValue(replaceMember(data, "customData", stripped))
		}
	}
	return inputValue(data)
}

// customContent is the rule of a custom event's content.
const customContent = "custom event: content is data"

// shallowContent is the content of a custom event without the members of data, and without the entries of its custom data,
// that are nested too deeply to stand there.
func (t *toCDEvents) shallowContent(data jsondoc.Value) []byte {
	b := []byte{'{'}
	for v := range data.Children() {
		raw := v.Raw()
		switch {
		case v.Key() == "customData" && v.Kind() == jsondoc.Array: // each entry by itself
			raw = jsondoc.AppendWithout(nil, v, func(entry jsondoc.Value) bool {
				if t.ownEntry(entry) {
					return true
				}
				if t.tooDeep(entry, 4) {
					t.lose(entry, LossTooDeep)
					return true
				}
				t.move(entry, "/subject/content/customData", customContent, OneWay)
				return false
			})
		case t.tooDeep(v, 3):
			t.lose(v, LossTooDeep)
			continue
		default:
			t.move(v, "/subject/content/"+jsondoc.EscapePointer(v.Key()), customContent, OneWay)
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(jsondoc.AppendString(b, v.Key()), ':'), raw...)
	}
	return append(b, '}')
}

// fillIn makes a placeholder for a required member that identifies something: the id of the event that would know, of the
// event itself or of the target of a link (mapping.md, "Required CDEvents fields"). None if the member is not required.
func (t *toCDEvents) fillIn(at *place, whose string) value {
	if !at.Required() {
		return none
	}
	id := t.in.ID
	if whose != mappings.FillSelf {
		if linked := target(t.links, whose); linked != "" {
			id = linked
		}
	}
	return t.placeholder(at, id)
}

// placeholder is a true identifier in the place of one that is not known.
func (t *toCDEvents) placeholder(at *place, id string) value {
	t.move(jsondoc.Value{}, at.at, "the id of the event that would know", OneWay)
	t.diagnose(DiagnosticFilledIn, "%s is required and unknown; it was filled with the id %s of the event that would know", strings.ReplaceAll(at.at[1:], "/", "."), id)
	if at.Member("id").Named() {
		return value{kind: ofReference, text: urnUUID + id}
	}
	return textValue(urnUUID + id)
}

// replaceMember writes an object with one member's value replaced.
func replaceMember(object jsondoc.Value, name string, value []byte) []byte {
	b := []byte{'{'}
	first := true
	for v := range object.Children() {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = jsondoc.AppendString(b, v.Key())
		b = append(b, ':')
		if v.Key() == name {
			b = append(b, value...)
		} else {
			b = append(b, v.Raw()...)
		}
	}
	return append(b, '}')
}

// referenceTo is {id, source} of a subject, for a place in the CDEvent.
func (t *toCDEvents) referenceTo(at *place, k ledger.SubjectKey) value {
	if k.Source != "" {
		k.Source = sourceAt(at.Member("source"), k.Source)
	}
	return value{kind: ofReference, text: k.ID, source: k.Source}
}

// sourceAt is a subject's source as it can stand at a place in the CDEvent. The sources of tests and those in marks are free
// text: where the schema wants a URI reference and the source is none, it is percent-encoded.
func sourceAt(at schema.Place, source string) string {
	if at.Allows(source) {
		return source
	}
	return escapeURI(source)
}

// userData is the user's own custom data by key, in the order in which the keys came.
type userData struct {
	keys   []string
	values map[string][]jsondoc.Value
}

func (u *userData) has(key string) bool { return u.values[key] != nil }

func (u *userData) add(key string, v jsondoc.Value) {
	if u.values == nil {
		u.values = map[string][]jsondoc.Value{}
	}
	if u.values[key] == nil {
		u.keys = append(u.keys, key)
	}
	u.values[key] = append(u.values[key], v)
}

// customData reads the event's custom data for an output that does not carry the original.
func (t *toCDEvents) customData() *userData {
	if t.carry {
		t.stripOriginal()
		return nil
	}
	users := &userData{}
	if t.out.custom {
		return users
	}
	count := map[string]int{}
	custom := t.in.doc.Root().At("data", "customData")
	for entry := range custom.Children() {
		count[entry.Get("key").Str()]++
	}
	for entry := range custom.Children() {
		if t.ownEntry(entry) {
			t.lose(entry, LossEnvelope)
			continue
		}
		key := entry.Get("key").Str()
		if t.standsIn(entry, key, users) {
			t.move(entry, "", "custom data "+key, OneWay)
			continue
		}
		fidelity := Exact
		if count[key] > 1 {
			fidelity = Translated // its values become an array
		}
		t.move(entry, "/customData/"+jsondoc.EscapePointer(key), "custom data, one member per key", fidelity)
		users.add(key, entry.Get("value"))
	}
	if users.has(carriedEiffel) {
		// A user's own custom data is never overwritten; the ledger still knows the event.
		t.diagnose(DiagnosticMarkOmitted, "the event's own custom data has the key %q, so that no mark was written", carriedEiffel)
	}
	return users
}

// writeCustomData writes the carried original or the mark, and without carrying the user's own data.
func (t *toCDEvents) writeCustomData(w *jsondoc.Writer, users *userData) error {
	w.Object()
	defer w.Close()
	if t.carry {
		w.Name(carriedEiffel)
		w.Object()
		w.Name("event")
		err := t.writeOriginal(w)
		endMark(w)
		return err
	}
	if !users.has(carriedEiffel) {
		w.Name(carriedEiffel)
		w.Object()
		w.Member("id", t.in.ID)
		endMark(w)
	}
	for _, key := range users.keys {
		w.Name(key)
		values := users.values[key]
		if len(values) == 1 {
			w.Splice(values[0])
			continue
		}
		w.Array()
		for _, v := range values {
			w.Splice(v)
		}
		w.Close()
	}
	return nil
}

// standsIn tells whether an entry is one that the bridge wrote beside its mark, for what an Eiffel event does not say
// itself. These are the first of their keys; another of the same key is a user's.
func (t *toCDEvents) standsIn(entry jsondoc.Value, key string, users *userData) bool {
	ours := key == subjectKey || key == t.g.settings.ServiceIDKey && t.in.Type == typeArtD || t.row.readsCustom(t.out, key)
	return ours && t.markID != "" && !users.has(key) && entry.Index() == t.customEntry(key).Index()
}

// marked gives the subject that the mark of a CDEvent says the event is about, else the one that the event names itself.
func (t *toCDEvents) marked(k ledger.SubjectKey) ledger.SubjectKey {
	if t.markID == "" {
		return k
	}
	subject := t.customEntry(subjectKey).Get("value")
	if id := subject.Get("id").Str(); id != "" {
		t.identifies(subject.Get("id"), subject.Get("source"))
		k.ID = id
		k.Source = t.in.Source
		if source := subject.Get("source").Str(); source != "" {
			k.Source = source
		}
	}
	return k
}
