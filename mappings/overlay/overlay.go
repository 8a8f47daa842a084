// Package overlay reads a user's mappings, YAML in the form of the project's catalogue with CEL expressions in it, and puts
// them over a catalogue.
//
// Everything is checked and compiled when an overlay is read: keys, event types, link types, the members that a row writes
// and those that its expressions look at, and the types of expressions. What is wrong is told all at once, by file, line and
// key. What is left to the engine (translate.New) are the names of judgements.
//
// Expressions are pure: they see the event and its subject, and no clock, no randomness and no other event. Each evaluation
// is bounded by [CostLimit]; one that fails is an *[ExpressionError].
package overlay

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// maxFile bounds an overlay: the project's own catalogue is a twentieth of it.
const maxFile = 1 << 20

// Problem is something wrong in an overlay.
type Problem struct {
	File    string
	Line    int    // from 1; 0 if there is no place to point at
	Key     string // as to_eiffel[0].data[1].value; empty for the whole file
	Message string // what is wrong and what is expected
}

// String is one line: file:line: key: message.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Error is all that is wrong in overlays, by file and line. It is never empty.
type Error struct{ Problems []Problem }

// Error names every problem, one per line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

var _ error = (*Error)(nil)

// Load reads overlays from files and puts them over a catalogue, later ones over earlier ones. The base is not changed; nil
// is the project's own. The error is an *[Error] if an overlay is wrong, with the problems of all of them, or tells which
// file cannot be read.
func Load(base *mappings.Catalogue, files ...string) (*mappings.Catalogue, error) {
	base, err := orOwn(base)
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, name := range files {
		text, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the mappings: %w", err)
		}
		next, wrong := read(base, filepath.ToSlash(name), text)
		problems = append(problems, wrong...)
		if len(wrong) == 0 {
			base = next
		}
	}
	if len(problems) > 0 {
		return nil, &Error{problems}
	}
	return base, nil
}

// readFile reads no more of a file than makes it too long.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse puts an overlay over a catalogue, nil being the project's own. name stands for the file in errors and in the rows'
// Origin. The base is not changed. The error is an *[Error] if the overlay is wrong.
func Parse(base *mappings.Catalogue, name string, text []byte) (*mappings.Catalogue, error) {
	base, err := orOwn(base)
	if err != nil {
		return nil, err
	}
	c, problems := read(base, name, text)
	if len(problems) > 0 {
		return nil, &Error{problems}
	}
	return c, nil
}

func orOwn(base *mappings.Catalogue) (*mappings.Catalogue, error) {
	if base != nil {
		return base, nil
	}
	return mappings.Load()
}

func tooLong(name string) Problem {
	return Problem{File: name, Message: fmt.Sprintf("is longer than %d MiB", maxFile>>20)}
}

