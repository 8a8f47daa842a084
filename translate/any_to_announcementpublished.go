package translate

import "strings"

// announcementHeading is what an announcement says of a CDEvent that Eiffel has no event for.
func (t *toEiffel) announcementHeading() string {
	if other, ok := strings.CutPrefix(t.name, foreign); ok {
		return other + ": " + t.in.Subject
	}
	subject, predicate, _ := strings.Cut(t.name, ".")
	return subject + " " + predicate + ": " + t.in.Subject
}
