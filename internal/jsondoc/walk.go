package jsondoc

// What is in this file is for who walks whole documents and must be fast. Everybody else reads better with [Value.Children],
// [Value.Get], [Value.Key] and [Value.Str].

// FirstChild is the first member of an object or the first element of an array, Missing if there is none.
func (v Value) FirstChild() Value { return v.first() }

// NextSibling is the member or element after the value, Missing if the value is the last one or none.
func (v Value) NextSibling() Value {
	if v.d == nil {
		return Value{}
	}
	return v.nextSibling()
}

// Depth is the number of nested objects and arrays in the value, itself among them: 0 for a scalar. It takes time with the
// size of the value; that of a whole document is known, see [Document.Depth].
func (v Value) Depth() int { return v.depth(nil) }

// PlainStr is [Value.Str] for strings that are written without escapes; false leaves the value to it.
func (v Value) PlainStr() (s string, ok bool) {
	if v.d == nil {
		return "", false
	}
	n := &v.d.nodes[v.i]
	if n.kind != String || n.marks&textEscapes != 0 {
		return "", false
	}
	return v.d.text[n.start+1 : n.end-1], true
}

// IsNamed tells whether the value is a member of that name, if the name is written without escapes; false leaves it to
// [Value.Key].
func (v Value) IsNamed(name string) bool { return v.d != nil && v.d.nodes[v.i].is(v.d.text, name) }
