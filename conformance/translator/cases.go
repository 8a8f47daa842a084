package translator

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Case is a stream of events of one protocol, each a valid one, that are translated in order and with one ledger.
type Case struct {
	Name   string
	Events [][]byte // JSON; not changed
}

// Selection says which cases [Generate] makes. The zero value is the standard set.
type Selection struct {
	// Seed gives other events of the same types; the same seed gives the same cases.
	Seed uint64
	// Random is how many random events there are of each type and version beside the minimal and the full one, and how
	// many flows of each CDEvents version and Eiffel edition; 0 means 3, less none.
	Random int
	// Types are the event types, as the report names them or in full; nil means all.
	Types []string
}

// Generate makes cases: for each type and version a minimal event, a full one and random ones, each alone; and flows, in
// which all types of a CDEvents version or of an Eiffel edition come in one stream, point to one another and meet on their
// subjects. An error names a type that is not known.
func Generate(s Selection) ([]Case, error) {
	if s.Random == 0 {
		s.Random = 3
	}
	schemas, err := s.schemas()
	if err != nil {
		return nil, err
	}
	var out []Case
	for _, sch := range schemas {
		name := sch.Type()
		if sch.SpecVersions() == nil {
			name += " " + sch.Version()
		} else if strings.HasPrefix(name, customPrefix) {
			name += " of " + sch.SpecVersions()[0]
		}
		add := func(mode generate.Mode, what string) {
			what = name + ", " + what
			out = append(out, Case{what, [][]byte{generate.NewWriter(s.chooser(what)).Event(sch, mode)}})
		}
		add(generate.Minimal, "minimal")
		add(generate.Full, "full")
		for i := range max(s.Random, 0) {
			add(generate.Random, fmt.Sprintf("random %d", i+1))
		}
	}
	for i := range max(s.Random, 0) {
		for _, spec := range schema.Specs() {
			out = s.flow(out, fmt.Sprintf("flow %d of CDEvents %s", i+1, spec), schemas, func(s *schema.Schema) bool { return slices.Contains(s.SpecVersions(), spec) })
		}
		for _, edition := range schema.Editions() {
			out = s.flow(out, fmt.Sprintf("flow %d of Eiffel %s", i+1, edition), schemas, func(s *schema.Schema) bool { return slices.Contains(s.Editions(), edition) })
		}
	}
	return out, nil
}

// flow adds a stream of two random events of each type that belongs to it, in any order.
func (s Selection) flow(out []Case, name string, schemas []*schema.Schema, belongs func(*schema.Schema) bool) []Case {
	var mine []*schema.Schema
	for _, sch := range schemas {
		if belongs(sch) {
			mine = append(mine, sch, sch)
		}
	}
	if mine == nil {
		return out
	}
	choose := s.chooser(name)
	choose.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
	w := generate.NewWriter(choose)
	c := Case{Name: name}
	for _, sch := range mine {
		c.Events = append(c.Events, w.Event(sch, generate.Random))
	}
	return append(out, c)
}

// chooser is seeded by the case's name, so that a case is the same whatever others there are.
func (s Selection) chooser(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(s.Seed, h.Sum64()))
}

func (s Selection) schemas() ([]*schema.Schema, error) {
	all := generate.Schemas()
	if s.Types == nil {
		return all, nil
	}
	var out []*schema.Schema
	found := map[string]bool{}
	for _, sch := range all {
		for _, t := range s.Types {
			if t == sch.Type() || t == typeName(sch.Type()) {
				found[t] = true
				out = append(out, sch)
				break
			}
		}
	}
	for _, t := range s.Types {
		if !found[t] {
			return nil, fmt.Errorf("there is no event type %q; types are written as in service.deployed, EiffelArtifactCreatedEvent or %s", t, typeName(generate.CustomType))
		}
	}
	return out, nil
}

// TypeNames are the event types of the generated cases as the report names them.
func TypeNames() []string {
	var out []string
	for _, s := range generate.Schemas() {
		if name := typeName(s.Type()); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

const (
	eventPrefix  = "dev.cdevents."
	customPrefix = "dev.cdeventsx."
)

// typeName is how the report names a type: a CDEvents type without its version and what all of them share.
func typeName(eventType string) string {
	if !strings.HasPrefix(eventType, eventPrefix) && !strings.HasPrefix(eventType, customPrefix) {
		return eventType
	}
	name := strings.TrimPrefix(eventType, eventPrefix)
	for range 3 {
		if dot := strings.LastIndexByte(name, '.'); dot > 0 {
			name = name[:dot]
		}
	}
	return name
}

// head is what the report knows of an event.
type head struct {
	protocol translate.Protocol
	name     string
	version  string
}

// readCase decodes the events of a case and makes sure that they are fit for a test.
func readCase(c *Case) ([]head, error) {
	var out []head
	for i, text := range c.Events {
		e, err := translate.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("case %s, event %d: %w", c.Name, i, err)
		}
		if findings := e.Validate(); len(findings) > 0 {
			return nil, fmt.Errorf("case %s, event %d: %w", c.Name, i, findings[0])
		}
		if i > 0 && e.Protocol != out[0].protocol {
			return nil, fmt.Errorf("case %s, event %d: an event of %s in a case of %s", c.Name, i, e.Protocol, out[0].protocol)
		}
		out = append(out, head{e.Protocol, typeName(e.Type), e.Version})
	}
	return out, nil
}
