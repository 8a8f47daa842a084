package translate

import "strings"

// announcementHeading is what an announcement says of a CDEvent that Eiffel has no event for.
func (t *toEiffel) announcementHeading() string {
	subject, predicate, _ := strings.Cut(t.name, ".")
	return subject + " " + predicate + ": " + t.subjectText()
}

// subjectText is the subject's id as the event writes it.
func (t *toEiffel) subjectText() string { return t.in.Subject }
