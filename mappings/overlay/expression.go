package overlay

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// expression is a compiled expression. It implements [mappings.Expression].
type expression struct {
	text    string
	place   string // file:line: key, for errors
	program cel.Program
	adapter types.Adapter
	source  *ast.SourceInfo
	at      strictyaml.Text
	reads   []string
	want    want
}

var _ mappings.Expression = (*expression)(nil)

// want is what an expression must give.
type want byte

const (
	wantBool want = iota // a condition
	wantText             // a string or null
	wantJSON             // anything that JSON can write
)

func (w want) String() string {
	return [...]string{"a bool", "a string, or null", "a value that JSON can write"}[w]
}

// ExpressionError is a failed evaluation: the event has not what the expression needs, or the expression goes beyond its
// bounds. Evaluating it again on the same event fails again.
type ExpressionError struct {
	Place   string // file:line: key, of the overlay
	Message string
}

// Error names the place and what is wrong.
func (e *ExpressionError) Error() string { return e.Place + ": " + e.Message }

// String implements [mappings.Expression].
func (e *expression) String() string { return e.text }

// Reads are JSON pointers to the members of the event that the expression names, sorted, each as far as it goes by name: of
// event.links.map(l, l.target) it is /links. It must not be changed.
func (e *expression) Reads() []string { return e.reads }

// MarshalText writes the expression's text, for those who print a catalogue.
func (e *expression) MarshalText() ([]byte, error) { return []byte(e.text), nil }

// JSON implements [mappings.Expression]. The error is of type *[ExpressionError].
func (e *expression) JSON(in mappings.Input) ([]byte, error) {
	v, err := e.evaluate(in)
	if err != nil {
		return nil, err
	}
	if o, ok := v.(*types.Optional); ok {
		if !o.HasValue() {
			return nil, nil
		}
		v = o.GetValue()
	}
	switch v.(type) {
	case types.Null:
		return nil, nil
	case types.String:
	default:
		if e.want == wantText {
			return nil, e.fail("gives %s; it must give %s", typeName(v.Type().TypeName()), e.want)
		}
	}
	b, err := appendJSON(nil, v, 1)
	if err != nil {
		return nil, e.fail("%v", err)
	}
	return b, nil
}

// Holds implements [mappings.Expression]. The error is of type *[ExpressionError].
func (e *expression) Holds(in mappings.Input) (bool, error) {
	v, err := e.evaluate(in)
	if err != nil {
		return false, err
	}
	holds, ok := v.(types.Bool)
	if !ok {
		return false, e.fail("gives %s; a condition must give a bool", typeName(v.Type().TypeName()))
	}
	return bool(holds), nil
}

func (e *expression) evaluate(in mappings.Input) (ref.Val, error) {
	event, parsed := in.Event.(jsondoc.Value)
	if !parsed {
		doc, err := jsondoc.Parse(in.Event.Raw())
		if err != nil {
			return nil, e.fail("cannot read the event: %v", err)
		}
		event = doc.Root()
	}
	a := &activation{reader: newReader(), in: in, event: event, adapter: e.adapter}
	v, _, err := e.program.Eval(a)
	switch {
	case a.reader.exceeded():
		return nil, e.fail(readsTooMuch)
	case err != nil:
		return nil, e.failed(err)
	case types.IsUnknown(v):
		return nil, e.fail("gives no value")
	}
	return v, nil
}

func (e *expression) fail(format string, args ...any) error {
	return &ExpressionError{Place: e.place, Message: fmt.Sprintf(format, args...)}
}

// failed says what CEL reports, with the place in the expression if it is known.
func (e *expression) failed(err error) error {
	message := runtimeMessage(err)
	var at *types.Err
	if errors.As(err, &at) && at.NodeID() > 0 {
		if l := e.source.GetStartLocation(at.NodeID()); l != common.NoLocation {
			message = placed(e.at, l.Line(), l.Column(), message)
		}
	}
	return e.fail("%s", message)
}

// runtimeMessage says in words what CEL reports.
func runtimeMessage(err error) string {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded {
		return fmt.Sprintf("the evaluation takes more than %d steps", CostLimit)
	}
	text := err.Error()
	if key, ok := strings.CutPrefix(text, "no such key: "); ok {
		return fmt.Sprintf("there is no member %s; has(...) asks for it, and .? takes it if it is there", quoted(key))
	}
	const notFor = "a function or an operator is applied to values of types that it is not for"
	if text == "no such overload" {
		return notFor
	}
	if call, ok := strings.CutPrefix(text, "no such overload: "); ok {
		return call + ": " + notFor
	}
	return text
}

// activation gives an expression its variables.
type activation struct {
	reader  *reader
	in      mappings.Input
	event   jsondoc.Value
	adapter types.Adapter
	subject ref.Val
}

// ResolveName implements [cel.Activation].
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case varEvent:
		return a.reader.value(a.event), true
	case varSubject:
		if a.subject == nil {
			a.subject = a.adapter.NativeToValue(&a.in.Subject)
		}
		return a.subject, true
	}
	return nil, false
}

// Parent implements [cel.Activation].
func (a *activation) Parent() cel.Activation { return nil }

