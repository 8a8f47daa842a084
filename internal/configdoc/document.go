package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon"
	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
)

const header = `# Configuration

Made from the code by ` + "`go generate ./internal/configdoc`" + `; do not edit.

` + "`eiffelbridge run --config FILE`" + ` reads one YAML file. ` + "`eiffelbridge check --config FILE`" + ` names every problem with its line and key, and
opens nothing. Unknown keys are problems, and so are keys that stand twice, anchors, aliases and tags.

- A key without a value keeps its default, if it has one.
- Durations are written with their unit: ` + "`500ms`, `30s`, `5m`, `720h`" + `; there is no unit for days.
- Sizes are whole numbers of bytes.
- Relative paths begin at the folder in which the relay is started.

## Environment variables

Every value, of a list or a mapping too, may hold environment variables. Keys may not.

| Written | Becomes |
|---|---|
| ` + "`${NAME}`" + ` | the variable; it is a problem if it is not set |
| ` + "`${NAME:-text}`" + ` | the variable, or the text if it is not set or empty |
| ` + "`$$`" + ` | one ` + "`$`" + ` |
| ` + "`$`" + ` before anything else | itself |

What a variable holds is a value and never YAML: it cannot add keys. Between braces or brackets, as in ` + "`{url: \"${URL}\"}`" + `, the
quotes are needed. Passwords in URLs, the values of headers, tokens and secrets are never printed.

`

// document is docs/configuration.md.
func document(root string) (string, error) {
	var b strings.Builder
	b.WriteString(header)
	without, err := withoutConfiguration()
	if err != nil {
		return "", err
	}
	b.WriteString(without)
	b.WriteString("## Keys\n\nWith each key: its type, its default, what is allowed, and for a transport, whether it matters as a source or as a sink.\n" +
		"A key that only matters in the other role is taken and has no effect.\n\n")
	used := map[string]bool{}
	for _, s := range sections() {
		keys, err := keysOf(root, s)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "### %s\n\n", s.title)
		if s.intro != "" {
			b.WriteString(wrap(s.intro, "", "") + "\n")
		}
		if s.prefix == "" {
			b.WriteString(topLevel(keys))
		}
		if strings.HasPrefix(s.title, "Transport ") {
			fmt.Fprintf(&b, "- **`type`** (text; must be written): `%s`.\n", strings.TrimPrefix(s.title, "Transport "))
		}
		for _, k := range keys {
			used[k.rule] = true
			b.WriteString(k.line(s.prefix == ""))
		}
		b.WriteString("\n")
	}
	for name := range rules() {
		if !used[name] {
			return "", fmt.Errorf("facts.go: there is no key %s any more", name)
		}
	}
	b.WriteString("## A complete example\n\nIt has every key but those of other types of a ledger and of the dead letters. Where a comment says nothing else, the value is the default.\n\n```yaml\n")
	b.WriteString(strings.TrimRight(example, "\n") + "\n```\n")
	return b.String(), nil
}

// topLevel leads to the sections of the keys that are mappings or lists.
func topLevel(keys []key) string {
	var parts []string
	for _, k := range keys {
		if k.nested != "" {
			parts = append(parts, fmt.Sprintf("[`%s`](#%s)", k.name, k.nested))
		}
	}
	return wrap("The sections "+strings.Join(parts, ", ")+" stand below; `transports` is a mapping of names of your own to transports, "+
		"each with a `type`.", "", "") + "\n"
}

