package overlay

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// What a row of an overlay does to the rows that the base has for its type: an overlay's rows stand before them; one without
// a condition takes their place; extend changes them one by one; disable takes them away, so that the row "*" counts.

// plan is what the rows of an overlay do to those of one event type.
type plan struct {
	key     string // of the first row
	extend  []int  // the indices in the form of the rows that extend
	changes string // the key of the first row that extends or disables; empty: none
	disable bool
	last    string // the key of a row without a condition, behind which none counts
}

// plans sorts the rows of a direction by event type, in the order of their first rows, and reports those that contradict
// each other.
type plans struct {
	o     *overlay
	order []string
	of    map[string]*plan
	named map[string]string // the key of the row that extends, by event type and what names the row that is extended
}

func (o *overlay) plans() *plans {
	return &plans{o: o, of: map[string]*plan{}, named: map[string]string{}}
}

// A change is what a row does to those of the base.
type change struct {
	extend, disable bool
	unconditional   bool   // it counts for all events of its type
	names           string // the row that it extends, empty: all of the type
}

// add takes a row in.
func (p *plans) add(key, name string, index int, c change) {
	if name == "" {
		return // reported
	}
	one := p.of[name]
	if one == nil {
		one = &plan{key: key}
		p.of[name] = one
		p.order = append(p.order, name)
	}
	other := ""
	for _, names := range []string{c.names, ""} {
		if other == "" {
			other = p.named[name+" "+names]
		}
	}
	if c.names == "" && len(one.extend) > 0 {
		other = one.changes
	}
	switch {
	case c.extend && c.disable:
		p.o.report(key, "disables and extends at once; take one of them out")
	case c.disable && one.key != key, one.disable:
		p.o.report(key, "%s has a row %s already, and one of them disables it; a row without a condition is enough to replace ours", quoted(name), one.key)
	case c.disable:
		one.disable, one.changes = true, key
	case c.extend && other != "":
		p.o.report(key, "%s is extended by %s already; write both as one", quoted(name), other)
	case c.extend && one.last != "":
		p.o.report(key, "%s is replaced by %s, which leaves nothing to extend", quoted(name), one.last)
	case c.extend:
		p.named[name+" "+c.names] = key
		one.extend = append(one.extend, index)
		if one.changes == "" {
			one.changes = key
		}
	case one.last != "":
		p.o.report(key, "never counts: %s is for the same type and has no condition; put this one before it, or give that one a when", one.last)
	case c.unconditional && len(one.extend) > 0:
		p.o.report(key, "takes the place of our row for %s, which %s extends; take one of them out", quoted(name), one.changes)
	case c.unconditional:
		one.last = key
	}
}

// there reports a row that extends or disables what is not there.
func (p *plans) there(name string, has bool) {
	one := p.of[name]
	switch {
	case one.changes == "":
	case one.disable && name == mappings.Any:
		p.o.report(one.changes, "the row %q cannot be disabled: every event needs a row; on_no_mapping drops or refuses what has none of its own", mappings.Any)
	case has:
	case one.disable:
		p.o.report(one.changes, "there is no row for %s to disable: such events go by the row %q", quoted(name), mappings.Any)
	default:
		p.o.report(one.changes, "there is no row for %s to extend: such events go by the row %q", quoted(name), mappings.Any)
	}
}

// merge puts rows over those of the base. An overlay's row for a type that the base has no row for stands before the last
// one, which is the one for every other type.
func merge[Row any](base []Row, typeOf func(*Row) string, p *plans, added map[string][]Row, extended func(name string, row Row) Row) []Row {
	var out []Row
	done := map[string]bool{}
	has := map[string]bool{}
	for i := range base {
		has[typeOf(&base[i])] = true
	}
	for i := range base {
		name := typeOf(&base[i])
		if name == mappings.Any {
			for _, other := range p.order {
				if !has[other] {
					out = append(out, added[other]...)
				}
			}
		}
		one := p.of[name]
		if one == nil {
			out = append(out, base[i])
			continue
		}
		if !done[name] {
			done[name] = true
			out = append(out, added[name]...)
		}
		switch {
		case one.last != "" || one.disable:
		case len(one.extend) > 0:
			out = append(out, extended(name, base[i]))
		default:
			out = append(out, base[i])
		}
	}
	return out
}

