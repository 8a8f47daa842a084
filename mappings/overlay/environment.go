package overlay

import (
	"reflect"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// The bounds of expressions.
const (
	// CostLimit bounds one evaluation, in CEL's own units: about one per step, and one per ten characters of text that is
	// looked through. Going through a list of a hundred entries and comparing a member of each costs some hundreds; at the
	// limit an evaluation takes in the order of ten milliseconds.
	CostLimit = 100_000

	maxExpression = 8 << 10 // characters; an expression of that length is a program, which belongs into a plugin
	maxNesting    = 50
	maxNodes      = 10_000 // after macros are expanded
	maxRange      = 10_000 // numbers that lists.range gives
	maxPattern    = 2_000  // instructions of a regular expression; matching takes as long as this times the text
)

// The names that expressions know.
const (
	varEvent    = "event"
	varSubject  = "subject"
	subjectType = "Subject"
)

// environments are what expressions are compiled in: the one sees the event alone, the other the event and its subject. They
// take some milliseconds to make, which no process pays that has no overlay.
var environments = sync.OnceValues(func() (environmentPair, error) {
	var pair environmentPair
	registry, err := types.NewRegistry(
		cel.NativeTypeFor[mappings.Subject](cel.NativeTypeAlias(subjectType), types.ParseStructField(func(f reflect.StructField) string { return strings.ToLower(f.Name) })),
		cel.NativeTypeFor[packageURL](cel.NativeTypeAlias(purlType), types.ParseStructTags(true)),
	)
	if err != nil {
		return pair, err
	}
	options := []cel.EnvOption{
		cel.CustomTypeProvider(registry), cel.CustomTypeAdapter(registry),
		cel.ParserExpressionSizeLimit(maxExpression), cel.ParserRecursionLimit(maxNesting), cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxPattern),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
		cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
		cel.OptionalTypes(), ext.Strings(), ext.Lists(ext.ListsMaxRangeSize(maxRange)), ext.Sets(), ext.Math(),
		ext.Encoders(ext.EncodersVersion(0)), // base64 alone: the later ones parse whole documents
		ext.Regex(), ext.Bindings(), ext.TwoVarComprehensions(),
		cel.Variable(varEvent, cel.DynType),
	}
	if pair.event, err = cel.NewEnv(append(options, functions(registry)...)...); err != nil {
		return pair, err
	}
	pair.both, err = pair.event.Extend(cel.Variable(varSubject, cel.ObjectType(subjectType)))
	pair.adapter = registry
	return pair, err
})

type environmentPair struct {
	event, both *cel.Env
	adapter     types.Adapter
}
