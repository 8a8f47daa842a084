package typed

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// decodeExact decodes as the SDKs do, except that numbers in free-form parts keep their digits.
func decodeExact(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}

// pointerOf tells where decoding failed, as far as the error does.
func pointerOf(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return "/" + strings.ReplaceAll(wrongType.Field, ".", "/")
	}
	var wrongTime *time.ParseError
	if errors.As(err, &wrongTime) {
		return "/context/timestamp" // the only time in any struct of either SDK
	}
	return ""
}

// settle turns the numbers in the free-form parts of a struct into what users of the SDK expect there (see settled).
func settle(v reflect.Value, exact func(json.Number) any) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			settle(v.Elem(), exact)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				settle(v.Field(i), exact)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			settle(v.Index(i), exact)
		}
	case reflect.Interface:
		// An interface with methods is a link, which the SDK decodes on its own.
		if v.NumMethod() == 0 && !v.IsNil() {
			v.Set(reflect.ValueOf(settled(v.Interface(), exact)))
		}
	}
}

// settled gives a decoded value with float64 for every number that is one, and exact of the others.
func settled(v any, exact func(json.Number) any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = settled(member, exact)
		}
	case []any:
		for i, element := range v {
			v[i] = settled(element, exact)
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && jsondoc.SameNumber(string(v), strconv.FormatFloat(f, 'g', -1, 64)) {
			return f
		}
		return exact(v)
	}
	return v
}

// difference gives the pointer of the first value in which two JSON texts differ: members in the order of their names,
// those of the first text before those that only the second has. Numbers are compared by value. Where same says so, two
// values count as equal; it sees one that is Missing for a member that is absent.
func difference(was, is []byte, same func(pointer string, was, is jsondoc.Value) bool) (pointer string, different bool, err error) {
	a, err := jsondoc.Parse(was)
	if err != nil {
		return "", true, err
	}
	b, err := jsondoc.Parse(is)
	if err != nil {
		return "", true, err
	}
	pointer, different = comparison{same}.values("", a.Root(), b.Root())
	return pointer, different, nil
}

// leftOut tolerates that an empty array or object was left out, or null written for it: there was nothing in it to lose.
func leftOut(_ string, was, is jsondoc.Value) bool { return isNone(is) && isEmpty(was) }

// strict tolerates nothing.
func strict(string, jsondoc.Value, jsondoc.Value) bool { return false }

func isNone(v jsondoc.Value) bool { return v.Kind() <= jsondoc.Null }

func isEmpty(v jsondoc.Value) bool { return v.Kind() >= jsondoc.Array && v.Empty() }

type comparison struct {
	same func(pointer string, was, is jsondoc.Value) bool
}

func (c comparison) values(pointer string, was, is jsondoc.Value) (string, bool) {
	switch {
	case jsondoc.EqualBy(was, is, sameNumber):
		return "", false
	case was.Kind() == jsondoc.Object && is.Kind() == jsondoc.Object:
		names := slices.Concat(sortedNames(was), slices.DeleteFunc(sortedNames(is), func(name string) bool { return was.Get(name).Exists() }))
		for _, name := range names {
			if p, different := c.values(pointer+"/"+jsondoc.EscapePointer(name), was.Get(name), is.Get(name)); different {
				return p, true
			}
		}
		return "", false
	case was.Kind() == jsondoc.Array && is.Kind() == jsondoc.Array:
		a, b := was.FirstChild(), is.FirstChild()
		for i := 0; a.Exists() || b.Exists(); i++ {
			at := pointer + "/" + strconv.Itoa(i)
			if !a.Exists() || !b.Exists() {
				return at, true
			}
			if p, different := c.values(at, a, b); different {
				return p, true
			}
			a, b = a.NextSibling(), b.NextSibling()
		}
		return "", false
	}
	return pointer, !c.same(pointer, was, is)
}

func sameNumber(a, b jsondoc.Value) bool { return jsondoc.SameNumber(string(a.Raw()), string(b.Raw())) }

func sortedNames(object jsondoc.Value) []string {
	var names []string
	for m := range object.Children() {
		names = append(names, m.Key())
	}
	slices.Sort(names)
	return names
}
