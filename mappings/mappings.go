// Package mappings is the catalogue of what maps to what between CDEvents and Eiffel, as data: rows by event type and direction,
// and beside them the anchors, the vocabularies and the words that people read. The translation carries it out; explain and the
// documentation are made from it. A user's overlay (package mappings/overlay) has the same form, with expressions besides: it
// adds rows, changes some, or puts others in their place.
//
// The files of the project's own catalogue are in the folder catalogue, one for each family of events; its README says what the
// keys mean.
package mappings

import "strings"

// Any is the type of the row for every event type that has none of its own.
const Any = "*"

// Catalogue is the whole of the mappings. It is immutable once loaded and may be shared.
type Catalogue struct {
	Version int `yaml:"version"`

	EveryEvent   []Rule             `yaml:"every_event"` // what is done with every event, whatever its row says
	LinkRules    []Rule             `yaml:"link_rules"`  // likewise with its links
	Notes        Notes              `yaml:"notes"`
	Anchors      []Anchor           `yaml:"anchors"`
	Activities   []Activity         `yaml:"activities"` // the first that fits counts
	Vocabularies []Vocabulary       `yaml:"vocabularies"`
	Fields       map[string][]Field `yaml:"fields"`      // fields that several rows include, by name
	ToEiffel     []ToEiffel         `yaml:"to_eiffel"`   // of the rows of a type, the first whose condition holds counts
	ToCDEvents   []ToCDEvents       `yaml:"to_cdevents"` // likewise
	Golden       []GoldenVector     `yaml:"golden"`
	Codes        Codes              `yaml:"codes"`
	Judgements   Judgements         `yaml:"judgements"`

	// PublishedLevels are the names of the confidence levels that mean that a service was published; nil: the name that the row
	// of service.published writes.
	PublishedLevels []string `yaml:"published_levels"`
	// ServiceID names the service of a deployment (EiffelArtifactDeployedEvent); nil: as docs/mapping.md says ("Services and
	// environments"). Only overlays have one.
	ServiceID Expression `yaml:"service_id"`
}

// Rule is something that is done with every event, in words for people.
type Rule struct {
	Name     string            `yaml:"name"`     // by which the translation names it; empty: it does not
	CDEvents string            `yaml:"cdevents"` // where it stands in a CDEvent, in Markdown; empty: nowhere
	Eiffel   string            `yaml:"eiffel"`   // likewise
	Says     string            `yaml:"says"`     // what is done, in Markdown
	Explain  map[string]string `yaml:"explain"`  // the rules of moves, by case
}

// Notes say what else is done with every event, in Markdown.
type Notes struct {
	Links         string `yaml:"links"`
	ItemUnderTest string `yaml:"item_under_test"`
	CustomData    string `yaml:"custom_data"`
	CustomEvents  string `yaml:"custom_events"`
}

// Anchor is a type of the Eiffel events that stand for subjects, to which others link (docs/mapping.md, "Anchors").
type Anchor struct {
	Eiffel   string   `yaml:"eiffel" json:"eiffel"`     // event type
	Subjects []string `yaml:"subjects" json:"subjects"` // the kinds of CDEvents subjects; several of them are told apart by Activities
	// Data are the members of one that is made up from a reference, in order; nil: none of this type is ever made up.
	Data []AnchorField `yaml:"data" json:"data,omitempty"`
}

// AnchorField is a member of an anchor that is made up.
type AnchorField struct {
	To string `yaml:"to" json:"to"` // JSON pointer below data
	Is string `yaml:"is" json:"is"` // one of the Is constants
	// From are JSON pointers to the name in an event about the subject, for IsName, where no row makes the anchor of that kind.
	From []string `yaml:"from" json:"from,omitempty"`
}

// What a member of an anchor says of its subject.
const (
	IsID       = "id"
	IsSource   = "source"
	IsPurl     = "purl"     // the id of an artifact
	IsName     = "name"     // what the row that makes the anchor writes there, of an event about the subject; else its id
	IsCategory = "category" // the category that Activities has for the kind, in a list
)

// Activity tells what kind of CDEvents subject an Eiffel activity is, by its EiffelActivityTriggeredEvent.
type Activity struct {
	Kind       string     `yaml:"kind" json:"kind"`                       // the subject of the CDEvents: build, pipelinerun, ...
	Categories []string   `yaml:"categories" json:"categories,omitempty"` // any of these; whole words, of any case. The first is the one written
	Names      []string   `yaml:"names" json:"names,omitempty"`           // or a data.name that fits one of these patterns, in which * stands for any text
	When       Expression `yaml:"when" json:"when,omitempty"`             // or this holds; only overlays have one
}

