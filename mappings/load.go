package mappings

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
)

//go:embed catalogue/*.yaml
var catalogue embed.FS

// files are those of the project's own catalogue, in the order of its rows.
var files = []string{
	"catalogue", "anchors", "vocabularies", "codes", "environments", "services", "runs", "artifacts", "changes", "tests", "tickets", "incidents",
	"others", "golden",
}

// Load reads the catalogue that comes with the project. Each call gives a catalogue of its own.
func Load() (*Catalogue, error) {
	parts, errs := make([]*Catalogue, len(files)), make([]error, len(files))
	var reading sync.WaitGroup
	for i, name := range files {
		reading.Go(func() { // it is most of what a command needs to begin
			text, err := catalogue.ReadFile("catalogue/" + name + ".yaml")
			if err == nil {
				parts[i], err = read(text)
			}
			if err != nil {
				errs[i] = fmt.Errorf("read the catalogue: %s.yaml: %w", name, err)
			}
		})
	}
	reading.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	whole := &Catalogue{}
	for _, part := range parts {
		whole.add(part)
	}
	return whole, whole.finish()
}

// Parse reads a whole catalogue from one YAML document. The error names all problems, each with its line, or the row at fault. It
// has no expressions: those are for overlays.
func Parse(text []byte) (*Catalogue, error) {
	c, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	return c, c.finish()
}

func read(text []byte) (*Catalogue, error) {
	doc := strictyaml.ParseVerbatim(text)
	strictyaml.TextsAs(doc, func(key string, t strictyaml.Text) Expression {
		doc.Report(key, "is an expression, which only an overlay has")
		return nil
	})
	c := &Catalogue{}
	doc.Into(c)
	var wrong []error
	for _, p := range doc.Problems() {
		wrong = append(wrong, errors.New(p.String()))
	}
	return c, errors.Join(wrong...)
}

// add takes in what another file has.
func (c *Catalogue) add(part *Catalogue) {
	c.Version = max(c.Version, part.Version)
	c.EveryEvent = append(c.EveryEvent, part.EveryEvent...)
	c.LinkRules = append(c.LinkRules, part.LinkRules...)
	if part.Notes != (Notes{}) {
		c.Notes = part.Notes
	}
	c.Anchors = append(c.Anchors, part.Anchors...)
	c.Activities = append(c.Activities, part.Activities...)
	c.Vocabularies = append(c.Vocabularies, part.Vocabularies...)
	c.ToEiffel = append(c.ToEiffel, part.ToEiffel...)
	c.ToCDEvents = append(c.ToCDEvents, part.ToCDEvents...)
	c.Golden = append(c.Golden, part.Golden...)
	c.Codes.Errors = append(c.Codes.Errors, part.Codes.Errors...)
	c.Codes.Losses = append(c.Codes.Losses, part.Codes.Losses...)
	c.Codes.Diagnostics = append(c.Codes.Diagnostics, part.Codes.Diagnostics...)
	c.Fields = joined(c.Fields, part.Fields)
	for _, j := range [...]struct{ whole, part *map[string]string }{
		{&c.Judgements.If, &part.Judgements.If}, {&c.Judgements.Data, &part.Judgements.Data},
		{&c.Judgements.Choose, &part.Judgements.Choose}, {&c.Judgements.Subject, &part.Judgements.Subject},
		{&c.Judgements.Environment, &part.Judgements.Environment}, {&c.Judgements.Content, &part.Judgements.Content},
	} {
		*j.whole = joined(*j.whole, *j.part)
	}
}

func joined[V any](a, b map[string]V) map[string]V {
	if a == nil {
		return b
	}
	maps.Copy(a, b)
	return a
}