// withoutConfiguration says what a relay does that was given no file.
func withoutConfiguration() (string, error) {
	var b strings.Builder
	b.WriteString("## Without a configuration\n\n`eiffelbridge run` alone has the ledger in the folder `ledger`, the dead letters in `dead-letters.jsonl`, " +
		"the admin listener on\n127.0.0.1:9090, and these relays:\n\n| Environment | Relays |\n|---|---|\n")
	for _, env := range []map[string]string{
		{}, {"AMQP_URL": "amqp://broker/"}, {"AMQP_URL": "amqp://broker/", "K_SINK": "http://sink.example.com/"},
	} {
		c := daemon.DefaultConfig(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if list := daemon.Check(c); len(list) > 0 {
			return "", fmt.Errorf("the default configuration: %s", list[0])
		}
		if c.Ledger.Path != "ledger" || c.DeadLetters.Path != "dead-letters.jsonl" || c.Admin.Listen != "127.0.0.1:9090" {
			return "", fmt.Errorf("the default configuration has other places than the document says")
		}
		name := "neither `AMQP_URL` nor `K_SINK`"
		switch len(env) {
		case 1:
			name = "`AMQP_URL`"
		case 2:
			name = "`AMQP_URL` and `K_SINK`"
		}
		var relays []string
		for _, r := range c.Relays {
			relays = append(relays, fmt.Sprintf("`%s`: from %s to %s", r.Name, endpoint(c.Transports[r.From], true), endpoint(c.Transports[r.To], false)))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", name, strings.Join(relays, "<br>"))
	}
	b.WriteString("\n`K_SINK` counts only together with `AMQP_URL`.\n\n")
	return b.String(), nil
}

// endpoint is a transport of the default configuration in words.
func endpoint(t *strictyaml.Section, asSource bool) string {
	switch kind := t.String("type"); kind {
	case "cloudevents_http":
		if asSource {
			return "CloudEvents on " + t.String("listen")
		}
		return "the URL of `K_SINK`"
	case "amqp091":
		if asSource {
			return fmt.Sprintf("the queue `%s`, bound to the exchange `%s`", t.String("queue"), t.String("exchange"))
		}
		return fmt.Sprintf("the exchange `%s`", t.String("exchange"))
	case "stdio":
		return "standard output"
	default:
		return kind
	}
}

// key is one key of the document.
type key struct {
	name   string
	kind   string
	value  string // default, in Markdown; empty: none
	raw    reflect.Value
	role   string
	text   string
	rule   string // its name in rules
	also   rule
	nested string // the anchor of its own section
}

// keysOf are the keys of a section in the order of the structs.
func keysOf(root string, s section) ([]key, error) {
	var out []key
	for _, src := range s.structs {
		t := reflect.TypeOf(src.defaults)
		comments, err := commentsOf(filepath.Join(root, src.folder), t)
		if err != nil {
			return nil, err
		}
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if name == "" || name == "-" {
				continue
			}
			k := key{name: name, role: src.role, text: comments[f.Name], rule: ruleName(s, name)}
			if k.nested = nestedIn(s, name); k.nested == "" && k.text == "" {
				return nil, fmt.Errorf("%s.%s has no comment", t, f.Name)
			}
			var known bool
			if k.also, known = rules()[k.rule]; !known && strings.HasPrefix(s.title, "Transport amqp") {
				return nil, fmt.Errorf("facts.go: %s has no role", k.rule)
			}
			if k.also.role != "" {
				k.role = k.also.role
			}
			k.text = sentence(quoteValues(k.text, k.also.values))
			k.kind = kindOf(f.Type)
			k.raw = reflect.ValueOf(src.defaults).Field(i)
			k.value = valueOf(k.raw)
			if k.also.without != "" {
				k.value = k.also.without
			}
			if at := slices.IndexFunc(out, func(o key) bool { return o.name == name }); at >= 0 {
				out[at].both(k)
				continue
			}
			out = append(out, k)
		}
	}
	return out, nil
}

// both joins a key that a source and a sink have.
func (k *key) both(other key) {
	if k.value != other.value {
		k.value = fmt.Sprintf("%s as a %s, %s as a %s", k.value, k.role, other.value, other.role)
	}
	k.text = fmt.Sprintf("As a %s: %s As a %s: %s", k.role, k.text, other.role, other.text)
	k.role = ""
}

// ruleName is the key of a rule: a transport stands there under its type.
func ruleName(s section, name string) string {
	if kind, ok := strings.CutPrefix(s.title, "Transport "); ok {
		return kind + "." + name
	}
	return s.prefix + name
}

// nestedIn is the anchor of the section that a key has for itself.
func nestedIn(s section, name string) string {
	if s.prefix == "" && name == "transports" {
		return anchor("Transport cloudevents_http")
	}
	for _, other := range sections() {
		if s.overHTTP() && other.prefix == httpPrefix+name+"." {
			return anchor(other.title)
		}
		if other.prefix == s.prefix+name+"." || other.prefix == s.prefix+name+"[]." || other.prefix == ruleName(s, name)+"." {
			return anchor(other.title)
		}
	}
	return ""
}

func anchor(title string) string { return strings.ReplaceAll(strings.ToLower(title), " ", "-") }

// line is the key as an item of a list.
func (k key) line(top bool) string {
	if k.nested != "" {
		if top {
			return ""
		}
		return fmt.Sprintf("- **`%s`**: see [below](#%s).\n", k.name, k.nested)
	}
	if strings.HasPrefix(k.text, "Not supported yet") {
		return fmt.Sprintf("- **`%s`**: not supported yet.\n", k.name)
	}
	about := []string{k.kind}
	switch {
	case k.also.need:
		about = append(about, "must be written")
	case k.value != "":
		about = append(about, "default "+k.value)
	}
	if len(k.also.values) > 0 {
		quoted := make([]string, len(k.also.values))
		for i, v := range k.also.values {
			quoted[i] = "`" + v + "`"
		}
		about = append(about, strings.Join(quoted, ", "))
	} else if k.also.text != "" {
		about = append(about, k.also.text)
	}
	if k.role != "" {
		about = append(about, k.role)
	}
	return wrap(fmt.Sprintf("**`%s`** (%s): %s", k.name, strings.Join(about, "; "), k.text), "- ", "  ")
}

// kindOf is a type in the words of the document.
func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]() || t == reflect.TypeFor[*time.Duration]():
		return "duration"
	case t == reflect.TypeFor[secret.Secret]():
		return "text, a secret"
	case t == reflect.TypeFor[[]secret.Secret]():
		return "text or list of text, secrets"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "`true` or `false`"
	case reflect.Int, reflect.Int64:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of " + kindOf(t.Elem())
	case reflect.Interface:
		return "any"
	case reflect.Map:
		if t == reflect.TypeFor[cloudeventshttp.Headers]() || t.Elem() == reflect.TypeFor[secret.Secret]() {
			return "mapping of names to text, secrets"
		}
		return "mapping of names to " + kindOf(t.Elem())
	}
	return t.String()
}