// compiler compiles the expressions of one file.
type compiler struct {
	file   string
	report func(line int, key, format string, args ...any)
}

// compile compiles a text that stands at a key. What is wrong is reported, and the result is nil then.
func (c *compiler) compile(e mappings.Expression, key string, w want, see sight) mappings.Expression {
	var t strictyaml.Text
	if p, ok := e.(pending); ok {
		t = p.text
	}
	if strings.TrimSpace(t.Value) == "" {
		c.report(t.Line, key, "is empty; it is a CEL expression that gives %s", w)
		return nil
	}
	environments, err := environments()
	if err != nil {
		c.report(t.Line, key, "cannot be compiled: %v", err) // cannot be: a test makes them
		return nil
	}
	environment := environments.both
	if see.noSubject {
		environment = environments.event
	}
	compiled, issues := environment.Compile(t.Value)
	if issues != nil && issues.Err() != nil {
		for _, e := range issues.Errors() {
			c.report(lineOf(t, e.Location.Line()), key, "%s", placed(t, e.Location.Line(), e.Location.Column(), compileMessage(e.Message, environment, see)))
			if strings.HasPrefix(e.Message, "Syntax error") {
				break // the others follow from it
			}
		}
		return nil
	}
	if message := wrongType(compiled.OutputType(), w); message != "" {
		c.report(t.Line, key, "%s", message)
		return nil
	}
	if !c.members(compiled.NativeRep(), t, key, see) {
		return nil
	}
	estimate, err := environment.EstimateCost(compiled, usual{})
	if err != nil {
		c.report(t.Line, key, "its cost cannot be estimated: %v", err)
		return nil
	}
	// Estimates err on the high side, so that only what is far beyond the limit is refused; one without end is no verdict: the
	// sizes of what some functions make are not known before.
	if estimate.Min > CostLimit || estimate.Max > 10*CostLimit && estimate.Max < noEstimate {
		c.report(t.Line, key, "is too costly: on an event with lists of %d entries and texts of %d characters it may take %d steps, where %d are allowed",
			usualSize, usualSize, estimate.Max, CostLimit)
		return nil
	}
	program, err := environment.Program(compiled, cel.CostTracking(calls{}), cel.CostLimit(CostLimit), cel.EvalOptions(cel.OptOptimize),
		inKeyOrder(compiled.NativeRep()))
	if err != nil {
		c.report(t.Line, key, "%v", err)
		return nil
	}
	return &expression{text: strings.TrimSpace(t.Value), place: fmt.Sprintf("%s:%d: %s", c.file, t.Line, key), program: program,
		adapter: environments.adapter, source: compiled.NativeRep().SourceInfo(), at: t, want: w,
		reads: reads(compiled.NativeRep())}
}

// lineOf is the line of the file at which a line of an expression stands.
func lineOf(t strictyaml.Text, line int) int {
	if t.Lines && line > 0 {
		return t.Line + line - 1
	}
	return t.Line
}

// placed adds where in the expression something is wrong. Columns are counted from 1.
func placed(t strictyaml.Text, line, column int, message string) string {
	if !strings.Contains(strings.TrimSpace(t.Value), "\n") {
		return fmt.Sprintf("column %d of the expression: %s", column+1, message)
	}
	return fmt.Sprintf("line %d, column %d of the expression: %s", line, column+1, message)
}

// compileMessage says in words what CEL reports.
func compileMessage(message string, environment *cel.Env, see sight) string {
	message = operator.ReplaceAllString(strings.ReplaceAll(message, " (in container '')", ""), "'$1'")
	if rest, ok := strings.CutPrefix(message, "undeclared reference to '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		known := see.variables()
		if name == varSubject && see.noSubject {
			return "subject is not known here: what an activity is about follows from this condition; event is there"
		}
		for function := range environment.Functions() {
			if word.MatchString(function) {
				known = append(known, function)
			}
		}
		slices.Sort(known)
		if near := nearest(name, known); near != "" {
			return message + "; did you mean " + near + "?"
		}
		return message + "; the variables are " + strings.Join(see.variables(), " and ")
	}
	switch message {
	case "invalid matches argument":
		return "no regular expression (RE2), or one that is too complex"
	case "invalid timestamp argument":
		return "no timestamp; it is RFC 3339, as 2030-01-31T12:00:00Z"
	case "invalid duration argument":
		return "no duration; it is written as 90s or 1h30m"
	}
	return message
}

// word is a name that is written as a function or a variable.
var word = regexp.MustCompile(`^[A-Za-z][\w.]*$`)

// operator is how CEL names its operators in messages.
var operator = regexp.MustCompile(`'_?([^\w'\[]+)_'`)