// finish makes a row of each type that a row is written for, puts fields in where they are included, and checks the whole.
func (c *Catalogue) finish() error {
	toEiffel, toCDEvents := c.ToEiffel, c.ToCDEvents
	c.ToEiffel, c.ToCDEvents = nil, nil
	for _, r := range toEiffel {
		types := r.CDEvents
		r.CDEvents, r.Data, r.Custom = nil, c.Included(r.Data), c.Included(r.Custom)
		for _, r.CDEvent = range types {
			r.Links = own(r.Links, r.CDEvent)
			c.ToEiffel = append(c.ToEiffel, r)
		}
	}
	for _, r := range toCDEvents {
		types := r.Eiffels
		r.Eiffels, r.Content = nil, c.Included(r.Content)
		for _, r.Eiffel = range types {
			c.ToCDEvents = append(c.ToCDEvents, r)
		}
	}
	c.Complete()
	if err := c.Validate(); err != nil {
		return fmt.Errorf("read the catalogue: %w", err)
	}
	return nil
}

// Included puts the fields of the catalogue in the place of those that include them.
func (c *Catalogue) Included(list []Field) []Field {
	var out []Field
	for _, f := range list {
		if named, ok := c.Fields[f.Include]; ok {
			out = append(out, named...)
		} else {
			out = append(out, f)
		}
	}
	return out
}

// own fills in the kind of subject for links whose reference is what the event is about.
func own(links []Link, cdevent string) []Link {
	links = slices.Clone(links)
	for i := range links {
		if links[i].Reference == OwnSubject && links[i].Target == TargetAnchor {
			links[i].Subject, _, _ = strings.Cut(cdevent, ".")
		}
	}
	return links
}

// Complete tells the row that reads confidence levels which CDEvents they stand for, and what the rows of those write into custom data.
// Whoever changes rows calls it.
func (c *Catalogue) Complete() {
	for i := range c.ToCDEvents {
		r := &c.ToCDEvents[i]
		if r.Choose != ChooseLevel {
			continue
		}
		var levels []string
		for _, l := range c.Levels() {
			subject, predicate, _ := strings.Cut(l.CDEvent, ".")
			if !schema.KnowsCDEvent(subject, predicate) {
				continue
			}
			if !slices.Contains(r.CDEvent, l.CDEvent) && !slices.Contains(levels, l.CDEvent) {
				levels = append(levels, l.CDEvent)
			}
			r.Content = c.readBack(r.Content, l.CDEvent)
		}
		r.CDEvent = append(levels, r.CDEvent...)
	}
}

// readBack adds the members of content that the rows of a CDEvent write into custom data.
func (c *Catalogue) readBack(content []Field, cdevent string) []Field {
	for _, r := range c.ToEiffel {
		if r.CDEvent != cdevent || r.Eiffel != ConfidenceLevel {
			continue
		}
		for _, f := range r.Custom {
			to, ok := "", false
			if len(f.From) == 1 && f.Vocabulary == "" {
				to, ok = strings.CutPrefix(f.From[0], "/subject/content")
			}
			if ok && !slices.ContainsFunc(content, func(k Field) bool { return k.To == to }) {
				content = append(slices.Clip(content), Field{To: to, From: []string{FromCustom + f.To[1:]}})
			}
		}
	}
	return content
}

