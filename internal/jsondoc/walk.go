package jsondoc

// FirstChild, NextSibling and RawKey are for who walks a whole document and must not allocate. Everybody else reads better
// with [Value.Children], [Value.Get] and [Value.Key].

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

// RawKey is the value's member name as it is written, with its escapes and without its quotes; nil if the value is not a
// member of an object. It must not be changed.
func (v Value) RawKey() []byte {
	if v.d == nil {
		return nil
	}
	n := &v.d.nodes[v.i]
	if n.marks&named == 0 {
		return nil
	}
	return v.d.buf[n.key+1 : n.start-2 : n.start-2]
}
