package overlay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// shape is what the events of a type may look like: all versions of it that are known, taken together.
type shape struct {
	name    string // for messages
	schemas []*schema.Schema
	open    string // the pointer below which anything may stand: of types whose schema is not known; empty: there is none
	eiffel  bool
}

// openContent and openData are where events hold what differs from one type to the next.
const (
	openContent = "/subject/content"
	openData    = "/data"
)

// shapeOfCDEvent is the shape of subject.predicate.
func shapeOfCDEvent(name string) *shape {
	s := &shape{name: name}
	for _, full := range schema.CDEventTypes() {
		if nameOf(full) != name {
			continue
		}
		if one, err := schema.ForCDEvent(full, ""); err == nil {
			s.schemas = append(s.schemas, one)
		}
	}
	if len(s.schemas) == 0 {
		s.open = openContent
		for _, full := range schema.CDEventTypes() {
			if one, err := schema.ForCDEvent(full, ""); err == nil {
				s.schemas = append(s.schemas, one)
			}
		}
	}
	return s
}

// shapeOfEiffel is the shape of an Eiffel event type, in all of its versions.
func shapeOfEiffel(eiffelType string) *shape {
	s := &shape{name: eiffelType, eiffel: true}
	add := func(t string) {
		for _, version := range schema.EiffelVersions(t) {
			if one, err := schema.ForEiffel(t, version); err == nil {
				s.schemas = append(s.schemas, one)
			}
		}
	}
	if add(eiffelType); len(s.schemas) == 0 {
		s.open = openData
		for _, t := range schema.EiffelTypes() {
			add(t)
		}
	}
	return s
}

// nameOf is subject.predicate of a full CDEvents type.
func nameOf(full string) string {
	parts := strings.SplitN(strings.TrimPrefix(full, cdeventPrefix), ".", 3)
	if len(parts) < 3 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

const (
	cdeventPrefix = "dev.cdevents."
	customPrefix  = "dev.cdeventsx."
)

// cdeventNames are subject.predicate of all CDEvents that are known, sorted.
func cdeventNames() []string {
	var names []string
	for _, full := range schema.CDEventTypes() {
		names = append(names, nameOf(full))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// has tells whether an event of any version may have something at a JSON pointer.
func (s *shape) has(pointer string) bool {
	if s.open != "" && (pointer == s.open || strings.HasPrefix(pointer, s.open+"/")) {
		return true
	}
	for _, one := range s.schemas {
		if one.Has(pointer) {
			return true
		}
	}
	return false
}

// enum is what all versions that have the member allow there; nil if any leaves it open.
func (s *shape) enum(pointer string) []string {
	var words []string
	for _, one := range s.schemas {
		if !one.Has(pointer) {
			continue
		}
		allowed := one.Enum(pointer)
		if allowed == nil {
			return nil
		}
		words = append(words, allowed...)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// text tells whether the member at a JSON pointer is a string in all versions that have it.
func (s *shape) text(pointer string) bool {
	found := false
	for _, one := range s.schemas {
		if one.Has(pointer) {
			if !one.IsText(pointer) {
				return false
			}
			found = true
		}
	}
	return found
}

// lacks says that no version has a pointer, and what may have been meant.
func (s *shape) lacks(pointer string) string {
	// The innermost part that is there knows what may stand in it.
	parent := pointer
	for parent != "" {
		parent = parent[:strings.LastIndexByte(parent, '/')]
		if parent == "" || s.has(parent) {
			break
		}
	}
	name, _, _ := strings.Cut(pointer[len(parent)+1:], "/")
	var known []string
	for _, one := range s.schemas {
		names, _ := one.Members(parent)
		known = append(known, names...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	message := fmt.Sprintf("no version of %s has %s/%s", s.what(), parent, name)
	if near := strictyaml.Nearest(name, known); near != "" {
		return message + "; did you mean " + near + "?"
	}
	if len(known) > 0 && len(known) <= 20 {
		at := parent
		if at == "" {
			at = "the event"
		}
		return message + "; " + at + " has " + strings.Join(known, ", ")
	}
	return message
}

func (s *shape) what() string {
	if s.open == "" && s.name != mappings.Any {
		return s.name
	}
	if s.eiffel {
		return "any Eiffel event"
	}
	return "any CDEvent"
}

// requires are the members of an object that every version requires.
func (s *shape) requires(pointer string) []string {
	var all []string
	for i, one := range s.schemas {
		_, required := one.Members(pointer)
		if i == 0 {
			all = slices.Clone(required)
			continue
		}
		all = slices.DeleteFunc(all, func(name string) bool { return !slices.Contains(required, name) })
	}
	return all
}

// links are the link types that any version allows, each with all of the targets of any version; nil targets are all.
func (s *shape) links() []schema.LinkRule {
	var rules []schema.LinkRule
	for _, one := range s.schemas {
		for _, r := range one.LinkRules() {
			at := slices.IndexFunc(rules, func(known schema.LinkRule) bool { return known.Type == r.Type })
			if at < 0 {
				r.Targets = slices.Clone(r.Targets)
				rules = append(rules, r)
				continue
			}
			known := &rules[at]
			known.Multiple = known.Multiple || r.Multiple
			known.Required = known.Required && r.Required
			if r.Targets == nil || known.Targets == nil {
				known.Targets = nil
				continue
			}
			for _, target := range r.Targets {
				if !slices.Contains(known.Targets, target) {
					known.Targets = append(known.Targets, target)
				}
			}
		}
	}
	return rules
}

// nearest is the known word that may have been meant, empty if there is none.
func nearest(word string, known []string) string { return strictyaml.Nearest(word, known) }

// quoted is a text for a message, shortened.
func quoted(text string) string {
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// sight is what an expression sees.
type sight struct {
	shape     *shape // of the event
	noSubject bool
}

func (s sight) variables() []string {
	if s.noSubject {
		return []string{varEvent}
	}
	return []string{varEvent, varSubject}
}