// Vocabulary pairs the words of an enumeration.
type Vocabulary struct {
	Name   string  `yaml:"name" json:"name"`
	Extend bool    `yaml:"extend" json:"-"` // in an overlay: the words are added to those that are there
	Words  []Words `yaml:"words" json:"words"`
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
	CDEvents []string   `yaml:"cdevent" json:"-"`               // in a file: the types that the row is written for. Loading makes a row of each
	CDEvent  string     `yaml:"-" json:"cdevent"`               // subject.predicate, or Any
	Disable  bool       `yaml:"disable" json:"-"`               // in an overlay: the rows of the type are taken away
	Extend   bool       `yaml:"extend" json:"-"`                // in an overlay: the rows of the type are changed, those that If and Eiffel name
	If       string     `yaml:"if" json:"if,omitempty"`         // the judgement on which the row depends
	When     Expression `yaml:"when" json:"when,omitempty"`     // the condition on which it depends; only overlays have one
	Eiffel   string     `yaml:"eiffel" json:"eiffel"`           // event type
	ID       string     `yaml:"id" json:"id"`                   // IDAnchor or IDEvent
	Links    []Link     `yaml:"links" json:"links,omitempty"`   // in order
	Data     []Field    `yaml:"data" json:"data,omitempty"`     // in order
	Custom   []Field    `yaml:"custom" json:"custom,omitempty"` // entries of data.customData; To is /KEY
	Learns   string     `yaml:"learns" json:"learns"`
	About    string     `yaml:"about" json:"about,omitempty"`
	// Origin says where the row stands, for people: the file and line of an overlay. Empty: the project's own catalogue.
	Origin string `yaml:"-" json:"origin,omitempty"`
}

// ToCDEvents is a row of an Eiffel event type.
type ToCDEvents struct {
	Eiffels []string   `yaml:"eiffel" json:"-"`                // in a file: the types that the row is written for. Loading makes a row of each
	Eiffel  string     `yaml:"-" json:"eiffel"`                // event type, or Any
	Disable bool       `yaml:"disable" json:"-"`               // as of ToEiffel
	Extend  bool       `yaml:"extend" json:"-"`                // as of ToEiffel
	When    Expression `yaml:"when" json:"when,omitempty"`     // the condition on which the row depends; only overlays have one
	CDEvent []string   `yaml:"cdevent" json:"cdevent"`         // subject.predicate each; in an overlay also full types
	Choose  string     `yaml:"choose" json:"choose,omitempty"` // the judgement among several
	// ChooseLink decides among two: the second where the event has a link of that type.
	ChooseLink string `yaml:"choose_link" json:"choose_link,omitempty"`
	// Subject is the judgement of the subject, and SubjectFrom where it stands; without either it is the event itself.
	Subject     string       `yaml:"subject" json:"subject,omitempty"`
	SubjectFrom *SubjectFrom `yaml:"subject_from" json:"subject_from,omitempty"`
	// SubjectID is the subject's id instead of what these find; only overlays have one.
	SubjectID   Expression `yaml:"subject_id" json:"subject_id,omitempty"`
	Environment string     `yaml:"environment" json:"environment,omitempty"` // the judgement of the environment
	Links       []Relation `yaml:"links" json:"links,omitempty"`             // beside those of the event; only overlays have them
	Content     []Field    `yaml:"content" json:"content,omitempty"`         // in order
	Learns      string     `yaml:"learns" json:"learns"`
	About       string     `yaml:"about" json:"about,omitempty"`
	Origin      string     `yaml:"-" json:"origin,omitempty"` // as of ToEiffel
}

// SubjectFrom is where the subject of an Eiffel event stands.
type SubjectFrom struct {
	// Link leads to the event whose subject it is; what is not known of that is missing for Wanted, and the rest stands in.
	Link   string `yaml:"link" json:"link,omitempty"`
	Wanted string `yaml:"wanted" json:"wanted,omitempty"` // a JSON pointer, or "type"
	// Within makes it the subject of the event that this link leads to, if that is of Kind.
	Within string   `yaml:"within" json:"within,omitempty"`
	Kind   string   `yaml:"kind" json:"kind"`
	ID     []string `yaml:"id" json:"id,omitempty"`         // JSON pointers; the first that is there counts. Else the target of Link or meta.id
	Source []string `yaml:"source" json:"source,omitempty"` // likewise. Else the event's
}

