package jsondoc

// Equal tells whether two values are the same, but for the order of members and how strings are escaped. Numbers are the same
// if they are written the same, and two values that are Missing are the same.
func Equal(a, b Value) bool {
	return EqualBy(a, b, func(Value, Value) bool { return false })
}

// EqualBy is Equal with another judge of numbers that are not written the same.
func EqualBy(a, b Value, same func(a, b Value) bool) bool {
	switch {
	case a.Kind() != b.Kind():
		return false
	case string(a.Raw()) == string(b.Raw()):
		return true
	}
	switch a.Kind() {
	case String:
		return a.Str() == b.Str()
	case Number:
		return same(a, b)
	case Array:
		x, y := a.FirstChild(), b.FirstChild()
		for x.Exists() && y.Exists() && EqualBy(x, y, same) {
			x, y = x.NextSibling(), y.NextSibling()
		}
		return !x.Exists() && !y.Exists()
	case Object:
		n := 0
		for m := range a.Children() {
			if !EqualBy(m, b.Get(m.Key()), same) {
				return false
			}
			n++
		}
		for range b.Children() {
			n--
		}
		return n == 0
	}
	return false
}
