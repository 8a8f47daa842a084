// Package mappings is the catalogue of what maps to what between CDEvents and Eiffel, as data: one row per event type
// and direction. The translation carries the rows out; the documentation is generated from them.
package mappings

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed catalogue.yaml
var catalogue []byte

// Any is the type of the row for every event type that has none of its own.
const Any = "*"

// Catalogue is the whole of the mappings. It is immutable once loaded and may be shared.
type Catalogue struct {
	Version    int            `yaml:"version"`
	ToEiffel   []ToEiffel     `yaml:"to_eiffel"`
	ToCDEvents []ToCDEvents   `yaml:"to_cdevents"`
	Golden     []GoldenVector `yaml:"golden"`
}

// ToEiffel is the row of a CDEvents type.
type ToEiffel struct {
	CDEvent string  `yaml:"cdevent" json:"cdevent"` // subject.predicate, or Any
	Eiffel  string  `yaml:"eiffel" json:"eiffel"`
	ID      string  `yaml:"id" json:"id"` // IDAnchor or IDEvent
	Links   []Link  `yaml:"links" json:"links,omitempty"`
	Data    []Field `yaml:"data" json:"data,omitempty"`
	Learns  string  `yaml:"learns" json:"learns"`
	About   string  `yaml:"about" json:"about,omitempty"`
}

// ToCDEvents is the row of an Eiffel event type.
type ToCDEvents struct {
	Eiffel  string   `yaml:"eiffel" json:"eiffel"`             // event type, or Any
	CDEvent []string `yaml:"cdevent" json:"cdevent"`           // subject.predicate each
	Choose  string   `yaml:"choose" json:"choose,omitempty"`   // the judgement among several
	Subject string   `yaml:"subject" json:"subject,omitempty"` // the judgement of the subject; empty: meta.id
	Content []Field  `yaml:"content" json:"content,omitempty"`
	Learns  string   `yaml:"learns" json:"learns"`
	About   string   `yaml:"about" json:"about,omitempty"`
}

// Link is a link that a row makes.
type Link struct {
	Type      string `yaml:"type" json:"type"`
	Target    string `yaml:"target" json:"target"` // TargetAnchor, TargetPrevious or TargetRunning
	Anchor    string `yaml:"anchor" json:"anchor,omitempty"`
	Subject   string `yaml:"subject" json:"subject,omitempty"`
	Reference string `yaml:"reference" json:"reference,omitempty"`
	Required  bool   `yaml:"required" json:"required,omitempty"`
}

// Field is a member that a row writes.
type Field struct {
	To     string   `yaml:"to" json:"to"`
	Was    string   `yaml:"was" json:"was,omitempty"`
	From   []string `yaml:"from" json:"from,omitempty"`
	By     string   `yaml:"by" json:"by,omitempty"`
	Format string   `yaml:"format" json:"format,omitempty"`
}

// GoldenVector is a name and the id that it must give, in every version of the project.
type GoldenVector struct {
	For  string   `yaml:"for"`
	Name []string `yaml:"name"`
	ID   string   `yaml:"id"`
}

// The ways in which a row makes the id of its event.
const (
	IDAnchor = "anchor"
	IDEvent  = "event"
)

// The targets of a row's link.
const (
	TargetAnchor   = "anchor"
	TargetPrevious = "previous"
	TargetRunning  = "running"
)

// What the ledger learns from a pair of events.
const (
	LearnAnchor      = "anchor"
	LearnIncarnation = "incarnation"
	LearnRemoval     = "removal"
	LearnClosure     = "closure"
	LearnEvent       = "event"
)

// Load reads the catalogue that comes with the project. Each call gives a catalogue of its own.
func Load() (*Catalogue, error) { return Parse(catalogue) }

// Parse reads a catalogue from YAML. Unknown keys and values are errors that name their line.
func Parse(text []byte) (*Catalogue, error) {
	c := &Catalogue{}
	if err := yaml.UnmarshalWithOptions(text, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	return c, nil
}

func (c *Catalogue) validate() error {
	if c.Version != 1 {
		return fmt.Errorf("version %d is not known; this program reads version 1", c.Version)
	}
	seen := map[string]bool{}
	for _, r := range c.ToEiffel {
		where := fmt.Sprintf("to_eiffel, row %q", r.CDEvent)
		if r.CDEvent != Any && len(strings.Split(r.CDEvent, ".")) != 2 {
			return fmt.Errorf("%s: cdevent is subject.predicate or %q", where, Any)
		}
		if seen[r.CDEvent] {
			return fmt.Errorf("%s stands twice", where)
		}
		seen[r.CDEvent] = true
		if err := oneOf(where, "id", r.ID, IDAnchor, IDEvent); err != nil {
			return err
		}
		if err := learns(where, r.Learns); err != nil {
			return err
		}
		for _, l := range r.Links {
			if err := oneOf(where, "target of the link "+l.Type, l.Target, TargetAnchor, TargetPrevious, TargetRunning); err != nil {
				return err
			}
			if l.Target == TargetAnchor && (l.Anchor == "" || l.Subject == "" || l.Reference == "") {
				return fmt.Errorf("%s: the link %s to an anchor needs anchor, subject and reference", where, l.Type)
			}
		}
		if err := fields(where, r.Data); err != nil {
			return err
		}
	}
	if !seen[Any] {
		return fmt.Errorf("to_eiffel has no row %q", Any)
	}
	seen = map[string]bool{}
	for _, r := range c.ToCDEvents {
		where := fmt.Sprintf("to_cdevents, row %q", r.Eiffel)
		if seen[r.Eiffel] {
			return fmt.Errorf("%s stands twice", where)
		}
		seen[r.Eiffel] = true
		if err := learns(where, r.Learns); err != nil {
			return err
		}
		if len(r.CDEvent) > 1 && r.Choose == "" {
			return fmt.Errorf("%s: choose is missing: there are %d CDEvents to choose from", where, len(r.CDEvent))
		}
		if err := fields(where, r.Content); err != nil {
			return err
		}
	}
	if !seen[Any] {
		return fmt.Errorf("to_cdevents has no row %q", Any)
	}
	return nil
}

func fields(where string, list []Field) error {
	for _, f := range list {
		if !strings.HasPrefix(f.To, "/") {
			return fmt.Errorf("%s: %q is no JSON pointer", where, f.To)
		}
		if len(f.From) == 0 && f.By == "" {
			return fmt.Errorf("%s: %s has neither from nor by", where, f.To)
		}
		if f.Format != "" && f.Format != "uri" {
			return fmt.Errorf("%s: %s: format %q is not known; uri is", where, f.To, f.Format)
		}
	}
	return nil
}

func learns(where, value string) error {
	return oneOf(where, "learns", value, LearnAnchor, LearnIncarnation, LearnRemoval, LearnClosure, LearnEvent)
}

func oneOf(where, key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %s is %q; allowed are %s", where, key, value, strings.Join(allowed, ", "))
}
