package overlay

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/package-url/packageurl-go"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// packageURL is what purl() gives: the parts of a package URL, decoded. A part that is not there is empty.
type packageURL struct {
	Type       string            `cel:"type"`
	Namespace  string            `cel:"namespace"`
	Name       string            `cel:"name"`
	Version    string            `cel:"version"`
	Qualifiers map[string]string `cel:"qualifiers"`
	Subpath    string            `cel:"subpath"`
}

// purlType is the name of its type in CEL.
const purlType = "Purl"

func readPurl(text string) (*packageURL, error) {
	p, err := packageurl.FromString(text)
	if err != nil {
		return nil, fmt.Errorf("%s is no package URL: %w", quoted(text), err)
	}
	return &packageURL{p.Type, p.Namespace, p.Name, p.Version, p.Qualifiers.Map(), p.Subpath}, nil
}

func (p *packageURL) appendJSON(b []byte) []byte {
	member := func(opening, name, value string) {
		b = append(b, opening...)
		b = jsondoc.AppendString(b, name)
		b = append(b, ':')
		b = jsondoc.AppendString(b, value)
	}
	member("{", "name", p.Name)
	member(",", "namespace", p.Namespace)
	b = append(b, `,"qualifiers":{`...)
	opening := ""
	for _, key := range slices.Sorted(maps.Keys(p.Qualifiers)) {
		member(opening, key, p.Qualifiers[key])
		opening = ","
	}
	b = append(b, '}')
	member(",", "subpath", p.Subpath)
	member(",", "type", p.Type)
	member(",", "version", p.Version)
	return append(b, '}')
}

// maxText bounds a text that a function makes out of others: without it, one replacement in a large event could make a
// text of terabytes, in one step.
const maxText = 1 << 20

// functions are what CEL has not, and guarded forms of what its libraries leave open.
func functions(adapter types.Adapter) []cel.EnvOption {
	list := []*cel.Type{cel.ListType(cel.StringType)}
	return []cel.EnvOption{
		cel.Function("purl", cel.Overload("purl_string", texts(1), cel.ObjectType(purlType),
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				p, err := readPurl(string(v.(types.String)))
				if err != nil {
					return types.WrapErr(err)
				}
				return adapter.NativeToValue(p)
			}))),
		cel.Function("is_purl", cel.Overload("is_purl_string", texts(1), cel.BoolType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				_, err := readPurl(string(v.(types.String)))
				return types.Bool(err == nil)
			}))),
		cel.Function("uri_escape", cel.Overload("uri_escape_string", texts(1), cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.String(escapeURI(string(v.(types.String)))) }))),
		cel.CostModel(
			scan("purl_string", cost.CallCost),
			scan("is_purl_string", cost.CallCost),
			cost.Overload("uri_escape_string",
				cost.EvalCost(cost.Sum(cost.Const(cost.CallCost), cost.StringScan(cost.Arg(0)), cost.Length(cost.Result()))),
				cost.ResultSize(cost.Ranged(cost.Arg(0), cost.Scale(cost.Arg(0), 3)))),
			// cel-go has no models for these. What format writes counts when it was written; before, a thousand characters are
			// assumed.
			cost.MemberOverload("string_format",
				cost.EvalCost(cost.Sum(cost.Const(cost.CallCost), cost.Length(cost.Result()))),
				cost.ResultSize(cost.AtMost(cost.Const(1000)))),
			scan("strings_quote", cost.CallCost),
		),

		// The same overloads as in cel-go's libraries, with bounds.
		cel.Function("replace",
			cel.MemberOverload("string_replace_string_string", texts(3), cel.StringType, cel.FunctionBinding(replace)),
			cel.MemberOverload("string_replace_string_string_int", append(texts(3), cel.IntType), cel.StringType, cel.FunctionBinding(replace))),
		cel.Function("join",
			cel.MemberOverload("list_join", list, cel.StringType, cel.FunctionBinding(join)),
			cel.MemberOverload("list_join_string", append(list, cel.StringType), cel.StringType, cel.FunctionBinding(join))),
		cel.Function("regex.replace",
			cel.Overload("regex_replace_string_string_string", texts(3), cel.StringType, cel.FunctionBinding(regexReplace)),
			cel.Overload("regex_replace_string_string_string_int", append(texts(3), cel.IntType), cel.StringType, cel.FunctionBinding(regexReplace))),
	}
}