// wrongType tells why an expression of a type cannot give what is wanted; empty if it may.
func wrongType(t *cel.Type, w want) string {
	if t.Kind() == types.OpaqueKind && t.TypeName() == "optional_type" && w != wantBool {
		if parameters := t.Parameters(); len(parameters) == 1 {
			t = parameters[0]
		}
	}
	switch t.Kind() {
	case types.DynKind, types.AnyKind, types.TypeParamKind:
		return "" // what it gives is known when it is evaluated
	}
	ok := false
	switch w {
	case wantBool:
		ok = t.Kind() == types.BoolKind
	case wantText:
		ok = t.Kind() == types.StringKind || t.Kind() == types.NullTypeKind
	case wantJSON:
		switch t.Kind() {
		case types.TypeKind, types.ErrorKind, types.UnknownKind, types.OpaqueKind:
		case types.MapKind:
			key := t.Parameters()[0].Kind()
			ok = key == types.StringKind || key == types.DynKind || key == types.TypeParamKind
			if !ok {
				return fmt.Sprintf("gives %s; a map that JSON can write has strings as its keys", typeName(t.String()))
			}
		default:
			ok = true
		}
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("gives %s; it must give %s", typeName(t.String()), w)
}

// typeName is a type of CEL for a sentence.
func typeName(name string) string {
	switch name {
	case "null_type", "null":
		return "null"
	case "int":
		return "an int"
	}
	return "a " + name
}

// usual estimates what an expression costs on an event that is large, but not extraordinary. Only what the event brings is
// assumed; the sizes of what the expression makes follow from it.
type usual struct{}

const (
	usualSize  = 50
	noEstimate = 1 << 60
)

// EstimateSize implements [cost.Estimator].
func (usual) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if len(n.Path()) == 0 || n.ComputedSize() != nil {
		return nil
	}
	return &cost.SizeEstimate{Min: 0, Max: usualSize}
}

// EstimateCallCost implements [cost.Estimator].
func (usual) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// calls counts the calls of which CEL does not know before which form of the function they are, since the event's values may
// be of any type: for CEL each is one step, for how long a text ever.
type calls struct{}

// CallCost implements [cost.ActualCostEstimator].
func (calls) CallCost(_, overload string, args []ref.Val, result ref.Val) *uint64 {
	if overload != "" {
		return nil // CEL knows
	}
	n := size(result)
	for _, a := range args {
		n += size(a)
	}
	return &n
}

// size is what a value counts when it is looked through.
func size(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v))/10 + 1
	case types.Bytes:
		return uint64(len(v))/10 + 1
	case traits.Sizer:
		if n, ok := v.Size().(types.Int); ok {
			return uint64(n) + 1
		}
	}
	return 1
}

// members holds the members of the event that an expression names to the schemas of the event's type. It reports those that
// no version has, and gives false then.
func (c *compiler) members(a *ast.AST, t strictyaml.Text, key string, see sight) bool {
	if see.shape == nil {
		return true
	}
	ok, hidden := true, false
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			over := e.AsComprehension()
			hidden = hidden || over.IterVar() == varEvent || over.IterVar2() == varEvent || over.AccuVar() == varEvent
		}
	}))
	if hidden {
		return true // a variable of that name stands for something else in a part of it
	}
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		pointer, end := pathOf(e)
		if pointer == "" || see.shape.has(pointer) {
			return
		}
		if before, _ := pathOf(end); before != "" && !see.shape.has(before) {
			return // the part before is at fault, and reported
		}
		ok = false
		at := a.SourceInfo().GetStartLocation(e.ID())
		c.report(lineOf(t, at.Line()), key, "%s", placed(t, at.Line(), at.Column(), see.shape.lacks(pointer)))
	}))
	return ok
}

// reads are the longest pointers into the event that an expression names.
func reads(a *ast.AST) []string {
	var all []string
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if pointer, _ := pathOf(e); pointer != "" {
			all = append(all, pointer)
		}
	}))
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(slices.Clone(all), func(p string) bool {
		return slices.ContainsFunc(all, func(longer string) bool { return strings.HasPrefix(longer, p+"/") })
	})
}

// pathOf is the JSON pointer of a chain of members that begins at the event, as event.subject.content, empty for anything
// else. before is what the last member is selected from. event["a"] is no member by name: so is asked for what no schema
// has.
func pathOf(e ast.Expr) (pointer string, before ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		return "", nil
	case ast.SelectKind:
		s := e.AsSelect()
		if isEvent(s.Operand()) {
			return "/" + s.FieldName(), s.Operand()
		}
		if above, _ := pathOf(s.Operand()); above != "" {
			return above + "/" + s.FieldName(), s.Operand()
		}
	case ast.CallKind:
		call := e.AsCall()
		if len(call.Args()) != 2 {
			return "", nil
		}
		of, by := call.Args()[0], call.Args()[1]
		switch call.FunctionName() {
		case "_?._":
			name, ok := literal(by).(types.String)
			if !ok {
				return "", nil
			}
			if isEvent(of) {
				return "/" + string(name), of
			}
			if above, _ := pathOf(of); above != "" {
				return above + "/" + string(name), of
			}
		case "_[_]", "_[?_]":
			if index, ok := literal(by).(types.Int); ok && index >= 0 {
				if above, _ := pathOf(of); above != "" {
					return fmt.Sprintf("%s/%d", above, index), of
				}
			}
		}
	}
	return "", nil
}

func isEvent(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == varEvent }

func literal(e ast.Expr) ref.Val {
	if e.Kind() != ast.LiteralKind {
		return nil
	}
	return e.AsLiteral()
}