// rowsToEiffel makes the rows of to_eiffel.
func (o *overlay) rowsToEiffel() {
	p := o.plans()
	types := make([][]string, len(o.form.ToEiffel))
	for i := range o.form.ToEiffel {
		f := &o.form.ToEiffel[i]
		key := fmt.Sprintf("to_eiffel[%d]", i)
		c := change{extend: f.Extend, disable: f.Disable, unconditional: f.If == "" && !o.doc.Has(key+".when")}
		if f.Extend {
			c.names = strings.Trim(f.If+" "+f.Eiffel, " ")
		}
		if len(f.CDEvents) == 0 {
			o.cdeventOfRow(key+".cdevent", "")
		}
		for _, text := range f.CDEvents {
			name := o.cdeventOfRow(key+".cdevent", text)
			types[i] = append(types[i], name)
			p.add(key, name, i, c)
		}
	}
	added := map[string][]mappings.ToEiffel{}
	for i := range o.form.ToEiffel {
		f := &o.form.ToEiffel[i]
		key := fmt.Sprintf("to_eiffel[%d]", i)
		switch {
		case f.Disable:
			o.alone(key, "disable", "cdevent", "disable", "about")
		case f.Extend:
			o.alone(key, "extend", "cdevent", "extend", "if", "eiffel", "links", "data", "custom", "about")
		default:
			for _, name := range types[i] {
				added[name] = append(added[name], o.toEiffel(key, name, f))
			}
		}
	}
	rows := map[string][]*mappings.ToEiffel{} // of the base
	for i := range o.base.ToEiffel {
		r := &o.base.ToEiffel[i]
		rows[r.CDEvent] = append(rows[r.CDEvent], r)
	}
	for _, name := range p.order {
		p.there(name, len(rows[name]) > 0)
		for _, i := range p.of[name].extend {
			o.named(fmt.Sprintf("to_eiffel[%d]", i), name, &o.form.ToEiffel[i], rows[name])
		}
		for _, r := range rows[name] {
			before := -1
			for _, i := range p.of[name].extend {
				if extends(&o.form.ToEiffel[i], r) {
					if before >= 0 {
						o.report(fmt.Sprintf("to_eiffel[%d]", i), "changes a row that to_eiffel[%d] changes; write both as one", before)
					}
					before = i
				}
			}
		}
	}
	o.out.ToEiffel = merge(o.base.ToEiffel, func(r *mappings.ToEiffel) string { return r.CDEvent }, p, added,
		func(name string, row mappings.ToEiffel) mappings.ToEiffel {
			for _, i := range p.of[name].extend {
				if f := &o.form.ToEiffel[i]; extends(f, &row) {
					row = o.extendToEiffel(fmt.Sprintf("to_eiffel[%d]", i), f, row, rows[name])
				}
			}
			return row
		})
}

// extends tells whether a row that extends means a row of the base: the one that its if and its eiffel name.
func extends(f, row *mappings.ToEiffel) bool {
	return (f.If == "" || f.If == row.If) && (f.Eiffel == "" || f.Eiffel == row.Eiffel)
}

// named reports a row that extends and names none of the rows that there are.
func (o *overlay) named(key, name string, f *mappings.ToEiffel, rows []*mappings.ToEiffel) {
	if len(rows) == 0 || slices.ContainsFunc(rows, func(r *mappings.ToEiffel) bool { return extends(f, r) }) {
		return
	}
	var have []string
	for _, r := range rows {
		text := "eiffel: " + r.Eiffel
		if r.If != "" {
			text = "if: " + r.If + ", " + text
		}
		have = append(have, text)
	}
	o.report(key, "no row for %s is meant by that; there are those with %s", quoted(name), strings.Join(have, ", and with "))
}

// takes tells whether a change is for a row of several that a row extends: if it names none, those are changed whose output has the
// place, and the last one if none has it, so that this is reported.
func takes(f, row *mappings.ToEiffel, rows []*mappings.ToEiffel, has func(*shape) bool) bool {
	if has(shapeOfEiffel(row.Eiffel)) {
		return true
	}
	var last *mappings.ToEiffel
	for _, r := range rows {
		if !extends(f, r) {
			continue
		}
		if has(shapeOfEiffel(r.Eiffel)) {
			return false
		}
		last = r
	}
	return row.If == last.If && row.Eiffel == last.Eiffel
}

// alone reports keys that a row of its kind has no use for.
func (o *overlay) alone(key, kind string, allowed ...string) {
	for _, name := range []string{"if", "when", "eiffel", "cdevent", "id", "choose", "choose_link", "subject", "subject_from", "subject_id", "environment", "links", "data", "custom", "content", "learns", "about"} {
		if o.doc.Has(key+"."+name) && !slices.Contains(allowed, name) {
			o.report(key+"."+name, "has no place beside %s: true, which goes with %s", kind, strings.Join(without(allowed, kind), ", "))
		}
	}
}

func without(list []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(w string) bool { return w == word })
}

