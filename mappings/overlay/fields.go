package overlay

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// fieldsOf says where fields come from and go to.
type fieldsOf struct {
	in     *shape
	out    *shape // nil: anything may be written
	base   string // pointer of the object that the fields are members of
	custom bool   // they are entries of data.customData
	// takes tells whether a field of that place is for the row, where it is one of several that are extended; nil: it is.
	takes func(to string) bool
}

// text tells whether what goes to a pointer is a string in all versions.
func (of fieldsOf) text(to string) bool {
	return !of.custom && of.out != nil && of.out.text(of.base+to)
}

// judgements are those that a catalogue uses for fields of the same direction: a catalogue has no others.
func (of fieldsOf) judgements(c *mappings.Catalogue) []string {
	var names []string
	add := func(list []mappings.Field) {
		for _, f := range list {
			if f.By != "" && !slices.Contains(names, f.By) {
				names = append(names, f.By)
			}
		}
	}
	if of.base == openData || of.custom {
		for _, row := range c.ToEiffel {
			add(row.Data)
			add(row.Custom)
		}
	} else {
		for _, row := range c.ToCDEvents {
			add(row.Content)
		}
	}
	slices.Sort(names)
	return names
}

// judgement reports a name that no judgement has.
func (o *overlay) judgement(key, name string, known []string) {
	if !slices.Contains(known, name) {
		o.report(key, "there is no judgement %s%s", quoted(name), o.didYouMean(name, known))
	}
}

// reservedKeys are the entries of custom data that the bridge writes: the original and, where that does not travel along, what
// the event is about.
var reservedKeys = []string{"cdevents", "subject"}

// listed is a field, with the key where it stands; checked if it is one of the base.
type listed struct {
	mappings.Field
	at      string
	checked bool
}

// expanded puts fields in the place of those that include them.
func (o *overlay) expanded(key string, list []mappings.Field) []listed {
	var out []listed
	for i, f := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		if f.Include == "" {
			out = append(out, listed{Field: f, at: at})
			continue
		}
		if bare := (mappings.Field{Include: f.Include}); !reflect.DeepEqual(f, bare) {
			o.report(at, "has no other keys beside include")
		}
		own, ok := o.form.Fields[f.Include]
		for j, f := range own {
			named := fmt.Sprintf("fields.%s[%d]", list[i].Include, j)
			if f.Include != "" {
				o.report(named+".include", "fields that are included do not include others")
				continue
			}
			out = append(out, listed{Field: f, at: named})
		}
		if ok {
			continue
		}
		named, ok := o.base.Fields[f.Include]
		if !ok {
			known := append(slices.Collect(maps.Keys(o.base.Fields)), slices.Collect(maps.Keys(o.form.Fields))...)
			slices.Sort(known)
			o.report(at+".include", "there are no fields %s%s", quoted(f.Include), o.didYouMean(f.Include, known))
		}
		for _, f := range named {
			out = append(out, listed{Field: f, at: at, checked: true})
		}
	}
	return out
}

// fields makes the fields of a row. Those that are to be removed are reported.
func (o *overlay) fields(key string, list []mappings.Field, of fieldsOf) []mappings.Field {
	var out []mappings.Field
	for _, f := range o.expanded(key, list) {
		if f.Remove {
			o.report(f.at+".remove", "has a meaning only beside extend: true; leave the field out")
			continue
		}
		for _, field := range o.madeOf(f, of) {
			o.twice(f.at, out, field.To)
			out = append(out, field)
		}
	}
	return out
}

// madeOf makes a field, or the fields that a former judgement was; none if that cannot be.
func (o *overlay) madeOf(f listed, of fieldsOf) []mappings.Field {
	if f.checked {
		return []mappings.Field{f.Field}
	}
	if was := former(f.Field, of.base); was != nil {
		if !o.destination(f.at, f.Field, of) {
			return nil
		}
		return was
	}
	if field, ok := o.field(f.at, f.Field, of); ok {
		return []mappings.Field{field}
	}
	return nil
}

