package overlay

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// maxValue bounds the JSON that one expression gives, in bytes: as long as the largest event that the bridge reads by
// default. A list that holds itself several times over is small for CEL and large when it is written.
const maxValue = 16 << 20

// maxLevels bounds the nesting of what an expression gives, so that an event with it in stays within what is read.
const maxLevels = jsondoc.MaxDepth / 2

var (
	errLong = fmt.Errorf("the value is longer than %d MiB", maxValue>>20)
	errDeep = fmt.Errorf("the value is nested deeper than %d levels", maxLevels)
)

// appendJSON writes what an expression gave, compact; members of maps are sorted, but objects of the event stay as they
// are, with their order and the digits of their numbers.
func appendJSON(b []byte, v ref.Val, level int) ([]byte, error) {
	if len(b) > maxValue {
		return nil, errLong
	}
	if level > maxLevels {
		return nil, errDeep
	}
	switch v := v.(type) {
	case object:
		return appendRaw(b, v.v)
	case array:
		return appendRaw(b, v.v)
	case types.Null:
		return append(b, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(b, bool(v)), nil
	case types.Int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(b, uint64(v), 10), nil
	case types.Double:
		f := float64(v)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("the value is the number %v, which JSON cannot write", f)
		}
		return append(b, jsontext.Float(f).String()...), nil
	case types.String:
		if len(b)+len(v) > maxValue {
			return nil, errLong
		}
		return jsondoc.AppendString(b, string(v)), nil
	case types.Bytes:
		if len(b)+len(v)*4/3 > maxValue {
			return nil, errLong
		}
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v)
		return append(b, '"'), nil
	case types.Timestamp:
		return jsondoc.AppendString(b, v.UTC().Format(time.RFC3339Nano)), nil
	case types.Duration:
		return jsondoc.AppendString(b, strconv.FormatFloat(v.Seconds(), 'f', -1, 64)+"s"), nil
	case *types.Optional:
		if !v.HasValue() {
			return append(b, "null"...), nil
		}
		return appendJSON(b, v.GetValue(), level)
	case traits.Lister:
		return appendList(b, v, level)
	case traits.Mapper:
		return appendMap(b, v, level)
	case *types.Err:
		return nil, v
	}
	switch s := v.Value().(type) {
	case *packageURL:
		return s.appendJSON(b), nil
	case *mappings.Subject:
		b = append(b, `{"id":`...)
		b = jsondoc.AppendString(b, s.ID)
		b = append(b, `,"kind":`...)
		b = jsondoc.AppendString(b, s.Kind)
		b = append(b, `,"source":`...)
		b = jsondoc.AppendString(b, s.Source)
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("the value is of type %s, which JSON does not have", v.Type().TypeName())
}

func appendRaw(b []byte, v jsondoc.Value) ([]byte, error) {
	raw := v.Raw()
	if len(b)+len(raw) > maxValue {
		return nil, errLong
	}
	return append(b, raw...), nil
}

func appendList(b []byte, list traits.Lister, level int) ([]byte, error) {
	b = append(b, '[')
	first := true
	for i := list.Iterator(); i.HasNext() == types.True; {
		if !first {
			b = append(b, ',')
		}
		first = false
		var err error
		if b, err = appendJSON(b, i.Next(), level+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendMap(b []byte, m traits.Mapper, level int) ([]byte, error) {
	var names []string
	for i := m.Iterator(); i.HasNext() == types.True; {
		name, ok := i.Next().(types.String)
		if !ok {
			return nil, errors.New("the value has a map whose keys are not strings")
		}
		names = append(names, string(name))
	}
	slices.Sort(names)
	b = append(b, '{')
	for n, name := range names {
		if n > 0 {
			b = append(b, ',')
		}
		b = jsondoc.AppendString(b, name)
		b = append(b, ':')
		var err error
		if b, err = appendJSON(b, m.Get(types.String(name)), level+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}