// read reads one overlay. The catalogue is of use only if there are no problems.
func read(base *mappings.Catalogue, name string, text []byte) (c *mappings.Catalogue, problems []Problem) {
	if len(text) > maxFile {
		return nil, []Problem{tooLong(name)}
	}
	o := &overlay{file: name, base: base}
	o.doc, problems = parseYAML(name, text)
	if problems != nil {
		return nil, problems
	}
	o.compiler = compiler{file: name, report: o.reportAt}
	o.doc.Into(&o.form)
	o.check()
	for _, p := range o.doc.Problems() {
		if strings.HasPrefix(p.Message, "not YAML: ") {
			p.Message += `; an expression with ": " or " #" in it or, between braces, with brackets or commas, stands in quotes or in a block behind |`
		}
		if p.Line == 0 && p.Key != "" {
			p.Line = 1 // a key that is missing altogether
		}
		o.problems = append(o.problems, Problem{name, p.Line, p.Key, p.Message})
	}
	if len(o.problems) > 0 {
		o.problems = unique(o.problems) // a row that extends several says the same of each
		slices.SortStableFunc(o.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, o.problems
	}
	return o.out, nil
}

func unique(list []Problem) []Problem {
	seen := map[Problem]bool{}
	return slices.DeleteFunc(list, func(p Problem) bool {
		was := seen[p]
		seen[p] = true
		return was
	})
}

// parseYAML reads the text. The YAML library has had panics on odd input; one would take a relay down that is told to read
// another overlay.
func parseYAML(name string, text []byte) (doc *strictyaml.Document, problems []Problem) {
	defer func() {
		if r := recover(); r != nil {
			problems = []Problem{{File: name, Message: fmt.Sprintf("not YAML: the parser gave up on it: %v", r)}}
		}
	}()
	doc = strictyaml.ParseVerbatim(text)
	strictyaml.TextsAs(doc, func(_ string, t strictyaml.Text) mappings.Expression { return pending{text: t} })
	return doc, nil
}

// pending is an expression that is read and not compiled yet.
type pending struct {
	mappings.Expression
	text strictyaml.Text
}

// overlay is one that is being read.
type overlay struct {
	compiler
	file     string
	base     *mappings.Catalogue
	doc      *strictyaml.Document
	form     mappings.Catalogue // as it stands in the file
	kind     string             // of the subject of the row that is being read
	problems []Problem
	out      *mappings.Catalogue
}

// report reports a problem at a key.
func (o *overlay) report(key, format string, args ...any) { o.doc.Report(key, format, args...) }

// reportAt reports a problem at a line of its own.
func (o *overlay) reportAt(line int, key, format string, args ...any) {
	o.problems = append(o.problems, Problem{o.file, line, key, fmt.Sprintf(format, args...)})
}

// count is the number of problems so far.
func (o *overlay) count() int { return len(o.problems) + len(o.doc.Problems()) }

// origin says where a row stands.
func (o *overlay) origin(key string) string {
	line, _ := o.doc.Place(key)
	return fmt.Sprintf("%s:%d", o.file, line)
}

// check checks the form, and makes the catalogue of it.
func (o *overlay) check() {
	switch {
	case !o.doc.Has("version"):
		if len(o.doc.Problems()) > 0 && o.empty() {
			return // not even YAML, or no overlay at all; what follows would only repeat that
		}
		o.report("version", "is missing; write version: 1")
	case o.form.Version != 1:
		o.report("version", "%d is not known; write version: 1", o.form.Version)
	}
	if o.empty() && len(o.doc.Problems()) == 0 {
		o.report("", "changes nothing; an overlay has some of published_levels, service_id, anchors, activities, vocabularies, to_eiffel and to_cdevents")
	}
	c := *o.base
	o.out = &c
	for _, key := range []string{"every_event", "link_rules", "notes", "codes", "judgements", "golden"} {
		if o.doc.Has(key) {
			o.report(key, "stands in the project's own catalogue alone")
		}
	}
	o.anchors()
	if o.doc.Has("published_levels") {
		o.publishedLevels()
	}
	if o.doc.Has("service_id") {
		c.ServiceID = o.compile(o.form.ServiceID, "service_id", wantText, sight{shape: shapeOfEiffel("EiffelArtifactDeployedEvent")})
	}
	o.activities()
	o.vocabularies()
	o.rowsToEiffel()
	o.rowsToCDEvents()
	c.Complete()
	if o.count() == 0 {
		// All of this was checked by line; what is left is a fault of this package.
		if err := c.Validate(); err != nil {
			o.report("", "%v", err)
		}
	}
}

func (o *overlay) empty() bool {
	f := &o.form
	return !o.doc.Has("published_levels") && !o.doc.Has("service_id") &&
		f.Anchors == nil && f.Activities == nil && f.Vocabularies == nil && f.ToEiffel == nil && f.ToCDEvents == nil
}

func (o *overlay) publishedLevels() {
	if len(o.form.PublishedLevels) == 0 {
		o.report("published_levels", "is empty; it is a list of the names of confidence levels")
	}
	o.unique("published_levels", o.form.PublishedLevels)
	o.out.PublishedLevels = slices.Clone(o.form.PublishedLevels)
}

// unique reports what stands in a list of words twice or is empty.
func (o *overlay) unique(key string, words []string) {
	for i, w := range words {
		if w == "" {
			o.report(fmt.Sprintf("%s[%d]", key, i), "is empty")
		} else if slices.Contains(words[:i], w) {
			o.report(fmt.Sprintf("%s[%d]", key, i), "%s stands here twice", quoted(w))
		}
	}
}

// anchors adds the overlay's, or puts them in the place of those of the same event type.
func (o *overlay) anchors() {
	list := slices.Clone(o.base.Anchors)
	for i, a := range o.form.Anchors {
		key := fmt.Sprintf("anchors[%d]", i)
		if !o.eiffelType(key+".eiffel", a.Eiffel, true) {
			continue
		}
		if len(a.Subjects) == 0 {
			o.report(key+".subjects", "is missing; it is the kind of the CDEvents subjects that the event stands for, as environment")
		}
		o.unique(key+".subjects", a.Subjects)
		for j, kind := range a.Subjects {
			o.subjectKind(fmt.Sprintf("%s.subjects[%d]", key, j), kind)
		}
		if len(a.Subjects) > 1 && a.Eiffel != "EiffelActivityTriggeredEvent" {
			o.report(key+".subjects", "only what an EiffelActivityTriggeredEvent stands for is told apart, by activities; name one kind")
		}
		out := shapeOfEiffel(a.Eiffel)
		var before []mappings.Field
		for j, f := range a.Data {
			at := fmt.Sprintf("%s.data[%d]", key, j)
			o.destination(at, mappings.Field{To: f.To}, fieldsOf{out: out, base: openData})
			o.oneOf(at+".is", f.Is, mappings.IsID, mappings.IsName, mappings.IsSource, mappings.IsPurl, mappings.IsCategory)
			if f.Is == mappings.IsPurl && !slices.Equal(a.Subjects, []string{"artifact"}) {
				o.report(at+".is", "only an artifact has a purl")
			}
			o.twice(at, before, f.To)
			before = append(before, mappings.Field{To: f.To})
			for k, p := range f.From {
				if !strings.HasPrefix(p, "/") {
					o.report(fmt.Sprintf("%s.from[%d]", at, k), "%s is not a JSON pointer (RFC 6901); it begins with /", quoted(p))
				}
			}
		}
		at := slices.IndexFunc(list, func(b mappings.Anchor) bool { return b.Eiffel == a.Eiffel })
		if at >= 0 {
			list[at] = a
		} else {
			list = append(list, a)
		}
	}
	o.out.Anchors = list
}

// activities puts the overlay's before those of the base: the first that fits counts.
func (o *overlay) activities() {
	var list []mappings.Activity
	for i, f := range o.form.Activities {
		key := fmt.Sprintf("activities[%d]", i)
		switch {
		case f.Kind == "":
			o.report(key+".kind", "is missing; it is the subject of a CDEvent, as build or pipelinerun")
		case f.Kind != strings.ToLower(f.Kind) || strings.ContainsAny(f.Kind, ". /"):
			o.report(key+".kind", "%s is not the subject of a CDEvent as its type spells it: in lower case, as build or pipelinerun", quoted(f.Kind))
		}
		a := mappings.Activity{Kind: f.Kind, Categories: slices.Clone(f.Categories), Names: slices.Clone(f.Names)}
		o.unique(key+".categories", f.Categories)
		o.unique(key+".names", f.Names)
		if o.doc.Has(key + ".when") {
			a.When = o.compile(f.When, key+".when", wantBool, sight{shape: shapeOfEiffel("EiffelActivityTriggeredEvent"), noSubject: true})
		} else if len(f.Categories)+len(f.Names) == 0 {
			o.report(key, "says nothing about which activities these are; it needs categories, names or when")
		}
		list = append(list, a)
	}
	o.out.Activities = slices.Concat(list, o.base.Activities)
}

// vocabularies adds the overlay's, puts them in the place of those of the same name, or adds words to those.
func (o *overlay) vocabularies() {
	list := slices.Clone(o.base.Vocabularies)
	seen := map[string]bool{}
	for i, f := range o.form.Vocabularies {
		key := fmt.Sprintf("vocabularies[%d]", i)
		at := slices.IndexFunc(list, func(v mappings.Vocabulary) bool { return v.Name == f.Name })
		switch {
		case f.Name == "":
			o.report(key+".name", "is missing")
			continue
		case seen[f.Name]:
			o.report(key+".name", "%s stands here twice", quoted(f.Name))
			continue
		case f.Extend && at < 0:
			o.report(key+".extend", "there is no vocabulary %s to extend%s", quoted(f.Name), o.didYouMean(f.Name, names(list)))
			continue
		case len(f.Words) == 0:
			o.report(key+".words", "is missing; it is a list of {cdevents: [...], eiffel: [...]}")
		}
		seen[f.Name] = true
		v := mappings.Vocabulary{Name: f.Name}
		if f.Extend {
			v = list[at]
		}
		if f.Otherwise.CDEvents != "" {
			v.Otherwise.CDEvents = f.Otherwise.CDEvents
		}
		if f.Otherwise.Eiffel != "" {
			v.Otherwise.Eiffel = f.Otherwise.Eiffel
		}
		v.Words = o.words(key, slices.Clone(v.Words), f.Words)
		if at >= 0 {
			list[at] = v
		} else {
			list = append(list, v)
		}
	}
	o.out.Vocabularies = list
}

func names(list []mappings.Vocabulary) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.Name)
	}
	return out
}