// twice reports a field whose place is written already, in whole or in part, unless the one right before it may leave that to it.
func (o *overlay) twice(at string, before []mappings.Field, to string) {
	for _, k := range before {
		switch {
		case within(to, k.To):
			o.report(at+".to", "%s stands within %s, which is written as a whole", quoted(to), quoted(k.To))
			return
		case within(k.To, to):
			o.report(at+".to", "%s holds %s, which is written by itself", quoted(to), quoted(k.To))
			return
		case k.To != to:
			continue
		}
		last := before[len(before)-1]
		mayBeNone := (len(last.From) > 0 || last.Value != nil) && last.By == "" && last.Text == "" && last.Const == nil && last.Vocabulary == ""
		if last.To == to && (last.Needs != "" || mayBeNone) {
			return
		}
		o.report(at+".to", "%s stands here twice", quoted(to))
		return
	}
}

// within tells whether a place stands inside of another.
func within(to, outer string) bool { return strings.HasPrefix(to, outer+"/") }

// extendFields changes the fields of a row of the base: those of the same place, and those within it, are replaced where the first of
// them stands, and new ones come behind.
func (o *overlay) extendFields(key string, base []mappings.Field, list []mappings.Field, of fieldsOf) []mappings.Field {
	out := slices.Clone(base)
	var added, removed []mappings.Field
	for _, f := range o.expanded(key, list) {
		if of.takes != nil && f.To != "" && !of.takes(f.To) {
			continue // it is another row's
		}
		replaced := func(k mappings.Field) bool { return k.To == f.To || within(k.To, f.To) }
		if slices.ContainsFunc(removed, replaced) || f.Remove && slices.ContainsFunc(added, replaced) {
			o.report(f.at+".to", "%s stands here twice", quoted(f.To))
			continue
		}
		if f.Remove {
			if !slices.ContainsFunc(out, replaced) {
				o.report(f.at+".to", "there is no field %s to remove%s", quoted(f.To), o.didYouMean(f.To, places(base)))
				continue
			}
			out = slices.DeleteFunc(out, replaced)
			removed = append(removed, f.Field)
			continue
		}
		for _, field := range o.madeOf(f, of) {
			o.twice(f.at, added, field.To)
			again := len(added) > 0 && added[len(added)-1].To == field.To
			added = append(added, field)
			first := slices.IndexFunc(out, func(k mappings.Field) bool { return k.To == field.To || within(k.To, field.To) })
			if outer := slices.IndexFunc(out, func(k mappings.Field) bool { return within(field.To, k.To) }); outer >= 0 {
				o.report(f.at+".to", "%s stands within %s, which our row writes as a whole; remove that first", quoted(field.To), quoted(out[outer].To))
				continue
			}
			switch {
			case first < 0:
				out = append(out, field)
			case again: // behind the one before it
				for first < len(out) && out[first].To == field.To {
					first++
				}
				out = slices.Insert(out, first, field)
			default:
				out[first] = field
				rest := slices.DeleteFunc(out[first+1:], func(k mappings.Field) bool { return k.To == field.To || within(k.To, field.To) })
				out = out[:first+1+len(rest)]
			}
		}
	}
	return out
}

func places(list []mappings.Field) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.To)
	}
	return out
}

