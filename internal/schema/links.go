package schema

import (
	"slices"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// LinkRule says how an event may use a link type (Eiffel protocol, "Links" of each event type).
type LinkRule struct {
	Type     string
	Required bool
	Multiple bool     // whether an event may have more than one link of the type
	Targets  []string // the legal types of the event linked to; nil if any are
}

// LinkRules are the link rules of an Eiffel event type and version, sorted by type; those of the newest version known of
// the same major stand in for a newer minor or patch version. They are nil if the type or version is unknown, and must not
// be changed.
func LinkRules(eventType, version string) []LinkRule {
	s, err := ForEiffel(eventType, version)
	if err != nil {
		return nil
	}
	return s.rules
}

// LinkRules are the link rules of the event, sorted by type; nil for CDEvents. They must not be changed.
func (s *Schema) LinkRules() []LinkRule { return s.rules }

// ValidateLinks returns where the links of an Eiffel event violate the link rules: illegal link types, several links of a
// single type, links to events of an illegal type and, last, required links that are missing; at most 20. What is no link
// by the schema is for [Schema.Validate] to tell. typeOf names the event type of a target if it is known; it may be nil.
//
// Minor versions have added link types, targets and plurality, never requirements; so a lenient schema only asks for the
// required links. The two versions whose documentation has no link rules at all (EiffelTestCaseFinishedEvent 1.0.0 and
// EiffelTestExecutionRecipeCollectionCreatedEvent 1.0.0) are not checked.
func (s *Schema) ValidateLinks(d *jsondoc.Document, typeOf func(target string) (eiffelType string, known bool)) []Finding {
	if len(s.rules) == 0 {
		return nil
	}
	var findings []Finding
	add := func(pointer, rule, message string) {
		if len(findings) < maxFindings {
			findings = append(findings, Finding{pointer, rule, message})
		}
	}
	var seen uint64 // a bit per rule; no event type has more than a dozen
	at := -1
	for link := d.Root().Get("links").FirstChild(); link.Exists(); link = link.NextSibling() {
		at++
		typ := link.Get("type").Str()
		i := s.rule(typ)
		if i < 0 {
			if !s.lenient {
				add("/links/"+strconv.Itoa(at)+"/type", "linkType", "link type "+quote(typ)+" is not legal in "+s.typ+" "+s.version+"; legal are "+s.legal())
			}
			continue
		}
		rule, bit := &s.rules[i], uint64(1)<<i
		again := seen&bit != 0
		seen |= bit
		if s.lenient {
			continue
		}
		if again && !rule.Multiple {
			add("/links/"+strconv.Itoa(at), "linkSingle", "a second link of type "+typ+"; "+s.typ+" "+s.version+" may have one")
		}
		if typeOf == nil || rule.Targets == nil {
			continue
		}
		if target, known := typeOf(link.Get("target").Str()); known && !slices.Contains(rule.Targets, target) {
			add("/links/"+strconv.Itoa(at)+"/target", "linkTarget", "a link of type "+typ+" to "+quote(target)+"; legal are "+strings.Join(rule.Targets, ", "))
		}
	}
	for i := range s.rules {
		if s.rules[i].Required && seen&(1<<i) == 0 {
			add("/links", "linkRequired", "no link of type "+s.rules[i].Type+", which "+s.typ+" "+s.version+" requires")
		}
	}
	return findings
}

// rule finds the rule of a link type, -1 if it has none. There are so few that a search in order is the cheapest.
func (s *Schema) rule(linkType string) int {
	for i := range s.rules {
		if s.rules[i].Type == linkType {
			return i
		}
	}
	return -1
}

func (s *Schema) legal() string {
	var names []string
	for _, r := range s.rules {
		names = append(names, r.Type)
	}
	return strings.Join(names, ", ")
}
