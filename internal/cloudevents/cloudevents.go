// Package cloudevents says how the events of the two protocols are named as CloudEvents: the one place for all that write or read
// attributes.
package cloudevents

import "strings"

// EiffelTypePrefix stands before meta.type in the CloudEvents type of an Eiffel event. The type of a CDEvent is its own.
const EiffelTypePrefix = "io.github.eiffel-community."

// Type is the CloudEvents type of an event of that protocol, cdevents or eiffel, and that type of its own.
func Type[P ~string](protocol P, own string) string {
	if protocol == "eiffel" {
		return EiffelTypePrefix + own
	}
	return own
}

// SplitType undoes [Type]. The protocol is empty if the type belongs to neither vocabulary.
func SplitType[P ~string](ceType string) (protocol P, own string) {
	if own, ok := strings.CutPrefix(ceType, EiffelTypePrefix); ok {
		return "eiffel", own
	}
	if strings.HasPrefix(ceType, "dev.cdevents.") || strings.HasPrefix(ceType, "dev.cdeventsx.") {
		return "cdevents", ceType
	}
	return "", ceType
}