// ChooseLevel is the ToCDEvents.Choose by which Levels decide.
const ChooseLevel = "level"

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
	levels := c.Levels()
	for i, l := range levels {
		for _, other := range levels[:i] {
			if l.CDEvent != other.CDEvent && l.Value == other.Value && meet(l.Names, other.Names) && meet(l.Types, other.Types) {
				return fmt.Errorf("to_eiffel, rows %q and %q: the confidence level %s is that of both, on %s", other.CDEvent, l.CDEvent, l.Name, strings.Join(l.Types, ", "))
			}
		}
	}
	for _, a := range c.Anchors {
		if err := a.validate(); err != nil {
			return fmt.Errorf("anchors, %s: %w", a.Eiffel, err)
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
		if err := c.validateToCDEvents(where, r); err != nil {
			return err
		}
	}
	if !last[Any] {
		return fmt.Errorf("to_cdevents has no row %q", Any)
	}
	return nil
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func (a *Anchor) validate() error {
	if len(a.Subjects) == 0 {
		return errors.New("subjects is missing: the kinds of subjects that it stands for")
	}
	ids := 0
	for _, f := range a.Data {
		if !strings.HasPrefix(f.To, "/") {
			return fmt.Errorf("%q is no JSON pointer", f.To)
		}
		if err := oneOf(f.To, "is", f.Is, IsID, IsSource, IsPurl, IsName, IsCategory); err != nil {
			return err
		}
		if f.Is == IsID || f.Is == IsPurl || f.Is == IsName {
			ids++
		}
		if f.Is == IsPurl && !slices.Equal(a.Subjects, []string{"artifact"}) {
			return fmt.Errorf("%s: only an artifact has a purl", f.To)
		}
	}
	if a.Data != nil && ids != 1 {
		return fmt.Errorf("one member is the %s, the %s or the %s, by which the subject is found again; %d are", IsID, IsName, IsPurl, ids)
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
	for _, list := range [][]Field{r.Data, r.Custom} {
		if err := c.fields(where, list); err != nil {
			return err
		}
		for _, f := range list {
			if f.NameOf != "" || f.Within != nil {
				return fmt.Errorf("%s: %s: name_of and within are for members of subject.content", where, f.To)
			}
		}
	}
	return nil
}

func (c *Catalogue) validateToCDEvents(where string, r *ToCDEvents) error {
	if err := learns(where, r.Learns); err != nil {
		return err
	}
	ways := 0
	for _, way := range []string{r.Choose, r.ChooseLink} {
		if way != "" {
			ways++
		}
	}
	switch s := r.SubjectFrom; {
	case len(r.CDEvent) > 1 && ways == 0:
		return fmt.Errorf("%s: choose is missing: there are %d CDEvents to choose from", where, len(r.CDEvent))
	case ways > 1:
		return fmt.Errorf("%s: choose and choose_link exclude each other", where)
	case r.ChooseLink != "" && len(r.CDEvent) != 2:
		return fmt.Errorf("%s: choose_link decides among two CDEvents, and there are %d", where, len(r.CDEvent))
	case r.Subject != "" && s != nil:
		return fmt.Errorf("%s: subject and subject_from exclude each other", where)
	case s != nil && s.Kind == "":
		return fmt.Errorf("%s: subject_from needs a kind", where)
	case s != nil && s.Link != "" && s.Within != "":
		return fmt.Errorf("%s: subject_from: link and within exclude each other", where)
	}
	return c.fields(where, r.Content)
}

func (c *Catalogue) fields(where string, list []Field) error {
	for _, f := range list {
		if f.Include != "" {
			return fmt.Errorf("%s: there are no fields %q to include", where, f.Include)
		}
		if !strings.HasPrefix(f.To, "/") {
			return fmt.Errorf("%s: %q is no JSON pointer", where, f.To)
		}
		if f.Empty() {
			return fmt.Errorf("%s: %s has none of from, by, name_of, within, text, const and value", where, f.To)
		}
		if f.Format != "" && f.Format != "uri" && f.Format != "uri-reference" {
			return fmt.Errorf("%s: %s: format %q is not known; uri and uri-reference are", where, f.To, f.Format)
		}
		if f.Vocabulary != "" && c.Vocabulary(f.Vocabulary) == nil {
			return fmt.Errorf("%s: %s: there is no vocabulary %q", where, f.To, f.Vocabulary)
		}
		for _, other := range list {
			if strings.HasPrefix(other.To, f.To+"/") {
				return fmt.Errorf("%s: %s stands within %s, which is written as a whole", where, other.To, f.To)
			}
		}
	}
	return nil
}

// Empty tells whether a field says nothing about its value.
func (f *Field) Empty() bool {
	return len(f.From) == 0 && f.By == "" && f.NameOf == "" && f.Within == nil && f.Text == "" && f.Const == nil && f.Value == nil
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