// valueOf is a default in Markdown.
func valueOf(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return "`" + duration(d) + "`"
	}
	switch v.Kind() {
	case reflect.String:
		if v.String() == "" {
			return "none"
		}
		return "`" + v.String() + "`"
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]secret.Secret]() {
			return "none"
		}
		var items []string
		for i := range v.Len() {
			items = append(items, strconv.Quote(v.Index(i).String()))
		}
		return "`[" + strings.Join(items, ", ") + "]`"
	case reflect.Map:
		return "none"
	case reflect.Struct:
		return ""
	}
	return fmt.Sprintf("`%v`", v.Interface())
}

// duration is one as people write it: 2m, not 2m0s.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func count(n int) string { return strconv.Itoa(n) }

// commentsOf are the comments on the fields of a struct, in the words of a configuration: keys for names of fields, values for
// names of constants.
func commentsOf(folder string, t reflect.Type) (map[string]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var found *ast.StructType
	words := map[string]string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(folder, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok && n.Name.Name == t.Name() {
					found = s
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if text, ok := textOf(n, i); ok && name.IsExported() {
						words[name.Name] = "`" + text + "`"
					}
				}
			case *ast.FuncDecl:
				return false
			}
			return true
		})
	}
	if found == nil {
		return nil, fmt.Errorf("there is no struct %s in %s", t.Name(), folder)
	}
	out := map[string]string{}
	for _, f := range found.Fields.List {
		if f.Tag == nil || len(f.Names) != 1 {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			return nil, err
		}
		if name := reflect.StructTag(tag).Get("yaml"); name != "" && name != "-" {
			words[f.Names[0].Name] = "`" + name + "`"
			out[f.Names[0].Name] = f.Doc.Text()
		}
	}
	for name, text := range out {
		out[name] = inWords(text, name, words)
	}
	return out, nil
}

// textOf is the text of a constant.
func textOf(n *ast.ValueSpec, i int) (string, bool) {
	if i >= len(n.Values) {
		return "", false
	}
	lit, ok := n.Values[i].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	return constant.StringVal(constant.MakeFromLiteral(lit.Value, lit.Kind, 0)), true
}

var (
	reference = regexp.MustCompile(`;? \(?see \[[^\]]+\]\)?`)
	word      = regexp.MustCompile("[\"`]?[A-Za-z][A-Za-z0-9]*")
)

// inWords turns the comment on a field into text for people who see keys only.
func inWords(text, field string, words map[string]string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = reference.ReplaceAllString(text, "")
	own := words[field]
	text = word.ReplaceAllStringFunc(text, func(w string) string {
		if key, ok := words[w]; ok && isName(w) {
			return key
		}
		return w
	})
	// "`listen` is the address" repeats the key that stands before it.
	if rest, ok := strings.CutPrefix(text, own+" "); ok {
		for _, verb := range []string{"is ", "are "} {
			rest = strings.TrimPrefix(rest, verb)
		}
		return rest
	}
	return text
}

// quoteValues marks the allowed values of a key in the text about it.
func quoteValues(text string, values []string) string {
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if slices.Contains(values, w) {
			return "`" + w + "`"
		}
		return w
	})
}

// sentence begins with a capital letter, unless it begins with code.
func sentence(text string) string {
	if text == "" || text[0] < 'a' || text[0] > 'z' {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// isName tells whether a word is written as a name of Go is in a comment; a sentence may begin with an ordinary word.
func isName(w string) bool { return w != "" && w[0] >= 'A' && w[0] <= 'Z' }

// wrap breaks lines before column 120.
func wrap(text, first, rest string) string {
	const width = 120
	var b strings.Builder
	line := first
	empty := true
	for _, w := range strings.Fields(text) {
		if !empty && len(line)+1+len(w) > width {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line += w
		empty = false
	}
	b.WriteString(line + "\n")
	return b.String()
}
