package overlay

import (
	"errors"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// The values of an event as CEL sees them. Objects and arrays stay where they are in the document and are read member by
// member when an expression asks; scalars become CEL's own.

// maxReading bounds what one evaluation reads of the event. CEL counts the look-up of a member as one step, whatever it has
// to pass by on the way to it; an event of a usual size stays a thousand times below this.
const maxReading = 1 << 24

// reader is what one evaluation reads of an event. It counts values passed by, and 16 bytes of a text as one.
type reader struct{ left int }

func newReader() *reader { return &reader{maxReading} }

// read notes that n values were passed by; false if that was too much. The evaluation fails then, whatever CEL makes of it.
func (r *reader) read(n int) bool {
	if r.left < n {
		r.left = -1
		return false
	}
	r.left -= n
	return true
}

func (r *reader) exceeded() bool { return r.left < 0 }

const readsTooMuch = "the expression reads too much of a large event"

var errReading = types.NewErr(readsTooMuch)

// value gives a value of a document to CEL. Missing is null: callers that tell the two apart ask before.
func (r *reader) value(v jsondoc.Value) ref.Val {
	if !r.read(1) {
		return errReading
	}
	switch v.Kind() {
	case jsondoc.Object:
		return object{r, v}
	case jsondoc.Array:
		return array{r, v}
	case jsondoc.String:
		if !r.read(len(v.Raw()) / 16) {
			return errReading
		}
		return types.String(v.Str())
	case jsondoc.Number:
		return number(v)
	case jsondoc.Bool:
		return types.Bool(v.Raw()[0] == 't')
	}
	return types.NullValue
}

// number gives a number as it is written: an int if it has neither fraction nor exponent and fits, else a double.
func number(v jsondoc.Value) ref.Val {
	raw := string(v.Raw())
	if i, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return types.Int(i)
	}
	// Beyond the range of a double it is infinite, as CEL's own conversion has it.
	f, _ := strconv.ParseFloat(raw, 64)
	return types.Double(f)
}

// count is the number of members or elements.
func (r *reader) count(v jsondoc.Value) int {
	n := 0
	for range v.Children() {
		n++
	}
	if !r.read(n) {
		return 0
	}
	return n
}

// elements are those of an array.
func (r *reader) elements(v jsondoc.Value) []ref.Val {
	var out []ref.Val
	for c := range v.Children() {
		if r.exceeded() {
			return nil
		}
		out = append(out, r.value(c))
	}
	return out
}

// object is a JSON object as a CEL map from strings to anything.
type object struct {
	r *reader
	v jsondoc.Value
}

var (
	_ traits.Mapper   = object{}
	_ traits.Foldable = object{}
)

// Find implements [traits.Mapper].
func (o object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false // no other key can be in it
	}
	v := o.v.Get(string(name))
	if !v.Exists() {
		if o.r.count(o.v); o.r.exceeded() {
			return errReading, false
		}
		return nil, false
	}
	if !o.r.read(v.Index() - o.v.Index()) {
		return errReading, false
	}
	return o.r.value(v), true
}

// Get implements [traits.Indexer].
func (o object) Get(key ref.Val) ref.Val {
	v, ok := o.Find(key)
	if !ok && v == nil {
		return types.NewErr("no such key: %v", key.Value())
	}
	return v
}

// Contains implements [traits.Container].
func (o object) Contains(key ref.Val) ref.Val {
	_, ok := o.Find(key)
	return types.Bool(ok)
}

// Size implements [traits.Sizer].
func (o object) Size() ref.Val { return types.Int(o.r.count(o.v)) }

// Iterator implements [traits.Iterable]: the member names, in the order of the document.
func (o object) Iterator() traits.Iterator {
	var names []ref.Val
	for c := range o.v.Children() {
		if !o.r.read(1) {
			break
		}
		names = append(names, types.String(c.Key()))
	}
	return types.DefaultTypeAdapter.NativeToValue(names).(traits.Lister).Iterator()
}

// Fold implements [traits.Foldable], for the comprehensions over names and values.
func (o object) Fold(f traits.Folder) {
	for c := range o.v.Children() {
		if o.r.exceeded() || !f.FoldEntry(types.String(c.Key()), o.r.value(c)) {
			return
		}
	}
}