// words appends to the words of a vocabulary. A word that has its pair already would never count.
func (o *overlay) words(key string, words []mappings.Words, more []mappings.Words) []mappings.Words {
	for i, f := range more {
		at := fmt.Sprintf("%s.words[%d]", key, i)
		if len(f.CDEvents) == 0 || len(f.Eiffel) == 0 {
			o.report(at, "pairs nothing; it needs cdevents and eiffel, a word or a list of words each")
			continue
		}
		o.unique(at+".cdevents", f.CDEvents)
		o.unique(at+".eiffel", f.Eiffel)
		for _, w := range words {
			// A word of Eiffel may stand in several pairs: it is read by the first, and each writes it.
			for _, word := range f.CDEvents {
				if slices.ContainsFunc(w.CDEvents, func(k string) bool { return strings.EqualFold(k, word) }) {
					o.report(at+".cdevents", "%s has its pair already, %s; the first counts", quoted(word), strings.Join(w.Eiffel, ", "))
				}
			}
		}
		words = append(words, mappings.Words{CDEvents: slices.Clone(f.CDEvents), Eiffel: slices.Clone(f.Eiffel)})
	}
	return words
}

// didYouMean suggests a known word, or lists them if they are few.
func (o *overlay) didYouMean(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	if len(known) > 0 && len(known) <= 20 {
		return "; there are " + strings.Join(known, ", ")
	}
	return ""
}

// oneOf reports a value that is not among the allowed ones, and tells whether it is.
func (o *overlay) oneOf(key, value string, allowed ...string) bool {
	if slices.Contains(allowed, value) {
		return true
	}
	if near := nearest(value, allowed); near != "" {
		o.report(key, "%s is not one of %s; did you mean %s?", quoted(value), strings.Join(allowed, ", "), near)
		return false
	}
	o.report(key, "%s is not one of %s", quoted(value), strings.Join(allowed, ", "))
	return false
}