func texts(n int) []*cel.Type { return slices.Repeat([]*cel.Type{cel.StringType}, n) }

// scan models a function that reads a text once.
func scan(overload string, base uint64) cost.OverloadModel {
	return cost.Overload(overload, cost.EvalCost(cost.Sum(cost.Const(base), cost.StringScan(cost.Arg(0)))))
}

// escapeURI percent-encodes all but the unreserved characters (RFC 3986 section 2.3), so that the text can stand anywhere
// in a URI.
func escapeURI(text string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

var errText = types.NewErr("a text would become longer than %d bytes", maxText)

// replace is text.replace(old, new) and text.replace(old, new, at most so many times).
func replace(args ...ref.Val) ref.Val {
	text, old, with := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String))
	n := times(args)
	found := strings.Count(text, old)
	if n >= 0 {
		found = min(found, n)
	}
	if len(text)+found*(len(with)-len(old)) > maxText && len(with) > len(old) {
		return errText
	}
	return types.String(strings.Replace(text, old, with, n))
}

// times is the last of four arguments; -1 stands for all.
func times(args []ref.Val) int {
	if len(args) < 4 {
		return -1
	}
	n := args[3].(types.Int)
	if n < 0 || n > maxText {
		return -1
	}
	return int(n)
}

// join is list.join() and list.join(separator).
func join(args ...ref.Val) ref.Val {
	separator := ""
	if len(args) > 1 {
		separator = string(args[1].(types.String))
	}
	var b strings.Builder
	first := true
	for i := args[0].(traits.Lister).Iterator(); i.HasNext() == types.True; {
		v := i.Next()
		text, ok := v.(types.String)
		if !ok {
			return types.NewErr("join: an element is no string but of type %s", v.Type().TypeName())
		}
		if b.Len()+len(separator)+len(text) > maxText {
			return errText
		}
		if !first {
			b.WriteString(separator)
		}
		first = false
		b.WriteString(string(text))
	}
	return types.String(b.String())
}

// regexReplace is regex.replace(text, pattern, with) and regex.replace(text, pattern, with, at most so many times). In with,
// \0 to \9 stand for what the groups matched, and \\ for a backslash.
func regexReplace(args ...ref.Val) ref.Val {
	text, with := string(args[0].(types.String)), string(args[2].(types.String))
	pattern, err := regexp.Compile(string(args[1].(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	var out []byte
	last := 0
	for _, match := range pattern.FindAllStringSubmatchIndex(text, times(args)) {
		out = append(out, text[last:match[0]]...)
		for i := 0; i < len(with); i++ {
			if with[i] != '\\' {
				out = append(out, with[i])
				continue
			}
			i++
			switch {
			case i < len(with) && with[i] == '\\':
				out = append(out, '\\')
			case i < len(with) && with[i] >= '0' && int(with[i]-'0') <= pattern.NumSubexp():
				if group := 2 * int(with[i]-'0'); match[group] >= 0 {
					out = append(out, text[match[group]:match[group+1]]...)
				}
			default:
				return types.NewErr("regex.replace: in %s a backslash is not followed by another one or by the number of a group", quoted(with))
			}
		}
		last = match[1]
		if len(out) > maxText {
			return errText
		}
	}
	if len(out)+len(text)-last > maxText && len(text) <= maxText {
		return errText
	}
	return types.String(append(out, text[last:]...))
}
