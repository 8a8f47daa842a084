// Package mappings is the catalogue of what maps to what between CDEvents and Eiffel, as data: one row per event type
// and direction. The translation carries the rows out; the documentation is generated from them. A user's overlay (package
// mappings/overlay) adds rows, or puts others in their place.
package mappings

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

//go:embed catalogue.yaml
var catalogue []byte

// Any is the type of the row for every event type that has none of its own.
const Any = "*"

// Catalogue is the whole of the mappings. It is immutable once loaded and may be shared.
type Catalogue struct {
	Version int `yaml:"version"`
	// PublishedLevels are the names of the confidence levels that mean that a service was published.
	PublishedLevels []string       `yaml:"published_levels"`
	Activities      []Activity     `yaml:"activities"` // the first that fits counts
	Vocabularies    []Vocabulary   `yaml:"vocabularies"`
	ToEiffel        []ToEiffel     `yaml:"to_eiffel"`   // of the rows of a type, the first whose condition holds counts
	ToCDEvents      []ToCDEvents   `yaml:"to_cdevents"` // likewise
	Golden          []GoldenVector `yaml:"golden"`

	// ServiceID names the service of a deployment (EiffelArtifactDeployedEvent); nil: as mapping.md section 5 says. Only
	// overlays have one.
	ServiceID Expression `yaml:"-"`
}

// Activity tells what kind of CDEvents subject an Eiffel activity is, by its EiffelActivityTriggeredEvent.
type Activity struct {
	Kind       string     `yaml:"kind" json:"kind"`                       // the subject of the CDEvents: build, pipelinerun, ...
	Categories []string   `yaml:"categories" json:"categories,omitempty"` // any of these; whole words, of any case. The first is the one written
	Names      []string   `yaml:"names" json:"names,omitempty"`           // or a data.name that fits one of these patterns, in which * stands for any text
	When       Expression `yaml:"-" json:"when,omitempty"`                // or this holds; only overlays have one
}

// Vocabulary pairs the words of an enumeration.
type Vocabulary struct {
	Name  string  `yaml:"name" json:"name"`
	Words []Words `yaml:"words" json:"words"`
	// Otherwise is for all other words, and for none; empty: the member is left out.
	Otherwise struct {
		CDEvents string `yaml:"cdevents" json:"cdevents,omitempty"`
		Eiffel   string `yaml:"eiffel" json:"eiffel,omitempty"`
	} `yaml:"otherwise" json:"otherwise,omitzero"`
}

// Words are words of one meaning. The first of either side that the output's schema allows is written; all are read, those
// of CDEvents in any case.
type Words struct {
	CDEvents []string `yaml:"cdevents" json:"cdevents"`
	Eiffel   []string `yaml:"eiffel" json:"eiffel"`
}

// ToEiffel is a row of a CDEvents type.
type ToEiffel struct {
	CDEvent string     `yaml:"cdevent" json:"cdevent"`         // subject.predicate, or Any
	If      string     `yaml:"if" json:"if,omitempty"`         // the judgement on which the row depends
	When    Expression `yaml:"-" json:"when,omitempty"`        // the condition on which it depends; only overlays have one
	Eiffel  string     `yaml:"eiffel" json:"eiffel"`           // event type
	ID      string     `yaml:"id" json:"id"`                   // IDAnchor or IDEvent
	Links   []Link     `yaml:"links" json:"links,omitempty"`   // in order
	Data    []Field    `yaml:"data" json:"data,omitempty"`     // in order
	Custom  []Field    `yaml:"custom" json:"custom,omitempty"` // entries of data.customData; To is /KEY
	Learns  string     `yaml:"learns" json:"learns"`
	About   string     `yaml:"about" json:"about,omitempty"`
	// Origin says where the row stands, for people: the file and line of an overlay. Empty: the project's own catalogue.
	Origin string `yaml:"-" json:"origin,omitempty"`
}

// ToCDEvents is a row of an Eiffel event type.
type ToCDEvents struct {
	Eiffel  string     `yaml:"eiffel" json:"eiffel"`             // event type, or Any
	When    Expression `yaml:"-" json:"when,omitempty"`          // the condition on which the row depends; only overlays have one
	CDEvent []string   `yaml:"cdevent" json:"cdevent"`           // subject.predicate each; in an overlay also full types
	Choose  string     `yaml:"choose" json:"choose,omitempty"`   // the judgement among several
	Subject string     `yaml:"subject" json:"subject,omitempty"` // the judgement of the subject; empty: meta.id
	// SubjectID is the subject's id instead of what the judgement finds; only overlays have one.
	SubjectID Expression `yaml:"-" json:"subject_id,omitempty"`
	Links     []Relation `yaml:"-" json:"links,omitempty"`         // beside those of the event; only overlays have them
	Content   []Field    `yaml:"content" json:"content,omitempty"` // in order
	Learns    string     `yaml:"learns" json:"learns"`
	About     string     `yaml:"about" json:"about,omitempty"`
	Origin    string     `yaml:"-" json:"origin,omitempty"` // as of ToEiffel
}