// Link is a link that a row makes.
type Link struct {
	Type   string `yaml:"type" json:"type"`
	Target string `yaml:"target" json:"target"`           // one of the Target constants
	Anchor string `yaml:"anchor" json:"anchor,omitempty"` // Eiffel event type, for TargetAnchor
	Or     string `yaml:"or" json:"or,omitempty"`         // Eiffel event type that is taken in the anchor's place where the subject has one
	// Also are types that stand for the subject as well when the event is read back.
	Also      []string `yaml:"also" json:"also,omitempty"`
	Subject   string   `yaml:"subject" json:"subject,omitempty"`     // kind of the subject that the reference names; empty for /subject
	Reference string   `yaml:"reference" json:"reference,omitempty"` // JSON pointer to the reference
	Required  bool     `yaml:"required" json:"required,omitempty"`   // what nobody knows is synthesized
	With      []Link   `yaml:"with" json:"with,omitempty"`           // what a synthesized anchor is linked to
	// Value is the context id or Eiffel id of the target, for TargetValue; only overlays have one.
	Value  Expression `yaml:"value" json:"value,omitempty"`
	Remove bool       `yaml:"remove" json:"-"` // in an overlay that extends: the links of the type are taken away
}

// Reads are JSON pointers to the members of the event by which the link, and those With it, find their targets.
func (l *Link) Reads() []string {
	var out []string
	if l.Reference != "" && l.Reference != OwnSubject {
		out = append(out, l.Reference)
	}
	if l.Target == TargetRunning || l.Target == TargetTested {
		out = append(out, "/subject/content/environment")
	}
	for i := range l.With {
		out = append(out, l.With[i].Reads()...)
	}
	return out
}

// Relation is a link of linkType RELATION that a row of an overlay adds to a CDEvent.
type Relation struct {
	Kind   string     `yaml:"kind" json:"kind"`
	Value  Expression `yaml:"value" json:"value"` // the context id of the target
	Remove bool       `yaml:"remove" json:"-"`    // as of Link
}

// Field is a member that a row writes: the first of From that is there, else what By, NameOf or Within says, else Text, else Const. Of several fields
// of one place, one after the other, the first that gives something counts.
type Field struct {
	Include string   `yaml:"include" json:"-"`             // in a file: the fields of that name stand here
	To      string   `yaml:"to" json:"to"`                 // JSON pointer below data, or below subject.content
	Was     string   `yaml:"was" json:"was,omitempty"`     // To in CDEvents 0.4 and 0.3
	Needs   string   `yaml:"needs" json:"needs,omitempty"` // JSON pointer: the field counts only where the event has that member
	From    []string `yaml:"from" json:"from,omitempty"`   // JSON pointers into the event, or From constants. What a member that is a reference takes is its id
	By      string   `yaml:"by" json:"by,omitempty"`       // judgement
	// NameOf is a link type of an Eiffel event: the name that the event has to which such a link leads.
	NameOf string `yaml:"name_of" json:"name_of,omitempty"`
	// Within refers to what an Eiffel event stands in.
	Within *Within `yaml:"within" json:"within,omitempty"`
	// Text is a text; {JSON pointer} stands for that member in it, and {event} for what happened: "service deployed", or the whole
	// type of an event that is not of CDEvents' making.
	Text       string     `yaml:"text" json:"text,omitempty"`
	Const      any        `yaml:"const" json:"const,omitempty"`           // a fixed value
	Vocabulary string     `yaml:"vocabulary" json:"vocabulary,omitempty"` // the words of From are translated by it
	Format     string     `yaml:"format" json:"format,omitempty"`         // uri or uri-reference: what is none is left out
	Fill       string     `yaml:"fill" json:"fill,omitempty"`             // whose id stands in for a required member that is missing: self, or the target of this link
	OneWay     bool       `yaml:"one_way" json:"one_way,omitempty"`       // the value does not come back from there
	Value      Expression `yaml:"value" json:"value,omitempty"`           // computes the value; only overlays have one
	Remove     bool       `yaml:"remove" json:"-"`                        // in an overlay that extends: the field is taken away
}

// Within is the subject of the first event of a kind to which links of a type lead, from the event itself and, if Via is given, from the
// event to which that link leads.
type Within struct {
	Kind string `yaml:"kind" json:"kind"`
	Link string `yaml:"link" json:"link"`
	Via  string `yaml:"via" json:"via,omitempty"`
}

// What Field.From may name beside JSON pointers.
const (
	FromSource        = "source"         // the source of the event as a CDEvent has it
	FromSubjectSource = "subject/source" // the source of a CDEvent's subject: its own, else the event's
	FromCategory      = "category"       // the category that Activities has for the subject's kind, in a list
	FromCustom        = "custom/"        // and a key: the value of the first entry of Eiffel's custom data that has it
)

// Codes are the codes by which results and errors say what there is to say, each with what it means in Markdown. Package translate
// has them as constants.
type Codes struct {
	Errors      []Code `yaml:"errors"`
	Losses      []Code `yaml:"losses"`
	Diagnostics []Code `yaml:"diagnostics"`
}