// Equal implements [ref.Val].
func (o object) Equal(other ref.Val) ref.Val {
	m, ok := other.(traits.Mapper)
	if !ok || o.Size() != m.Size() {
		return types.False
	}
	for c := range o.v.Children() {
		v, ok := m.Find(types.String(c.Key()))
		if !ok || types.Equal(o.r.value(c), v) != types.True {
			return types.False
		}
	}
	return types.True
}

// Type implements [ref.Val].
func (object) Type() ref.Type { return types.MapType }

// Value implements [ref.Val].
func (o object) Value() any { return o.v }

// ConvertToType implements [ref.Val].
func (o object) ConvertToType(t ref.Type) ref.Val { return convert(o, types.MapType, t) }

// ConvertToNative implements [ref.Val]: it is asked for what CEL's libraries want in Go's own types.
func (o object) ConvertToNative(t reflect.Type) (any, error) {
	if reflect.TypeFor[object]().AssignableTo(t) {
		return o, nil
	}
	members := map[ref.Val]ref.Val{}
	for c := range o.v.Children() {
		if o.r.exceeded() {
			return nil, errors.New(readsTooMuch)
		}
		members[types.String(c.Key())] = o.r.value(c)
	}
	return types.DefaultTypeAdapter.NativeToValue(members).ConvertToNative(t)
}

// array is a JSON array as a CEL list.
type array struct {
	r *reader
	v jsondoc.Value
}

var (
	_ traits.Lister   = array{}
	_ traits.Foldable = array{}
)

// Get implements [traits.Indexer].
func (a array) Get(index ref.Val) ref.Val {
	at, err := types.GetOrError(index)
	if err != nil {
		return types.WrapErr(err)
	}
	if at >= 0 {
		if !a.r.read(min(at, maxReading)) {
			return errReading
		}
		for c := range a.v.Children() {
			if at == 0 {
				return a.r.value(c)
			}
			at--
		}
	}
	return types.NewErr("index out of bounds: %v", index.Value())
}

// Contains implements [traits.Container].
func (a array) Contains(value ref.Val) ref.Val {
	for c := range a.v.Children() {
		if a.r.exceeded() {
			return errReading
		}
		if types.Equal(a.r.value(c), value) == types.True {
			return types.True
		}
	}
	return types.False
}

// Size implements [traits.Sizer].
func (a array) Size() ref.Val { return types.Int(a.r.count(a.v)) }

// Iterator implements [traits.Iterable].
func (a array) Iterator() traits.Iterator {
	return types.DefaultTypeAdapter.NativeToValue(a.r.elements(a.v)).(traits.Lister).Iterator()
}

// Fold implements [traits.Foldable], for comprehensions: the elements in one pass.
func (a array) Fold(f traits.Folder) {
	i := types.Int(0)
	for c := range a.v.Children() {
		if a.r.exceeded() || !f.FoldEntry(i, a.r.value(c)) {
			return
		}
		i++
	}
}

// Add implements [traits.Adder].
func (a array) Add(other ref.Val) ref.Val {
	if _, ok := other.(traits.Lister); !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	return types.DefaultTypeAdapter.NativeToValue(a.r.elements(a.v)).(traits.Adder).Add(other)
}

// Equal implements [ref.Val].
func (a array) Equal(other ref.Val) ref.Val {
	l, ok := other.(traits.Lister)
	if !ok || a.Size() != l.Size() {
		return types.False
	}
	i := l.Iterator()
	for c := range a.v.Children() {
		if a.r.exceeded() || types.Equal(a.r.value(c), i.Next()) != types.True {
			return types.False
		}
	}
	return types.True
}

// Type implements [ref.Val].
func (array) Type() ref.Type { return types.ListType }

// Value implements [ref.Val].
func (a array) Value() any { return a.v }

// ConvertToType implements [ref.Val].
func (a array) ConvertToType(t ref.Type) ref.Val { return convert(a, types.ListType, t) }

// ConvertToNative implements [ref.Val], as that of object does.
func (a array) ConvertToNative(t reflect.Type) (any, error) {
	if reflect.TypeFor[array]().AssignableTo(t) {
		return a, nil
	}
	if a.r.exceeded() {
		return nil, errors.New(readsTooMuch)
	}
	return types.DefaultTypeAdapter.NativeToValue(a.r.elements(a.v)).ConvertToNative(t)
}

func convert(v ref.Val, own *types.Type, wanted ref.Type) ref.Val {
	switch wanted {
	case own:
		return v
	case types.TypeType:
		return own
	}
	return types.NewErr("type conversion error from '%s' to '%s'", own.TypeName(), wanted.TypeName())
}
