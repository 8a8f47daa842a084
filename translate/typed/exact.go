package typed

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
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
// values count as equal; it sees nil for a member that is absent.
func difference(was, is []byte, same func(pointer string, was, is any) bool) (pointer string, different bool, err error) {
	var a, b any
	if err := decodeExact(was, &a); err != nil {
		return "", true, err
	}
	if err := decodeExact(is, &b); err != nil {
		return "", true, err
	}
	c := comparison{same}
	pointer, different = c.values("", a, b)
	return pointer, different, nil
}

// leftOut tolerates that an empty array or object was left out: there was nothing in it to lose.
func leftOut(_ string, was, is any) bool { return is == nil && isEmpty(was) }

// strict tolerates nothing.
func strict(string, any, any) bool { return false }

func isEmpty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

type comparison struct {
	same func(pointer string, was, is any) bool
}

func (c comparison) values(pointer string, was, is any) (string, bool) {
	switch a := was.(type) {
	case map[string]any:
		if b, ok := is.(map[string]any); ok {
			return c.objects(pointer, a, b)
		}
	case []any:
		if b, ok := is.([]any); ok {
			return c.arrays(pointer, a, b)
		}
	case json.Number:
		if b, ok := is.(json.Number); ok && jsondoc.SameNumber(string(a), string(b)) {
			return "", false
		}
	default:
		if was == is {
			return "", false
		}
	}
	return pointer, !c.same(pointer, was, is)
}

func (c comparison) objects(pointer string, was, is map[string]any) (string, bool) {
	for _, name := range slices.Sorted(maps.Keys(was)) {
		at := pointer + "/" + jsondoc.EscapePointer(name)
		b, ok := is[name]
		if !ok {
			if !c.same(at, was[name], nil) {
				return at, true
			}
			continue
		}
		if p, different := c.values(at, was[name], b); different {
			return p, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		at := pointer + "/" + jsondoc.EscapePointer(name)
		if _, ok := was[name]; !ok && !c.same(at, nil, is[name]) {
			return at, true
		}
	}
	return "", false
}

func (c comparison) arrays(pointer string, was, is []any) (string, bool) {
	for i := range max(len(was), len(is)) {
		at := pointer + "/" + strconv.Itoa(i)
		if i >= len(was) || i >= len(is) {
			return at, true
		}
		if p, different := c.values(at, was[i], is[i]); different {
			return p, true
		}
	}
	return "", false
}
