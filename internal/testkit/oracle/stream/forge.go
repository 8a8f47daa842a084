package stream

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
)

// Forges are the operations that change an event as somebody on its way might, or somebody who means harm. They act on an
// event that a bridge wrote: on its head, on its content, on its mark or on the original that it carries.
func Forges() []string {
	names := make([]string, 0, len(forges))
	for name := range forges {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Forge applies operations to an event. What is no JSON object stays as it is.
func Forge(text []byte, operations []string) []byte {
	for _, name := range operations {
		switch name {
		case "indent":
			var b bytes.Buffer
			if json.Indent(&b, text, " ", "\t") == nil {
				text = b.Bytes()
			}
			continue
		case "broken":
			text = text[:len(text)*2/3]
			continue
		}
		root, err := jsontree.Parse(text)
		if err != nil || root.Kind != jsontree.Object {
			continue
		}
		forges[name](&event{root})
		text = root.Append(nil)
	}
	return text
}

// event is an event of either protocol that is being forged.
type event struct{ *jsontree.Node }

func (e *event) eiffel() bool { return e.At("meta") != nil }

func (e *event) head() *jsontree.Node {
	if e.eiffel() {
		return e.At("meta")
	}
	return e.At("context")
}

// content is data, or subject.content.
func (e *event) content() *jsontree.Node {
	if e.eiffel() {
		return e.At("data")
	}
	return e.At("subject", "content")
}

// envelope is the value of our key in the event's custom data; nil if there is none.
func (e *event) envelope() *jsontree.Node {
	if !e.eiffel() {
		return e.At("customData", "eiffel")
	}
	if custom := e.At("data", "customData"); custom != nil {
		for _, entry := range custom.Items {
			if entry.At("key").Str() == "cdevents" {
				return entry.At("value")
			}
		}
	}
	return nil
}

// original is the carried event; nil if there is none.
func (e *event) original() *event {
	if envelope := e.envelope(); envelope != nil {
		if original := envelope.At("event"); original != nil {
			return &event{original}
		}
	}
	return nil
}

// setEnvelope puts a value under our key.
func (e *event) setEnvelope(value *jsontree.Node) {
	if !e.eiffel() {
		value.Name = "eiffel"
		custom := e.At("customData")
		if custom == nil || custom.Kind != jsontree.Object {
			e.Set(jsontree.Make(jsontree.Object, "customData", value))
			e.Set(jsontree.String("customDataContentType", "application/json"))
			return
		}
		custom.Set(value)
		return
	}
	if old := e.envelope(); old != nil {
		*old = *value
		old.Name = "value"
		return
	}
	value.Name = "value"
	e.addEntry(jsontree.Make(jsontree.Object, "", jsontree.String("key", "cdevents"), value))
}

func (e *event) addEntry(entry *jsontree.Node) {
	data := e.At("data")
	if data == nil {
		return
	}
	if custom := data.At("customData"); custom != nil {
		custom.Items = append(custom.Items, entry)
		return
	}
	data.Set(jsontree.Make(jsontree.Array, "customData", entry))
}

func (e *event) mark(member, text string) {
	e.setEnvelope(jsontree.Make(jsontree.Object, "", jsontree.String(member, text)))
}

// otherID changes the last digit of an id.
func otherID(id string) string {
	if id == "" {
		return "x"
	}
	last := "0"
	if strings.HasSuffix(id, "0") {
		last = "1"
	}
	return id[:len(id)-1] + last
}

// later moves the time on: by seconds that a timestamp or a number of milliseconds has for their last but three digits.
func later(e *event) {
	head := e.head()
	if v := head.At("time"); v != nil && len(v.Text) > 4 {
		v.Text = v.Text[:len(v.Text)-4] + otherID(v.Text[len(v.Text)-4:len(v.Text)-3]) + v.Text[len(v.Text)-3:]
	}
	if v := head.At("timestamp"); v != nil && len(v.Text) > 19 {
		v.Text = v.Text[:18] + otherID(v.Text[18:19]) + v.Text[19:]
	}
}

func setID(n *jsontree.Node) {
	if n != nil {
		n.Set(jsontree.String("id", otherID(n.At("id").Str())))
	}
}

// inOriginal makes an operation that changes the carried event.
func inOriginal(f func(*event)) func(*event) {
	return func(e *event) {
		if original := e.original(); original != nil {
			f(original)
		}
	}
}

func setSource(e *event) {
	if !e.eiffel() {
		e.head().Set(jsontree.String("source", "https://elsewhere.example.com"))
		return
	}
	if source := e.At("meta", "source"); source != nil {
		source.Set(jsontree.String("uri", "https://elsewhere.example.com"))
	} else {
		e.head().Set(jsontree.Make(jsontree.Object, "source", jsontree.String("uri", "https://elsewhere.example.com")))
	}
}

func setContent(e *event) {
	content := e.content()
	if content == nil {
		return
	}
	for _, item := range content.Items {
		if item.Kind == jsontree.Text && item.Text != "" {
			item.Text += "x"
			return
		}
	}
	content.Set(jsontree.String("extra", "forged"))
}

// forges by name. "indent" and "broken" act on the text and are in Forge itself.
var forges = map[string]func(*event){
	"indent": nil,
	"broken": nil,
	"sorted": func(e *event) { e.Sort() },
	"id":     func(e *event) { setID(e.head()) },
	"later":  later,
	"source": setSource,
	"type": func(e *event) {
		other := map[string]string{"EiffelArtifactCreatedEvent": "EiffelArtifactPublishedEvent", "EiffelActivityStartedEvent": "EiffelActivityFinishedEvent"}
		t := e.head().At("type").Str()
		switch {
		case other[t] != "":
			t = other[t]
		case e.eiffel():
			t = "EiffelAnnouncementPublishedEvent"
		case strings.Contains(t, ".deployed."):
			t = strings.Replace(t, ".deployed.", ".upgraded.", 1)
		default:
			t = strings.Replace(t, "created", "modified", 1)
		}
		e.head().Set(jsontree.String("type", t))
	},
	"serializer": func(e *event) {
		if v := e.At("meta", "source", "serializer"); v != nil {
			v.Text = "pkg:maven/com.example/other@1.0"
		}
	},
	"serializer-version": func(e *event) {
		if v := e.At("meta", "source", "serializer"); v != nil {
			v.Text += "-rc.1"
		}
	},
	"content":          setContent,
	"original-id":      inOriginal(func(o *event) { setID(o.head()) }),
	"original-later":   inOriginal(later),
	"original-source":  inOriginal(setSource),
	"original-content": inOriginal(setContent),
	"original-invalid": inOriginal(func(o *event) { o.head().Remove("type") }),
	"original-subject": inOriginal(func(o *event) { setID(o.At("subject")) }),
	"original-type": inOriginal(func(o *event) {
		o.head().Set(jsontree.String("type", strings.NewReplacer("deployed", "removed", "created", "deleted", "Created", "Reused").Replace(o.head().At("type").Str())))
	}),
	"original-sorted": inOriginal(func(o *event) { o.Sort() }),
	"original-nested": func(e *event) { // the original carries an envelope of its own
		if o := e.original(); o != nil {
			o.setEnvelope(jsontree.Make(jsontree.Object, "", jsontree.Make(jsontree.Object, "event", e.Copy().Items...)))
		}
	},
	"mark-none":   func(e *event) { e.setEnvelope(jsontree.Raw("", "null")) },
	"mark-number": func(e *event) { e.setEnvelope(jsontree.Make(jsontree.Object, "", jsontree.Raw("id", "7"))) },
	"mark-id":     func(e *event) { e.mark("id", e.head().At("id").Str()) },
	"mark-other":  func(e *event) { e.mark("id", otherID(e.head().At("id").Str())) },
	"mark-original-id": func(e *event) {
		if o := e.original(); o != nil {
			e.mark("id", o.head().At("id").Str())
		}
	},
	"mark-synthesized": func(e *event) { e.mark("synthesizedFor", e.head().At("id").Str()) },
	"mark-for-original": func(e *event) {
		if o := e.original(); o != nil {
			e.mark("synthesizedFor", o.head().At("id").Str())
		}
	},
	"mark-extra": func(e *event) {
		if v := e.envelope(); v != nil && v.Kind == jsontree.Object {
			v.Set(jsontree.Raw("extra", "1"))
		}
	},
	"mark-changed": func(e *event) { // whatever the mark names is another id
		if v := e.envelope(); v != nil {
			for _, item := range v.Items {
				if item.Kind == jsontree.Text {
					item.Text = otherID(item.Text)
				}
			}
		}
	},
	"mark-twice": func(e *event) {
		if custom := e.At("data", "customData"); custom != nil && custom.Kind == jsontree.Array {
			custom.Items = append(custom.Copy().Items, custom.Items...)
		}
	},
	"mark-first": func(e *event) { // an entry of our key that is no envelope stands before the true one
		if custom := e.At("data", "customData"); custom != nil && custom.Kind == jsontree.Array {
			fake := jsontree.Make(jsontree.Object, "", jsontree.String("key", "cdevents"), jsontree.String("value", "of a user"))
			custom.Items = append([]*jsontree.Node{fake}, custom.Items...)
		}
	},
	"custom-none": func(e *event) {
		if e.eiffel() {
			e.At("data").Remove("customData")
			return
		}
		e.Remove("customData")
		e.Remove("customDataContentType")
	},
	"custom-extra": func(e *event) {
		if e.eiffel() {
			for _, key := range []string{"team", "subject", "serviceId", "signature", "eiffel", "team"} {
				e.addEntry(jsontree.Make(jsontree.Object, "", jsontree.String("key", key), jsontree.String("value", "v "+key)))
			}
			return
		}
		if custom := e.At("customData"); custom != nil && custom.Kind == jsontree.Object {
			for _, key := range []string{"team", "subject", "serviceId", "cdevents"} {
				custom.Set(jsontree.String(key, "v "+key))
			}
		}
	},
	"custom-subject": func(e *event) { // what stands beside the mark says another subject
		if custom := e.At("data", "customData"); custom != nil {
			for _, entry := range custom.Items {
				if entry.At("key").Str() == "subject" {
					setID(entry.At("value"))
					return
				}
			}
			e.addEntry(jsontree.Make(jsontree.Object, "", jsontree.String("key", "subject"),
				jsontree.Make(jsontree.Object, "value", jsontree.String("id", "shop"), jsontree.String("source", "https://elsewhere.example.com"))))
		}
	},
	"links-none": func(e *event) {
		if v := e.At("links"); v != nil {
			v.Items = nil
		}
		e.head().Remove("links")
	},
	"links-reversed": func(e *event) {
		v := e.At("links")
		if v == nil {
			v = e.head().At("links")
		}
		if v != nil {
			slices.Reverse(v.Items)
		}
	},
	"links-extra": func(e *event) {
		if v := e.At("links"); v != nil {
			v.Items = append(v.Items, jsontree.Make(jsontree.Object, "", jsontree.String("type", "CAUSE"), jsontree.String("target", otherID(e.head().At("id").Str()))))
		}
	},
	"subject": func(e *event) {
		if e.eiffel() {
			if v := e.At("data", "name"); v != nil {
				v.Text += "-2"
			}
			return
		}
		setID(e.At("subject"))
	},
	"members-extra": func(e *event) {
		e.Set(jsontree.Raw("extra", "1.50"))
		e.head().Set(jsontree.Make(jsontree.Array, "extra", jsontree.Raw("", "null")))
	},
}
