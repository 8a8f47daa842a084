package typed

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	eiffelevents "github.com/eiffel-community/eiffelevents-sdk-go"
	"golang.org/x/mod/semver"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// FromEiffel gives the bytes of an Eiffel event, decoded for a [translate.Translator]. It takes a struct of the SDK, a
// pointer to one or an [eiffelevents.Any]. It does not validate. Errors are an *[UnsupportedError] if the event's meta
// names a version that the SDK does not know (the SDK reads every event of a known major version into the same struct
// and drops what is new), a *[translate.EventError], or that of marshalling the custom data.
func FromEiffel(event eiffelevents.MetaTeller) (translate.Event, error) {
	var inner any = event
	switch a := event.(type) {
	case eiffelevents.Any:
		inner = a.Get()
	case *eiffelevents.Any:
		if a != nil {
			inner = a.Get()
		}
	}
	if isNil(inner) {
		return translate.Event{}, noEvent("Eiffel event")
	}
	// MarshalJSON has pointer receivers, and without it optional members would be written empty, which is invalid.
	if v := reflect.ValueOf(inner); v.Kind() != reflect.Pointer {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		inner = p.Interface()
	}
	text, err := json.Marshal(inner)
	if err != nil {
		return translate.Event{}, fmt.Errorf("marshal the Eiffel event: %w", err)
	}
	e, err := translate.Decode(text)
	if err != nil {
		return translate.Event{}, err
	}
	if err := expect(&e, translate.Eiffel); err != nil {
		return translate.Event{}, err
	}
	if !eiffelKnown(e.Type, e.Version) {
		return translate.Event{}, unsupported(eiffelSDK, &e)
	}
	return e, nil
}

// AsEiffel gives an Eiffel event as a pointer to the SDK's struct for its type and version. Errors are an
// *[UnsupportedError], a *[LossError], or the first finding of [translate.Event.Validate]: an invalid event has no struct.
func AsEiffel(e translate.Event) (eiffelevents.MetaTeller, error) {
	if err := expect(&e, translate.Eiffel); err != nil {
		return nil, err
	}
	if !eiffelKnown(e.Type, e.Version) {
		return nil, unsupported(eiffelSDK, &e)
	}
	if findings := e.Validate(); len(findings) > 0 {
		return nil, findings[0]
	}
	event, err := emptyEiffel(e.Type, e.Version)
	if err != nil {
		return nil, lossy(eiffelSDK, &e, "", err)
	}
	if err := decodeExact(e.JSON, event); err != nil {
		return nil, lossy(eiffelSDK, &e, pointerOf(err), err)
	}
	// The SDK marshals with a package of its own, to which a json.Number is a string; a RawMessage it writes as it is.
	settle(reflect.ValueOf(event), func(n json.Number) any { return json.RawMessage(n) })
	again, err := json.Marshal(event)
	if err != nil {
		return nil, lossy(eiffelSDK, &e, "", err)
	}
	same := leftOut
	if isSigned(e.JSON) {
		same = strict
	}
	pointer, different, err := difference(e.JSON, again, same)
	if err != nil || different {
		return nil, lossy(eiffelSDK, &e, pointer, err)
	}
	return event, nil
}

// isSigned tells whether an event has a signature, which holds for the very members that it has.
func isSigned(text []byte) bool {
	var head struct {
		Meta struct {
			Security json.RawMessage `json:"security"`
		} `json:"meta"`
	}
	return json.Unmarshal(text, &head) != nil || head.Meta.Security != nil
}

// emptyEiffel makes a struct for a type and version: the SDK keeps the table to itself, but unmarshals an event that has
// only these.
func emptyEiffel(eventType, version string) (eiffelevents.MetaTeller, error) {
	var head struct {
		Meta struct {
			Type    string `json:"type"`
			Version string `json:"version"`
		} `json:"meta"`
	}
	head.Meta.Type, head.Meta.Version = eventType, version
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	v, err := eiffelevents.UnmarshalAny(text)
	if err != nil {
		return nil, err
	}
	event, ok := v.(eiffelevents.MetaTeller)
	if !ok {
		return nil, fmt.Errorf("%T does not tell its meta", v)
	}
	return event, nil
}

// eiffelKnown tells whether the SDK was generated with this version of the type. It does not tell itself: its structs are
// one per major version and take every minor version, with the fields of the latest that it knows.
func eiffelKnown(eventType, version string) bool {
	if !slices.Contains(schema.EiffelVersions(eventType), version) {
		return false
	}
	for _, latest := range latestEiffel(eventType) {
		if semver.Major("v"+latest) == semver.Major("v"+version) {
			return semver.Compare("v"+version, "v"+latest) <= 0
		}
	}
	return false
}

// latestEiffel gives the latest version that the SDK knows of each major version of a type. A test holds it to the schemas
// that the SDK bundles.
func latestEiffel(eventType string) []string {
	switch eventType {
	case "EiffelActivityCanceledEvent", "EiffelAnnouncementPublishedEvent", "EiffelArtifactReusedEvent", "EiffelFlowContextDefinedEvent",
		"EiffelSourceChangeSubmittedEvent", "EiffelTestCaseCanceledEvent":
		return []string{"1.1.0", "2.0.0", "3.2.0"}
	case "EiffelActivityFinishedEvent", "EiffelArtifactCreatedEvent", "EiffelArtifactPublishedEvent", "EiffelCompositionDefinedEvent",
		"EiffelConfidenceLevelModifiedEvent", "EiffelEnvironmentDefinedEvent", "EiffelTestCaseFinishedEvent",
		"EiffelTestCaseStartedEvent", "EiffelTestSuiteFinishedEvent":
		return []string{"1.1.0", "2.0.0", "3.3.0"}
	case "EiffelActivityStartedEvent", "EiffelActivityTriggeredEvent", "EiffelIssueVerifiedEvent":
		return []string{"1.1.0", "2.0.0", "3.0.0", "4.3.0"}
	case "EiffelArtifactDeployedEvent":
		return []string{"0.1.0"}
	case "EiffelIssueDefinedEvent":
		return []string{"1.0.0", "2.0.0", "3.2.0"}
	case "EiffelSourceChangeCreatedEvent":
		return []string{"1.1.0", "2.0.0", "3.0.0", "4.2.0"}
	case "EiffelTestCaseTriggeredEvent":
		return []string{"1.1.0", "2.0.0", "3.5.0"}
	case "EiffelTestExecutionRecipeCollectionCreatedEvent":
		return []string{"1.0.0", "2.1.0", "3.0.0", "4.3.0"}
	case "EiffelTestSuiteStartedEvent":
		return []string{"1.1.0", "2.0.0", "3.4.0"}
	}
	return nil
}