// Code is one of them.
type Code struct {
	Code string `yaml:"code" json:"code"`
	Go   string `yaml:"go" json:"-"`      // the name of its constant
	Says string `yaml:"says" json:"says"` // what it means, behind the code
}

// Judgements say in Markdown what the judgements decide, by the key of the row that names them; links begin at
// docs/mappings/<protocol>.
type Judgements struct {
	If          map[string]string `yaml:"if"`
	Data        map[string]string `yaml:"data"` // by of a member of data or an entry of custom
	Choose      map[string]string `yaml:"choose"`
	Subject     map[string]string `yaml:"subject"`
	Environment map[string]string `yaml:"environment"`
	Content     map[string]string `yaml:"content"` // by of a member of content
}

// Expression is a compiled expression of an overlay. It is immutable and safe for concurrent use; it is pure, and bounded
// in cost.
type Expression interface {
	// JSON evaluates the expression and gives the value as compact JSON; nil for null, which leaves a member out. The
	// error names the expression's place in the overlay.
	JSON(in Input) ([]byte, error)
	// Holds evaluates a condition.
	Holds(in Input) (bool, error)
	// Reads are JSON pointers to the members of the event that the expression names. It must not be changed.
	Reads() []string
	// String is the expression's text.
	String() string
}

// Input is what an expression may look at.
type Input struct {
	Event   JSON    // the input event
	Subject Subject // what it is about, as far as known: never empty for CDEvents, by the row's judgement for Eiffel
}

// JSON is a JSON value. An expression reads one that has been parsed faster than others.
type JSON interface {
	// Raw is the text, compact. It must not be changed.
	Raw() []byte
}

// Subject identifies a CDEvents subject (docs/mapping.md, "Subjects").
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

// OwnSubject is the Link.Reference that names what the event is about.
const OwnSubject = "/subject"

// Vocabulary is the vocabulary of that name, nil if there is none.
func (c *Catalogue) Vocabulary(name string) *Vocabulary {
	for i := range c.Vocabularies {
		if c.Vocabularies[i].Name == name {
			return &c.Vocabularies[i]
		}
	}
	return nil
}

// Explain is how explain says what is done with every event by a rule, in a case of it; empty if the catalogue does not say it.
func (c *Catalogue) Explain(rule, in string) string {
	for i := range c.EveryEvent {
		if c.EveryEvent[i].Name == rule {
			return c.EveryEvent[i].Explain[in]
		}
	}
	return ""
}

// A Level is a confidence level that stands for a CDEvent: the row of that type writes it.
type Level struct {
	CDEvent string   // subject.predicate
	Name    string   // data.name as the row writes it
	Names   []string // data.name as it is read: by any of these
	Value   string   // data.value
	Kind    string   // of the subject
	Types   []string // of the events that a SUBJECT link may lead to
}

// ConfidenceLevel is the Eiffel event type of confidence levels, and deployment that of what runs.
const (
	ConfidenceLevel = "EiffelConfidenceLevelModifiedEvent"
	deployment      = "EiffelArtifactDeployedEvent"
)

// servicePublished is the CDEvent that PublishedLevels are about.
const servicePublished = "service.published"

// Levels are the confidence levels that rows to Eiffel write about their subject, in the order of the rows: their names stand in
// those rows alone.
func (c *Catalogue) Levels() []Level {
	var levels []Level
	for i := range c.ToEiffel {
		r := &c.ToEiffel[i]
		name, value := constant(r.Data, "/name"), constant(r.Data, "/value")
		if r.Eiffel != ConfidenceLevel || name == "" || value == "" {
			continue
		}
		for _, l := range r.Links {
			if l.Type != "SUBJECT" || l.Reference != OwnSubject {
				continue
			}
			kind, _, _ := strings.Cut(r.CDEvent, ".")
			level := Level{CDEvent: r.CDEvent, Name: name, Names: []string{name}, Value: value, Kind: kind, Types: l.Also}
			switch l.Target {
			case TargetAnchor:
				level.Types = append([]string{l.Anchor}, l.Also...)
			case TargetRunning:
				level.Types = append([]string{deployment}, l.Also...)
			}
			if r.CDEvent == servicePublished && c.PublishedLevels != nil {
				level.Names = c.PublishedLevels
			}
			levels = append(levels, level)
		}
	}
	return levels
}

// constant is the text that a row writes at a place, if one field writes that and nothing else; empty if none does.
func constant(fields []Field, to string) string {
	found := ""
	for i := range fields {
		f := &fields[i]
		if f.To != to {
			continue
		}
		text, ok := f.Const.(string)
		if !ok || found != "" || len(f.From) > 0 || f.By != "" || f.Text != "" || f.Needs != "" {
			return ""
		}
		found = text
	}
	return found
}
