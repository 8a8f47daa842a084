package schema

// Form says what kind of value a [Shape] is of.
type Form byte

// The forms.
const (
	AnyForm     Form = iota // any JSON value
	IntegerForm             // a number without a fraction
	TextForm                // a string
	ObjectForm
	ArrayForm
	ChoiceForm // one of the alternatives
)

// Shape is what a schema allows at one place of an event, for who writes events by it. Who checks events wants
// [Schema.Validate]. It is immutable.
type Shape struct {
	s *Schema
	n *node
}

// Member is a member that an object's schema names.
type Member struct {
	Name     string
	Required bool
	Shape    Shape
}

// Shape is what the schema allows of the whole event.
func (s *Schema) Shape() Shape { return Shape{s, s.root} }

// Form is the kind of value.
func (x Shape) Form() Form {
	switch x.n.op {
	case opInteger:
		return IntegerForm
	case opString, opType, opVersion:
		return TextForm
	case opObject:
		return ObjectForm
	case opArray:
		return ArrayForm
	case opAnyOf, opOneOf:
		return ChoiceForm
	}
	return AnyForm
}

// Members are the members that an object's schema names, in its order.
func (x Shape) Members() []Member {
	var out []Member
	for i, p := range x.n.props {
		out = append(out, Member{p.name, x.n.required&(1<<i) != 0, Shape{x.s, p.node}})
	}
	return out
}

// Open tells whether an object may have members that its schema does not name.
func (x Shape) Open() bool { return x.n.op == opObject && !x.n.closed }

// Words are all strings that are allowed, nil if there is no such list. The type of a custom event is its own.
func (x Shape) Words() []string {
	switch {
	case x.n.op == opType, x.n.op == opString && x.n.check == customTypeName:
		return []string{x.s.typ}
	case x.n.op == opVersion:
		return []string{x.s.version}
	}
	return x.n.enum
}

// Format is how a string is checked: "string" (not at all), "date-time", "uri", "uri-reference", "eiffel-id", "purl",
// "hex", "base64", "custom-type" or "custom-subject".
func (x Shape) Format() string { return stringKinds[x.n.check].name }

// MinLength is the least length of a string in code points.
func (x Shape) MinLength() int { return x.n.min }

// Item is what every element of an array must be; only arrays have it.
func (x Shape) Item() Shape { return Shape{x.s, x.n.item} }

// Alternatives are the shapes of a choice, in order. Where a value fits several of them, the choice may not allow it
// (oneOf); the specifications have no such overlap.
func (x Shape) Alternatives() []Shape {
	var out []Shape
	for _, a := range x.n.alts {
		out = append(out, Shape{x.s, a})
	}
	return out
}
