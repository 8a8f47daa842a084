package typed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	"github.com/cdevents/sdk-go/pkg/api/v03"
	"github.com/cdevents/sdk-go/pkg/api/v04"
	"github.com/cdevents/sdk-go/pkg/api/v05"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// FromCDEvent gives the bytes of a CDEvent, decoded for a [translate.Translator]. It does not validate. Links without
// tags lose the null that the SDK writes for them. Errors are an *[UnsupportedError] if the event's context names a
// version that the SDK has no struct for, a *[translate.EventError], or that of marshalling the custom data.
func FromCDEvent(event cdevents.CDEventReader) (translate.Event, error) {
	if isNil(event) {
		return translate.Event{}, noEvent("CDEvent")
	}
	text, err := json.Marshal(event)
	if err != nil {
		return translate.Event{}, fmt.Errorf("marshal the CDEvent: %w", err)
	}
	text, err = withoutEmptyTags(text)
	if err != nil {
		return translate.Event{}, err
	}
	e, err := translate.Decode(text)
	if err != nil {
		return translate.Event{}, err
	}
	if err := expect(&e, translate.CDEvents); err != nil {
		return translate.Event{}, err
	}
	if strings.Contains(e.Type, "<undefined-") { // so the SDK writes what is not set
		return translate.Event{}, &translate.EventError{Code: translate.CodeInvalid, ID: e.ID, Pointer: "/context/type",
			Message: "the custom event's type is not set (SetEventType)"}
	}
	// The SDK reads a newer version of a type into the struct of the version it knows, and drops what is new; the
	// context still tells.
	if cdeventStruct(&e) == nil {
		return translate.Event{}, unsupported(cdeventsSDK, &e)
	}
	return e, nil
}

// AsCDEvent gives a CDEvent as a pointer to the SDK's struct for its type and version. Errors are an *[UnsupportedError],
// a *[LossError], or the first finding of [translate.Event.Validate]: an invalid event has no struct.
func AsCDEvent(e translate.Event) (cdevents.CDEvent, error) {
	if err := expect(&e, translate.CDEvents); err != nil {
		return nil, err
	}
	structType := cdeventStruct(&e)
	if structType == nil {
		return nil, unsupported(cdeventsSDK, &e)
	}
	// An invalid event could do more than lose fields: the SDK panics on a link that is null.
	if findings := e.Validate(); len(findings) > 0 {
		return nil, findings[0]
	}
	event := reflect.New(structType).Interface().(cdevents.CDEvent)
	if err := decodeExact(e.JSON, event); err != nil {
		return nil, lossy(cdeventsSDK, &e, pointerOf(err), err)
	}
	keep := func(n json.Number) any { return n }
	settle(reflect.ValueOf(event), keep)
	if err := mendTags(event, e.JSON, keep); err != nil {
		return nil, lossy(cdeventsSDK, &e, "/context/links", err)
	}
	again, err := json.Marshal(event)
	if err != nil {
		return nil, lossy(cdeventsSDK, &e, "", err)
	}
	pointer, different, err := difference(e.JSON, again, sameInCDEvent)
	if err != nil || different {
		return nil, lossy(cdeventsSDK, &e, pointer, err)
	}
	return event, nil
}

// cdeventStruct is the SDK's struct for an event, nil if it has none. The SDK itself would take any with the same major
// version, which is 0 for all.
func cdeventStruct(e *translate.Event) reflect.Type {
	t, err := cdevents.CDEventTypeFromString(e.Type)
	if err != nil {
		return nil
	}
	if t.Custom != "" {
		var head struct {
			Context struct {
				Version string `json:"version"`
			} `json:"context"`
		}
		if err := json.Unmarshal(e.JSON, &head); err == nil && head.Context.Version != "" {
			return reflect.TypeFor[v04.CustomTypeEvent]()
		}
		return reflect.TypeFor[v05.CustomTypeEvent]()
	}
	name := t.UnversionedString()
	if p, ok := v05.CDEventsByUnversionedTypes[name]; ok && p.GetType().Version == t.Version {
		return reflect.TypeOf(p).Elem()
	}
	if p, ok := v04.CDEventsByUnversionedTypes[name]; ok && p.GetType().Version == t.Version {
		return reflect.TypeOf(p).Elem()
	}
	if p, ok := v03.CDEventsByUnversionedTypes[name]; ok && p.GetType().Version == t.Version {
		return reflect.TypeOf(p).Elem()
	}
	return nil
}