// Link is a link that a row makes.
type Link struct {
	Type      string `yaml:"type" json:"type"`
	Target    string `yaml:"target" json:"target"`                 // one of the Target constants
	Anchor    string `yaml:"anchor" json:"anchor,omitempty"`       // Eiffel event type, for TargetAnchor
	Or        string `yaml:"or" json:"or,omitempty"`               // Eiffel event type that is taken in the anchor's place where the subject has one
	Subject   string `yaml:"subject" json:"subject,omitempty"`     // kind of the subject that the reference names
	Reference string `yaml:"reference" json:"reference,omitempty"` // JSON pointer to the reference
	Required  bool   `yaml:"required" json:"required,omitempty"`   // what nobody knows is synthesized
	With      []Link `yaml:"with" json:"with,omitempty"`           // what a synthesized anchor is linked to
	// Value is the context id or Eiffel id of the target, for TargetValue; only overlays have one.
	Value Expression `yaml:"-" json:"value,omitempty"`
}

// Relation is a link of linkType RELATION that a row of an overlay adds to a CDEvent.
type Relation struct {
	Kind  string     `json:"kind"`
	Value Expression `json:"value"` // the context id of the target
}

// Field is a member that a row writes: the first of From that is there, else what By says, else Const.
type Field struct {
	To         string     `yaml:"to" json:"to"`                           // JSON pointer below data, or below subject.content
	Was        string     `yaml:"was" json:"was,omitempty"`               // To in CDEvents 0.4 and 0.3
	From       []string   `yaml:"from" json:"from,omitempty"`             // JSON pointers into the event
	By         string     `yaml:"by" json:"by,omitempty"`                 // judgement
	Const      any        `yaml:"const" json:"const,omitempty"`           // a fixed value
	Vocabulary string     `yaml:"vocabulary" json:"vocabulary,omitempty"` // the words of From are translated by it
	Format     string     `yaml:"format" json:"format,omitempty"`         // uri or uri-reference: what is none is left out
	Fill       string     `yaml:"fill" json:"fill,omitempty"`             // whose id stands in for a required member that is missing: self, or the target of this link
	Value      Expression `yaml:"-" json:"value,omitempty"`               // computes the value; only overlays have one
}

// Expression is a compiled expression of an overlay. It is immutable and safe for concurrent use; it is pure, and bounded
// in cost.
type Expression interface {
	// JSON evaluates the expression and gives the value as compact JSON; nil for null, which leaves a member out. The
	// error names the expression's place in the overlay.
	JSON(in Input) ([]byte, error)
	// Holds evaluates a condition.
	Holds(in Input) (bool, error)
	// String is the expression's text.
	String() string
}

// Input is what an expression may look at.
type Input struct {
	Event   jsondoc.Value // the input event
	Subject Subject       // what it is about, as far as known: never empty for CDEvents, by the row's judgement for Eiffel
}

// Subject identifies a CDEvents subject (mapping.md section 2).
type Subject struct{ Kind, Source, ID string }

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
	TargetAnchor   = "anchor"   // the anchor of the subject that the reference names
	TargetPrevious = "previous" // the last version of the event's own anchor
	TargetRunning  = "running"  // the deployment that runs the service that the reference names, in the event's environment
	TargetTested   = "tested"   // the item under test
	TargetValue    = "value"    // what an expression gives
)

// What the ledger learns from a pair of events.
const (
	LearnAnchor      = "anchor"      // the event stands for its subject
	LearnMilestone   = "milestone"   // the subject has got an event of that type
	LearnIncarnation = "incarnation" // a service runs an artifact in an environment
	LearnRemoval     = "removal"     // it does so no longer
	LearnClosure     = "closure"     // the subject is gone, or has come to its end
	LearnEvent       = "event"       // nothing but the pair
)

// FillSelf is the Field.Fill that takes the event's own id.
const FillSelf = "self"

// Load reads the catalogue that comes with the project. Each call gives a catalogue of its own.
func Load() (*Catalogue, error) { return Parse(catalogue) }

