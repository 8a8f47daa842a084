package schema

// Place is what a schema says of one place of an event, looked up once for who writes many events by it. The zero Place is
// one that the schema does not name. It is immutable.
type Place struct {
	s        *Schema
	n        *node
	required bool
}

// Place is the place at a JSON pointer; see [Schema.Has] for what counts as named.
func (s *Schema) Place(pointer string) Place {
	return Place{s: s, n: find(s.root, pointer), required: s.Requires(pointer)}
}

// Named tells whether the schema names the place; see [Schema.Has].
func (p Place) Named() bool { return p.n != nil }

// Required tells whether the object that holds the place must have it; see [Schema.Requires].
func (p Place) Required() bool { return p.required }

// Allows is [Schema.Allows] for the place.
func (p Place) Allows(text string) bool {
	return p.n == nil || p.n.op != opString || p.n.allows(text)
}

// Enum is [Schema.Enum] for the place. It must not be changed.
func (p Place) Enum() []string { return p.s.enum(p.n) }

// Member is the place of the member of that name within this one.
func (p Place) Member(name string) Place {
	if p.n == nil {
		return Place{}
	}
	return Place{s: p.s, n: find(p.n, "/"+name)}
}

// IsReference tells whether what stands there is an object that has an id.
func (p Place) IsReference() bool { return p.n != nil && p.n.op == opObject && p.n.prop("id") >= 0 }