// cdeventName is the form of subject.predicate. The subject of a custom event begins with the tool's name and a hyphen.
var cdeventName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*\.[a-z][a-z0-9]*$`)

// cdeventOfRow reads the type that a row of to_eiffel is for, as subject.predicate; empty if that was reported as wrong.
func (o *overlay) cdeventOfRow(key, text string) string {
	if text == mappings.Any {
		return text
	}
	if text == "" {
		o.report(key, "is missing; it is the subject.predicate of a CDEvent, or %q", mappings.Any)
		return ""
	}
	name, full := text, false
	for _, prefix := range []string{customPrefix, cdeventPrefix} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			name, full = rest, true
			break
		}
	}
	if parts := strings.SplitN(name, ".", 3); len(parts) == 3 {
		o.report(key, "%s has a version; a row is for all versions of a type: write %s", quoted(text), parts[0]+"."+parts[1])
		return ""
	}
	if !cdeventName.MatchString(name) {
		o.report(key, "%s is not the subject.predicate of a CDEvent, in lower case, nor %q", quoted(text), mappings.Any)
		return ""
	}
	if known := cdeventNames(); !full && !slices.Contains(known, name) && !strings.Contains(name, "-") {
		if near := nearest(name, known); near != "" {
			o.report(key, "%s is not a type that is known here; did you mean %s? If it is meant as it stands, write %s", quoted(name), near, cdeventPrefix+name)
			return ""
		}
	}
	return name
}

// toEiffel makes a row of its own.
func (o *overlay) toEiffel(key, name string, f *mappings.ToEiffel) mappings.ToEiffel {
	in := shapeOfCDEvent(name)
	o.kind, _, _ = strings.Cut(name, ".")
	row := mappings.ToEiffel{CDEvent: name, If: f.If, Eiffel: f.Eiffel, ID: f.ID, Learns: f.Learns, About: f.About, Origin: o.origin(key)}
	if o.doc.Has(key + ".when") {
		row.When = o.compile(f.When, key+".when", wantBool, sight{shape: in})
	}
	if f.If != "" {
		var known []string
		for i := range o.base.ToEiffel {
			if name := o.base.ToEiffel[i].If; name != "" && !slices.Contains(known, name) {
				known = append(known, name)
			}
		}
		slices.Sort(known)
		o.judgement(key+".if", f.If, known)
	}
	if row.ID == "" {
		row.ID = mappings.IDEvent
	}
	o.oneOf(key+".id", row.ID, mappings.IDEvent, mappings.IDAnchor)
	if row.Learns == "" {
		row.Learns = mappings.LearnEvent
		if row.ID == mappings.IDAnchor {
			row.Learns = mappings.LearnAnchor // later versions and links to it need the ledger to know it
		}
	}
	o.learns(key+".learns", row.Learns)
	if !o.eiffelType(key+".eiffel", f.Eiffel, true) {
		return row
	}
	out := shapeOfEiffel(f.Eiffel)
	before := o.count()
	row.Links = o.links(key, f.Links, in, out, false)
	row.Data = o.fields(key+".data", f.Data, fieldsOf{in: in, out: out, base: openData})
	row.Custom = o.fields(key+".custom", f.Custom, fieldsOf{in: in, custom: true})
	if o.count() == before { // what is wrong may be what is missing
		o.complete(key, &row, out)
	}
	return row
}

// complete reports what the Eiffel event of a row would lack always.
func (o *overlay) complete(key string, row *mappings.ToEiffel, out *shape) {
	for _, rule := range out.links() {
		if rule.Required && !slices.ContainsFunc(row.Links, func(l mappings.Link) bool { return l.Type == rule.Type }) {
			o.report(key+".links", "has no link of type %s, which every %s must have", rule.Type, row.Eiffel)
		}
	}
	for _, name := range out.requires(openData) {
		to := "/" + name
		if !slices.ContainsFunc(row.Data, func(f mappings.Field) bool { return f.To == to || strings.HasPrefix(f.To, to+"/") }) {
			o.report(key+".data", "does not write %s, which every %s must have", to, row.Eiffel)
		}
	}
}

// extendToEiffel changes a row of the base, one of those of its type.
func (o *overlay) extendToEiffel(key string, f *mappings.ToEiffel, row mappings.ToEiffel, rows []*mappings.ToEiffel) mappings.ToEiffel {
	o.kind, _, _ = strings.Cut(row.CDEvent, ".")
	in, out := shapeOfCDEvent(row.CDEvent), shapeOfEiffel(row.Eiffel)
	if len(f.Links)+len(f.Data)+len(f.Custom) == 0 && f.About == "" {
		o.report(key, "extends nothing; it needs some of links, data, custom and about")
	}
	before := o.count()
	changed := slices.Clone(f.Links)
	for i := range changed {
		l := &changed[i]
		if !takes(f, &row, rows, func(s *shape) bool {
			return slices.ContainsFunc(s.links(), func(r schema.LinkRule) bool { return r.Type == l.Type })
		}) {
			*l = mappings.Link{Type: l.Type, Remove: true} // it is another row's
		}
	}
	links := o.links(key, changed, in, out, true)
	row.Links = slices.DeleteFunc(slices.Clone(row.Links), func(l mappings.Link) bool {
		return slices.ContainsFunc(f.Links, func(n mappings.Link) bool { return n.Type == l.Type })
	})
	row.Links = append(row.Links, links...)
	for i, l := range f.Links {
		if l.Remove && !slices.ContainsFunc(rows, func(r *mappings.ToEiffel) bool {
			return slices.ContainsFunc(r.Links, func(k mappings.Link) bool { return k.Type == l.Type })
		}) {
			o.report(fmt.Sprintf("%s.links[%d]", key, i), "there is no link of type %s to remove", quoted(l.Type))
		}
	}
	row.Data = o.extendFields(key+".data", row.Data, f.Data, fieldsOf{in: in, out: out, base: openData, takes: func(to string) bool {
		return takes(f, &row, rows, func(s *shape) bool { return s.has(openData + to) })
	}})
	row.Custom = o.extendFields(key+".custom", row.Custom, f.Custom, fieldsOf{in: in, custom: true})
	if f.About != "" {
		row.About = f.About
	}
	row.Origin = extendedOrigin(row.Origin, o.origin(key))
	if o.count() == before {
		o.complete(key, &row, out)
	}
	return row
}

func extendedOrigin(before, by string) string {
	if before == "" {
		before = "the project's own"
	}
	return before + ", extended by " + by
}

func (o *overlay) learns(key, value string) {
	o.oneOf(key, value, mappings.LearnAnchor, mappings.LearnMilestone, mappings.LearnIncarnation, mappings.LearnRemoval, mappings.LearnClosure, mappings.LearnEvent)
}

// eiffelType checks the name of an Eiffel event type and tells whether it is one. Only types that are known can be written.
func (o *overlay) eiffelType(key, name string, write bool) bool {
	known := schema.EiffelTypes()
	switch {
	case name == "":
		o.report(key, "is missing; it is an Eiffel event type, as EiffelActivityTriggeredEvent")
		return false
	case slices.Contains(known, name):
		return true
	}
	if full := "Eiffel" + strings.TrimSuffix(strings.TrimPrefix(name, "Eiffel"), "Event") + "Event"; slices.Contains(known, full) {
		o.report(key, "%s is not an Eiffel event type; did you mean %s?", quoted(name), full)
		return false
	}
	if near := nearest(name, known); near != "" {
		o.report(key, "%s is not an Eiffel event type; did you mean %s?", quoted(name), near)
		return false
	}
	if write {
		o.report(key, "%s is not an Eiffel event type that is known here, and what is not known cannot be written; there are %s", quoted(name), strings.Join(known, ", "))
		return false
	}
	return true
}

// links makes the links of a row. Those that are to be removed are left out.
func (o *overlay) links(key string, list []mappings.Link, in, out *shape, extending bool) []mappings.Link {
	return o.linksAt(key+".links", list, in, out, extending)
}

func (o *overlay) linksAt(key string, list []mappings.Link, in, out *shape, extending bool) []mappings.Link {
	var links []mappings.Link
	rules := out.links()
	for i, f := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		if f.Type == "" {
			o.report(at+".type", "is missing; it is a link type, as CAUSE")
			continue
		}
		if f.Remove {
			if !extending {
				o.report(at+".remove", "has a meaning only beside extend: true; leave the link out")
			}
			continue
		}
		rule := slices.IndexFunc(rules, func(r schema.LinkRule) bool { return r.Type == f.Type })
		if rule < 0 {
			var legal []string
			for _, r := range rules {
				legal = append(legal, r.Type)
			}
			o.report(at+".type", "no version of %s has links of type %s%s", out.name, quoted(f.Type), o.didYouMean(f.Type, legal))
			continue
		}
		links = append(links, o.link(at, f, in, out, rules[rule]))
		if !rules[rule].Multiple && slices.ContainsFunc(list[:i], func(l mappings.Link) bool { return l.Type == f.Type && !l.Remove }) {
			o.report(at+".type", "is a second link of type %s; %s may have one", f.Type, out.name)
		}
	}
	return links
}

func (o *overlay) link(at string, f mappings.Link, in, out *shape, rule schema.LinkRule) mappings.Link {
	l := f
	l.With, l.Value = nil, nil
	if l.Subject == "" && l.Reference == mappings.OwnSubject && l.Target == mappings.TargetAnchor {
		l.Subject = o.kind
	}
	hasValue := o.doc.Has(at + ".value")
	if l.Target == "" && hasValue {
		l.Target = mappings.TargetValue
	}
	if l.Target == "" {
		o.report(at+".target", "is missing; it is one of anchor, previous, running, tested, or there is a value")
		return l
	}
	if !o.oneOf(at+".target", l.Target, mappings.TargetAnchor, mappings.TargetPrevious, mappings.TargetRunning, mappings.TargetTested, mappings.TargetValue) {
		return l
	}
	if l.Target == mappings.TargetValue {
		if !hasValue {
			o.report(at+".value", "is missing; it is a CEL expression that gives the id of an event")
		} else {
			l.Value = o.compile(f.Value, at+".value", wantText, sight{shape: in})
		}
	} else if hasValue {
		o.report(at+".value", "has no meaning beside target: %s; take one of them out", l.Target)
	}
	needs := func(name, value, what string) {
		if value == "" {
			o.report(at+"."+name, "is missing; %s", what)
		}
	}
	switch l.Target {
	case mappings.TargetAnchor:
		needs("subject", l.Subject, "it is the kind of the subject that the reference names, as artifact or environment")
		needs("reference", l.Reference, "it is a JSON pointer into the event, as /subject/content/environment, or /subject for the event's own")
		for _, anchor := range []struct{ key, name string }{{"anchor", l.Anchor}, {"or", l.Or}} {
			if anchor.key == "or" && anchor.name == "" || !o.eiffelType(at+"."+anchor.key, anchor.name, true) {
				continue
			}
			if rule.Targets != nil && !slices.Contains(rule.Targets, anchor.name) {
				o.report(at+"."+anchor.key, "a link of type %s of %s cannot lead to %s; it may lead to %s", l.Type, out.name, anchor.name, strings.Join(rule.Targets, ", "))
			}
		}
		for i, also := range l.Also {
			o.eiffelType(fmt.Sprintf("%s.also[%d]", at, i), also, true)
		}
		o.synthesizable(at, &l)
	case mappings.TargetRunning:
		needs("reference", l.Reference, "it is a JSON pointer to the service, or /subject for the event's own")
	}
	if l.Target != mappings.TargetAnchor {
		for _, k := range []string{"anchor", "or", "subject"} {
			if o.doc.Has(at + "." + k) {
				o.report(at+"."+k, "goes with target: anchor only")
			}
		}
	}
	if l.Reference != "" {
		o.pointer(at+".reference", l.Reference, in)
	}
	switch {
	case len(f.With) == 0:
	case l.Target != mappings.TargetAnchor || !l.Required:
		o.report(at+".with", "goes with target: anchor and required: true: it says what a made-up anchor is linked to")
	case slices.Contains(schema.EiffelTypes(), l.Anchor):
		for i, w := range f.With {
			if w.Target != "" && w.Target != mappings.TargetAnchor && w.Target != mappings.TargetTested || w.Value != nil {
				o.report(fmt.Sprintf("%s.with[%d].target", at, i), "a made-up anchor is linked to anchors and to the item under test alone")
			}
		}
		l.With = o.linksAt(at+".with", f.With, in, shapeOfEiffel(l.Anchor), false)
	}
	return l
}

// synthesizable reports a link to an anchor that cannot be made up as the link needs it, or stands for something else.
func (o *overlay) synthesizable(at string, l *mappings.Link) {
	i := slices.IndexFunc(o.out.Anchors, func(a mappings.Anchor) bool { return a.Eiffel == l.Anchor })
	switch {
	case i < 0 || o.out.Anchors[i].Data == nil:
		if l.Required && slices.Contains(schema.EiffelTypes(), l.Anchor) {
			o.report(at+".required", "no %s can be synthesized from a reference: anchors has no data for it", l.Anchor)
		}
	case l.Subject != "artifact" && slices.ContainsFunc(o.out.Anchors[i].Data, func(f mappings.AnchorField) bool { return f.Is == mappings.IsPurl }):
		o.report(at+".anchor", "an %s stands for an artifact, and the reference is to a subject of kind %s", l.Anchor, quoted(l.Subject))
	}
}

// pointer reports what is no JSON pointer, or leads to what no event of the type has.
func (o *overlay) pointer(key, pointer string, in *shape) {
	if !strings.HasPrefix(pointer, "/") {
		o.report(key, "%s is not a JSON pointer (RFC 6901); it begins with /", quoted(pointer))
		return
	}
	if !in.has(pointer) {
		o.report(key, "%s", in.lacks(pointer))
	}
}

// rowsToCDEvents makes the rows of to_cdevents.
func (o *overlay) rowsToCDEvents() {
	p := o.plans()
	types := make([][]string, len(o.form.ToCDEvents))
	for i := range o.form.ToCDEvents {
		f := &o.form.ToCDEvents[i]
		key := fmt.Sprintf("to_cdevents[%d]", i)
		if len(f.Eiffels) == 0 {
			o.eiffelType(key+".eiffel", "", false)
		}
		for _, name := range f.Eiffels {
			if name != mappings.Any && !o.eiffelType(key+".eiffel", name, false) {
				name = ""
			}
			types[i] = append(types[i], name)
			p.add(key, name, i, change{extend: f.Extend, disable: f.Disable, unconditional: !o.doc.Has(key + ".when")})
		}
	}
	has := func(name string) bool {
		return slices.ContainsFunc(o.base.ToCDEvents, func(r mappings.ToCDEvents) bool { return r.Eiffel == name })
	}
	added := map[string][]mappings.ToCDEvents{}
	for i := range o.form.ToCDEvents {
		f := &o.form.ToCDEvents[i]
		key := fmt.Sprintf("to_cdevents[%d]", i)
		switch {
		case f.Disable:
			o.alone(key, "disable", "eiffel", "disable", "about")
		case f.Extend:
			o.alone(key, "extend", "eiffel", "extend", "subject_id", "links", "content", "about")
		default:
			for _, name := range types[i] {
				added[name] = append(added[name], o.toCDEvents(key, name, f))
			}
		}
	}
	for _, name := range p.order {
		p.there(name, has(name))
	}
	o.out.ToCDEvents = merge(o.base.ToCDEvents, func(r *mappings.ToCDEvents) string { return r.Eiffel }, p, added,
		func(name string, row mappings.ToCDEvents) mappings.ToCDEvents {
			for _, i := range p.of[name].extend {
				row = o.extendToCDEvents(fmt.Sprintf("to_cdevents[%d]", i), &o.form.ToCDEvents[i], row)
			}
			return row
		})
}

// used are the judgements of one kind that the rows of the base catalogue use: there are no others.
func (o *overlay) used(judgement func(*mappings.ToCDEvents) string) []string {
	var names []string
	for i := range o.base.ToCDEvents {
		if name := judgement(&o.base.ToCDEvents[i]); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// toCDEvents makes a row of its own.
func (o *overlay) toCDEvents(key, eiffelType string, f *mappings.ToCDEvents) mappings.ToCDEvents {
	in := shapeOfEiffel(eiffelType)
	row := mappings.ToCDEvents{
		Eiffel: eiffelType, Choose: f.Choose, ChooseLink: f.ChooseLink, Subject: f.Subject, SubjectFrom: f.SubjectFrom, Environment: f.Environment,
		Learns: f.Learns, About: f.About, Origin: o.origin(key),
	}
	if o.doc.Has(key + ".when") {
		row.When = o.compile(f.When, key+".when", wantBool, sight{shape: in})
	}
	if row.Learns == "" {
		row.Learns = mappings.LearnEvent
	}
	o.learns(key+".learns", row.Learns)
	if len(f.CDEvent) == 0 && eiffelType != mappings.Any {
		o.report(key+".cdevent", "is missing; it is the subject.predicate of a CDEvent or, of a type that is not known here, the full type; disable: true has the row %q count", mappings.Any)
	}
	o.unique(key+".cdevent", f.CDEvent)
	for i, text := range f.CDEvent {
		at := key + ".cdevent"
		if len(f.CDEvent) > 1 {
			at = fmt.Sprintf("%s[%d]", at, i)
		}
		if text != "" && o.target(at, text) {
			row.CDEvent = append(row.CDEvent, text)
		}
	}
	switch {
	case len(f.CDEvent) > 1 && f.Choose == "" && f.ChooseLink == "":
		o.report(key+".choose", "is missing: there are %d CDEvents to choose from; a row each with a when will do as well", len(f.CDEvent))
	case f.Choose != "" && f.ChooseLink != "":
		o.report(key+".choose_link", "has no place beside choose: take one of them out")
	case f.ChooseLink != "" && len(f.CDEvent) != 2:
		o.report(key+".choose_link", "decides among two CDEvents: the second where the event has such a link")
	case len(f.CDEvent) == 1 && f.Choose != "" && row.Choose != mappings.ChooseLevel:
		o.report(key+".choose", "has no meaning: there is one CDEvent")
	}
	formerRow(&row, in)
	if row.Subject != "" {
		o.judgement(key+".subject", row.Subject, o.used(func(r *mappings.ToCDEvents) string { return r.Subject }))
	}
	if row.Environment != "" {
		o.judgement(key+".environment", row.Environment, o.used(func(r *mappings.ToCDEvents) string { return r.Environment }))
	}
	if s := f.SubjectFrom; s != nil {
		o.subjectFrom(key, s, f.Subject, in)
	}
	if f.ChooseLink != "" {
		o.linkType(key+".choose_link", f.ChooseLink, in)
	}
	if row.Choose != "" {
		o.judgement(key+".choose", row.Choose, o.used(func(r *mappings.ToCDEvents) string { return r.Choose }))
	}
	if o.doc.Has(key + ".subject_id") {
		row.SubjectID = o.compile(f.SubjectID, key+".subject_id", wantText, sight{shape: in})
	}
	row.Links = o.relations(key, f.Links, in, false)
	before := o.count()
	row.Content = o.fields(key+".content", f.Content, fieldsOf{in: in, out: o.targets(row.CDEvent), base: openContent})
	if len(row.Content) > 0 && len(row.CDEvent) == 1 && strings.HasPrefix(row.CDEvent[0], "eiffel-") && row.Choose != mappings.ChooseLevel {
		o.report(key+".content", "has no place in a row to %s: its content is data as it is", row.CDEvent[0])
	}
	if o.count() == before {
		o.completeContent(key, &row)
	}
	return row
}

// subjectFrom checks where the subject of a row stands.
func (o *overlay) subjectFrom(key string, s *mappings.SubjectFrom, judgement string, in *shape) {
	at := key + ".subject_from"
	switch {
	case judgement != "":
		o.report(at, "has no place beside subject: take one of them out")
	case s.Link != "" && s.Within != "":
		o.report(at+".within", "has no place beside link: take one of them out")
	case (s.Link != "" || s.Within != "") && len(s.ID)+len(s.Source) > 0:
		o.report(at, "id and source have no place beside link and within: the subject is that of another event")
	case s.Wanted != "" && s.Link == "":
		o.report(at+".wanted", "goes with link: it is what the linked event is wanted for")
	case s.Wanted != "" && s.Wanted != "type" && !strings.HasPrefix(s.Wanted, "/"):
		o.report(at+".wanted", "%s is neither type nor a JSON pointer, as /subject/id", quoted(s.Wanted))
	}
	o.subjectKind(at+".kind", s.Kind)
	for i, link := range [...]string{s.Link, s.Within} {
		if link == "" {
			continue
		}
		at := at + [...]string{".link", ".within"}[i]
		if o.linkType(at, link, in) && !slices.ContainsFunc(in.links(), func(r schema.LinkRule) bool { return r.Type == link && len(r.Targets) > 0 }) {
			o.report(at, "a link of type %s of %s may lead to any event, so that it does not say what the subject is", link, in.name)
		}
	}
	for _, p := range s.ID {
		o.pointer(at+".id", p, in)
	}
	for _, p := range s.Source {
		o.pointer(at+".source", p, in)
	}
}

// linkType reports what is no link type of an Eiffel event, or without one of any; it tells whether it is one.
func (o *overlay) linkType(key, link string, in *shape) bool {
	var legal []string
	if in != nil {
		for _, r := range in.links() {
			legal = append(legal, r.Type)
		}
	} else {
		for _, t := range schema.EiffelTypes() {
			for _, r := range shapeOfEiffel(t).links() {
				if !slices.Contains(legal, r.Type) {
					legal = append(legal, r.Type)
				}
			}
		}
	}
	if slices.Contains(legal, link) || len(legal) == 0 {
		return true
	}
	name := "Eiffel event"
	if in != nil {
		name = in.name
	}
	o.report(key, "no version of %s has links of type %s%s", name, quoted(link), o.didYouMean(link, legal))
	return false
}

// subjectKind reports what is not the subject of a CDEvent's type.
func (o *overlay) subjectKind(key, kind string) {
	if kind == "" {
		o.report(key, "is missing; it is the kind of the subject, as testcaserun")
	} else if kind != strings.ToLower(kind) || strings.ContainsAny(kind, ". /") {
		o.report(key, "%s is not the subject of a CDEvent as its type spells it: in lower case, as build or pipelinerun", quoted(kind))
	}
}

// completeContent reports what the CDEvents of a row would lack always.
func (o *overlay) completeContent(key string, row *mappings.ToCDEvents) {
	out := o.targets(row.CDEvent)
	if out == nil || out.open != "" {
		return
	}
	for _, name := range out.requires(openContent) {
		to := "/" + name
		if !slices.ContainsFunc(row.Content, func(f mappings.Field) bool {
			return f.To == to || f.Was == to || strings.HasPrefix(f.To, to+"/")
		}) {
			o.report(key+".content", "does not write %s, which every %s must have", to, out.name)
		}
	}
}

// fullType is the form of a full CDEvents type.
var fullType = regexp.MustCompile(`^dev\.cdeventsx?\.[a-z][a-z0-9]*(-[a-z0-9]+)*\.[a-z][a-z0-9]*\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$`)

// target checks the type of a CDEvent that a row makes.
func (o *overlay) target(key, text string) bool {
	known := cdeventNames()
	custom := strings.HasPrefix(text, customPrefix)
	if custom || strings.HasPrefix(text, cdeventPrefix) {
		name := nameOf(text)
		switch {
		case !fullType.MatchString(text):
			o.report(key, "%s is not a full type; it has a version of three numbers at its end, as %sdeployment.queued.0.1.0 and %sacme-release.shipped.1.0.0", quoted(text), cdeventPrefix, customPrefix)
			return false
		case custom && !strings.Contains(strings.Split(text, ".")[2], "-"):
			o.report(key, "%s is not the type of a custom event: its subject begins with the name of a tool and a hyphen, as acme-release", quoted(text))
			return false
		case !custom && slices.Contains(known, name):
			o.report(key, "%s is known: write %s; its version follows from the version of CDEvents that is written", quoted(text), name)
			return false
		}
		return true
	}
	if slices.Contains(known, text) || strings.HasPrefix(text, "eiffel-") && cdeventName.MatchString(text) {
		return true
	}
	if near := nearest(text, known); near != "" {
		o.report(key, "%s is not a type that is known here; did you mean %s? One that is not known is written in full, with its version", quoted(text), near)
		return false
	}
	example := text
	if !cdeventName.MatchString(text) {
		example = "deployment.queued"
	}
	prefix := cdeventPrefix
	if strings.Contains(example, "-") {
		prefix = customPrefix
	}
	o.report(key, "%s is not a type that is known here; one that is not known is written in full, with its version, as %s%s.0.1.0", quoted(text), prefix, example)
	return false
}

// targets is the shape of the CDEvents of a row, taken together; nil if their content is open.
func (o *overlay) targets(names []string) *shape {
	out := &shape{name: strings.Join(names, " or ")}
	for _, name := range names {
		if strings.HasPrefix(name, cdeventPrefix) || strings.HasPrefix(name, customPrefix) || strings.HasPrefix(name, "eiffel-") {
			return nil
		}
		out.schemas = append(out.schemas, shapeOfCDEvent(name).schemas...)
	}
	if len(out.schemas) == 0 {
		return nil
	}
	return out
}

// extendToCDEvents changes a row of the base.
func (o *overlay) extendToCDEvents(key string, f *mappings.ToCDEvents, row mappings.ToCDEvents) mappings.ToCDEvents {
	in := shapeOfEiffel(row.Eiffel)
	hasID := o.doc.Has(key + ".subject_id")
	if len(f.Links)+len(f.Content) == 0 && f.About == "" && !hasID {
		o.report(key, "extends nothing; it needs some of subject_id, links, content and about")
	}
	if hasID {
		row.SubjectID = o.compile(f.SubjectID, key+".subject_id", wantText, sight{shape: in})
	}
	links := o.relations(key, f.Links, in, true)
	row.Links = slices.DeleteFunc(slices.Clone(row.Links), func(l mappings.Relation) bool {
		return slices.ContainsFunc(f.Links, func(n mappings.Relation) bool { return n.Kind == l.Kind })
	})
	row.Links = append(row.Links, links...)
	row.Content = o.extendFields(key+".content", row.Content, f.Content, fieldsOf{in: in, out: o.targets(row.CDEvent), base: openContent})
	if f.About != "" {
		row.About = f.About
	}
	row.Origin = extendedOrigin(row.Origin, o.origin(key))
	return row
}

// relations makes the links of linkType RELATION that a row adds.
func (o *overlay) relations(key string, list []mappings.Relation, in *shape, extending bool) []mappings.Relation {
	var out []mappings.Relation
	for i, f := range list {
		at := fmt.Sprintf("%s.links[%d]", key, i)
		if f.Kind == "" {
			o.report(at+".kind", "is missing; it is the linkKind, as TRIGGER")
		}
		if f.Remove {
			if !extending {
				o.report(at+".remove", "has a meaning only beside extend: true; leave the link out")
			}
			continue
		}
		if !o.doc.Has(at + ".value") {
			o.report(at+".value", "is missing; it is a CEL expression that gives the context id of the target")
			continue
		}
		out = append(out, mappings.Relation{Kind: f.Kind, Value: o.compile(f.Value, at+".value", wantText, sight{shape: in})})
	}
	return out
}