// Parse reads a catalogue from YAML. Unknown keys and values are errors that name their line.
func Parse(text []byte) (*Catalogue, error) {
	c := &Catalogue{}
	if err := yaml.UnmarshalWithOptions(text, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	return c, nil
}

// Vocabulary is the vocabulary of that name, nil if there is none.
func (c *Catalogue) Vocabulary(name string) *Vocabulary {
	for i := range c.Vocabularies {
		if c.Vocabularies[i].Name == name {
			return &c.Vocabularies[i]
		}
	}
	return nil
}

// Validate checks what the catalogue says of itself; the engine checks the names of judgements and of event types. An error names
// the row.
func (c *Catalogue) Validate() error {
	if c.Version != 1 {
		return fmt.Errorf("version %d is not known; this program reads version 1", c.Version)
	}
	for _, a := range c.Activities {
		if a.Kind == "" || a.Kind != strings.ToLower(a.Kind) {
			return fmt.Errorf("activities: kind %q is not the subject of a CDEvent, in lower case", a.Kind)
		}
	}
	last := map[string]bool{} // types with an unconditional row, behind which no other counts
	for i := range c.ToEiffel {
		r := &c.ToEiffel[i]
		where := fmt.Sprintf("to_eiffel, row %q", r.CDEvent)
		if r.CDEvent != Any && len(strings.Split(r.CDEvent, ".")) != 2 {
			return fmt.Errorf("%s: cdevent is subject.predicate or %q", where, Any)
		}
		if last[r.CDEvent] {
			return fmt.Errorf("%s never counts: one before it has no condition", where)
		}
		last[r.CDEvent] = r.If == "" && r.When == nil
		if err := c.validateToEiffel(where, r); err != nil {
			return err
		}
	}
	if !last[Any] {
		return fmt.Errorf("to_eiffel has no row %q", Any)
	}
	last = map[string]bool{}
	for i := range c.ToCDEvents {
		r := &c.ToCDEvents[i]
		where := fmt.Sprintf("to_cdevents, row %q", r.Eiffel)
		if last[r.Eiffel] {
			return fmt.Errorf("%s never counts: one before it has no condition", where)
		}
		last[r.Eiffel] = r.When == nil
		if err := learns(where, r.Learns); err != nil {
			return err
		}
		if len(r.CDEvent) > 1 && r.Choose == "" {
			return fmt.Errorf("%s: choose is missing: there are %d CDEvents to choose from", where, len(r.CDEvent))
		}
		if err := c.fields(where, r.Content); err != nil {
			return err
		}
	}
	if !last[Any] {
		return fmt.Errorf("to_cdevents has no row %q", Any)
	}
	return nil
}

func (c *Catalogue) validateToEiffel(where string, r *ToEiffel) error {
	if err := oneOf(where, "id", r.ID, IDAnchor, IDEvent); err != nil {
		return err
	}
	if err := learns(where, r.Learns); err != nil {
		return err
	}
	for _, l := range r.Links {
		link := "the link " + l.Type
		if err := oneOf(where, "target of "+link, l.Target, TargetAnchor, TargetPrevious, TargetRunning, TargetTested, TargetValue); err != nil {
			return err
		}
		switch {
		case l.Target == TargetAnchor && (l.Anchor == "" || l.Subject == "" || l.Reference == ""):
			return fmt.Errorf("%s: %s to an anchor needs anchor, subject and reference", where, link)
		case l.Target == TargetRunning && l.Reference == "":
			return fmt.Errorf("%s: %s to what runs needs the reference to the service", where, link)
		case l.Target == TargetValue && l.Value == nil:
			return fmt.Errorf("%s: %s needs a value", where, link)
		}
	}
	if err := c.fields(where, r.Data); err != nil {
		return err
	}
	return c.fields(where, r.Custom)
}

func (c *Catalogue) fields(where string, list []Field) error {
	for _, f := range list {
		if !strings.HasPrefix(f.To, "/") {
			return fmt.Errorf("%s: %q is no JSON pointer", where, f.To)
		}
		if len(f.From) == 0 && f.By == "" && f.Const == nil && f.Value == nil {
			return fmt.Errorf("%s: %s has none of from, by, const and value", where, f.To)
		}
		if f.Format != "" && f.Format != "uri" && f.Format != "uri-reference" {
			return fmt.Errorf("%s: %s: format %q is not known; uri and uri-reference are", where, f.To, f.Format)
		}
		if f.Vocabulary != "" && c.Vocabulary(f.Vocabulary) == nil {
			return fmt.Errorf("%s: %s: there is no vocabulary %q", where, f.To, f.Vocabulary)
		}
	}
	return nil
}

func learns(where, value string) error {
	return oneOf(where, "learns", value, LearnAnchor, LearnMilestone, LearnIncarnation, LearnRemoval, LearnClosure, LearnEvent)
}

func oneOf(where, key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %s is %q; allowed are %s", where, key, value, strings.Join(allowed, ", "))
}