// field makes a field; false if that cannot be.
func (o *overlay) field(at string, f mappings.Field, of fieldsOf) (mappings.Field, bool) {
	out := f
	out.From, out.Value = slices.Clone(f.From), nil
	if !o.destination(at, f, of) {
		return out, false
	}
	hasValue, hasConst := o.doc.Has(at+".value"), o.doc.Has(at+".const")
	if hasConst && f.Const == nil {
		o.report(at+".const", "is null, which is nothing to write")
	}
	switch {
	case hasValue && (!out.Empty() || hasConst):
		o.report(at+".value", "has no place beside from, by, name_of, within, text and const: an expression computes the whole value")
	case hasValue:
		w := wantJSON
		if of.text(f.To) {
			w = wantText
		}
		out.Value = o.compile(f.Value, at+".value", w, sight{shape: of.in})
	case out.Empty() && !hasConst:
		o.report(at, "says nothing about the value of %s; it needs from, by, name_of, within, text, const or value", f.To)
	}
	for i, p := range f.From {
		key := at + ".from"
		if line, _ := o.doc.Place(fmt.Sprintf("%s[%d]", key, i)); line > 0 {
			key = fmt.Sprintf("%s[%d]", key, i)
		}
		toCDEvents := of.base == openContent && !of.custom
		switch {
		case p == mappings.FromSource:
		case p == mappings.FromSubjectSource || p == mappings.FromCategory:
			if toCDEvents {
				o.report(key, "%s is what a CDEvent has; this is an Eiffel event", quoted(p))
			}
		case strings.HasPrefix(p, mappings.FromCustom):
			if !toCDEvents {
				o.report(key, "%s is an entry of Eiffel's custom data; this is a CDEvent", quoted(p))
			}
		default:
			o.pointer(key, p, of.in)
		}
	}
	if f.Text != "" && hasConst {
		o.report(at+".const", "never counts: text always gives something")
	}
	if f.Fill != "" && f.Fill != mappings.FillSelf {
		o.linkType(at+".fill", f.Fill, of.in)
	}
	if f.NameOf != "" {
		o.linkType(at+".name_of", f.NameOf, of.in)
	}
	if f.Within != nil {
		o.linkType(at+".within.link", f.Within.Link, nil)
		o.subjectKind(at+".within.kind", f.Within.Kind)
		if f.Within.Via != "" {
			o.linkType(at+".within.via", f.Within.Via, of.in)
		}
	}
	if f.Needs != "" {
		o.pointer(at+".needs", f.Needs, of.in)
	}
	for _, inside := range braces.FindAllStringSubmatch(f.Text, -1) {
		if inside[1] != "event" {
			o.pointer(at+".text", inside[1], of.in)
		}
	}
	if f.Vocabulary != "" {
		if o.out.Vocabulary(f.Vocabulary) == nil {
			o.report(at+".vocabulary", "there is no vocabulary %s%s", quoted(f.Vocabulary), o.didYouMean(f.Vocabulary, names(o.out.Vocabularies)))
		}
		if len(f.From) == 0 {
			o.report(at+".vocabulary", "has no meaning without from: it translates the word that is there")
		}
	}
	if f.By != "" {
		o.judgement(at+".by", f.By, of.judgements(o.base))
	}
	if f.Format != "" {
		o.oneOf(at+".format", f.Format, "uri", "uri-reference")
	}
	if word, ok := f.Const.(string); ok && of.out != nil {
		if allowed := of.out.enum(of.base + f.To); allowed != nil && !slices.Contains(allowed, word) {
			o.report(at+".const", "%s is not one of the words that %s allows there, %s", quoted(word), of.out.name, strings.Join(allowed, ", "))
		}
	}
	if _, text := f.Const.(string); f.Const != nil && !text && of.text(f.To) {
		o.report(at+".const", "is not a string, which %s has there", of.out.name)
	}
	if f.Const != nil {
		if _, err := json.Marshal(f.Const); err != nil {
			o.report(at+".const", "cannot be written as JSON: %v", err)
		}
	}
	return out, true
}

// braces are what a text has in braces.
var braces = regexp.MustCompile(`\{([^}]*)\}?`)

// destination checks where a field goes.
func (o *overlay) destination(at string, f mappings.Field, of fieldsOf) bool {
	switch {
	case f.To == "":
		o.report(at+".to", "is missing; it is a JSON pointer, as /name")
		return false
	case !strings.HasPrefix(f.To, "/") || f.To == "/":
		o.report(at+".to", "%s is not a JSON pointer (RFC 6901); did you mean /%s?", quoted(f.To), strings.Trim(f.To, "/"))
		return false
	case of.custom && strings.Count(f.To, "/") > 1:
		o.report(at+".to", "%s is not the key of an entry of custom data, as /team", quoted(f.To))
		return false
	case of.custom && slices.Contains(reservedKeys, f.To[1:]):
		o.report(at+".to", "the bridge writes entries of custom data with the keys %s itself", strings.Join(reservedKeys, " and "))
		return false
	case of.custom || of.out == nil:
		return true
	case of.base == openData && (f.To == "/customData" || strings.HasPrefix(f.To, "/customData/")):
		o.report(at+".to", "custom data is written by custom: [{to: /KEY, ...}]")
		return false
	case !of.out.has(of.base + f.To):
		o.report(at+".to", "%s", of.out.lacks(of.base+f.To))
		return false
	case f.Was != "" && !of.out.has(of.base+f.Was):
		o.report(at+".was", "%s", of.out.lacks(of.base+f.Was))
		return false
	}
	return true
}