// withoutEmptyTags leaves out the tags of links that are null or empty: the schemas refuse null, and an event that came
// from here has empty ones where it had none.
func withoutEmptyTags(text []byte) ([]byte, error) {
	if !bytes.Contains(text, []byte(`"tags"`)) {
		return text, nil
	}
	doc, err := jsondoc.Parse(text)
	if err != nil {
		return nil, &translate.EventError{Code: translate.CodeNotJSON, Message: err.Error()}
	}
	links := doc.Root().At("context", "links")
	if links.Kind() != jsondoc.Array {
		return text, nil
	}
	out := []byte{'['}
	for link := range links.Children() {
		if len(out) > 1 {
			out = append(out, ',')
		}
		if link.Kind() != jsondoc.Object {
			out = append(out, link.Raw()...)
			continue
		}
		out = jsondoc.AppendWithout(out, link, func(member jsondoc.Value) bool {
			return member.Key() == "tags" && (member.Kind() == jsondoc.Null || member.Kind() == jsondoc.Object && member.Empty())
		})
	}
	return jsondoc.AppendReplaced(nil, doc, links, append(out, ']')), nil
}

// mendTags gives every link of an event tags: empty ones where there are none, since the SDK would write null, and the
// exact numbers where there are, since the SDK decodes links on its own.
func mendTags(event cdevents.CDEvent, text []byte, exact func(json.Number) any) error {
	linked, ok := event.(cdevents.CDEventReaderV04)
	if !ok || len(linked.GetLinks()) == 0 {
		return nil
	}
	var head struct {
		Context struct {
			Links []struct {
				Tags map[string]any `json:"tags"`
			} `json:"links"`
		} `json:"context"`
	}
	if err := decodeExact(text, &head); err != nil {
		return err
	}
	if len(head.Context.Links) != len(linked.GetLinks()) {
		return errors.New("the number of links changed")
	}
	for i, link := range linked.GetLinks() {
		tags := cdevents.Tags{}
		for name, value := range head.Context.Links[i].Tags {
			tags[name] = settled(value, exact)
		}
		link.SetTags(tags)
	}
	return nil
}

// sameInCDEvent tolerates what the SDK writes in another way without changing what it says.
func sameInCDEvent(pointer string, was, is jsondoc.Value) bool {
	if pointer == "/context/timestamp" {
		return sameInstant(was.Str(), is.Str())
	}
	if link, ok := strings.CutPrefix(pointer, "/context/links/"); ok && strings.HasSuffix(link, "/tags") && strings.Count(link, "/") == 1 {
		return isNone(was) && isEmpty(is)
	}
	return leftOut(pointer, was, is)
}

// sameInstant compares two timestamps (RFC 3339). What follows the ninth digit of a fraction, a time.Time cannot hold.
func sameInstant(was, is string) bool {
	a, err := time.Parse(time.RFC3339Nano, was)
	if err != nil {
		return false
	}
	b, err := time.Parse(time.RFC3339Nano, is)
	if err != nil || !a.Equal(b) {
		return false
	}
	_, fraction, _ := strings.Cut(was, ".")
	end := 0
	for end < len(fraction) && fraction[end] >= '0' && fraction[end] <= '9' {
		end++
	}
	return end <= 9 || strings.Trim(fraction[9:end], "0") == ""
}

func isNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
