// Package api holds the exported API of the packages that others build on to what is written down: to api/current.txt, so
// that a commit that changes the API shows it, and to the promises of docs/stability.md.
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module    = "github.com/eiffelbridge/eiffelbridge"
	root      = "../../.."
	listing   = root + "/api/current.txt"
	stability = root + "/docs/stability.md"

	generated = "plugins/pluginv1" // from plugin.proto, which is held to the last release itself
)

// known are signatures that mention a type of internal, each with what is to be done about it. None outlives its cause.
var known = map[string]string{
	"daemon.AdminConfig.Token -> internal/secret.Secret":         configured,
	"daemon.AdminSettings.Token -> internal/secret.Secret":       configured,
	"daemon.Check -> internal/strictyaml.Problem":                configured,
	"daemon.ConfigError.Problems -> internal/strictyaml.Problem": configured,
	"daemon.LedgerConfig.URL -> internal/secret.Secret":          configured,
	"daemon.PluginConfig.Env -> internal/secret.Secret":          configured,
	"daemon.Problem -> internal/strictyaml.Problem":              configured,
	"daemon.Secret -> internal/secret.Secret":                    configured,
	"daemon.Transports -> internal/strictyaml.Section":           configured,
}

const configured = "the configuration is to move into daemon/config; until then daemon.Secret and daemon.Problem are names for the types"

// TestListing holds api/current.txt to the code; UPDATE_GOLDEN=1 writes it anew.
func TestListing(t *testing.T) {
	var b strings.Builder
	b.WriteString("# The exported API of the packages that docs/stability.md calls stable or settling. A test writes it:\n" +
		"# UPDATE_GOLDEN=1 go test ./internal/testkit/api\n")
	for _, p := range public(t) {
		lines := list(p)
		slices.Sort(lines)
		fmt.Fprintf(&b, "\n%s\n", short(p.Path()))
		for _, line := range slices.Compact(lines) {
			fmt.Fprintf(&b, "\t%s\n", line)
		}
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(listing, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(listing)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) == b.String() {
		return
	}
	t.Error("the exported API is not what api/current.txt says. Is the change meant, and is an incompatible one in CHANGELOG.md under Changed or\n" +
		"Removed? Then: UPDATE_GOLDEN=1 go test ./internal/testkit/api")
	was, is := named(string(text)), named(b.String())
	for _, line := range was {
		if !slices.Contains(is, line) {
			t.Log("gone:", line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			t.Log("new: ", line)
		}
	}
}

// named gives the lines of a listing, each behind its package.
func named(text string) (out []string) {
	pkg := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "\t"); ok {
			out = append(out, pkg+": "+rest)
		} else {
			pkg = line
		}
	}
	return out
}

// TestNothingInternal looks for types of internal packages in what the public packages export: nobody else can name them.
func TestNothingInternal(t *testing.T) {
	found := map[string]bool{}
	for _, p := range public(t) {
		for _, name := range p.Scope().Names() {
			if o := p.Scope().Lookup(name); o.Exported() {
				walk(o, func(where string, of *types.TypeName) {
					found[fmt.Sprintf("%s.%s -> %s.%s", short(p.Path()), where, short(of.Pkg().Path()), of.Name())] = true
				})
			}
		}
	}
	for leak := range found {
		if known[leak] == "" {
			t.Errorf("%s: an exported signature mentions a type of an internal package", leak)
		}
	}
	for leak := range known {
		if !found[leak] {
			t.Errorf("%s: that is mended, so it is not known any more", leak)
		}
	}
}

// TestLevels: every package that others can import has a level in docs/stability.md, and every pattern there fits one.
func TestLevels(t *testing.T) {
	table := levels(t)
	used := map[string]bool{}
	for _, p := range packages(t) {
		pattern, level := levelOf(table, short(p.ImportPath))
		if internal(p.ImportPath) {
			continue
		}
		used[pattern] = true
		if level == "" && p.Name != "main" {
			t.Errorf("%s has no level in docs/stability.md", short(p.ImportPath))
		}
	}
	for pattern := range table {
		if !used[pattern] {
			t.Errorf("%s in docs/stability.md: there is no such package", pattern)
		}
	}
}

// A pkg is what the go command says of a package.
type pkg struct {
	ImportPath, Name, Export string
}

// packages are those of the module.
func packages(t testing.TB) []pkg { return goList(t, "-json=ImportPath,Name", "./...") }

func goList(t testing.TB, args ...string) (out []pkg) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir, cmd.Stderr = root, &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v %s", err, stderr.String())
	}
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

// public are the packages that are stable or settling, with their types.
func public(t testing.TB) (out []*types.Package) {
	t.Helper()
	table := levels(t)
	var paths []string
	for _, p := range packages(t) {
		_, level := levelOf(table, short(p.ImportPath))
		if p.Name != "main" && short(p.ImportPath) != generated && !internal(p.ImportPath) && (level == "stable" || level == "settling") {
			paths = append(paths, p.ImportPath)
		}
	}
	slices.Sort(paths)
	if len(paths) < 10 {
		t.Fatalf("only %d public packages", len(paths))
	}
	exports := map[string]string{}
	for _, p := range goList(t, append([]string{"-export", "-deps", "-json=ImportPath,Export"}, paths...)...) {
		exports[p.ImportPath] = p.Export
	}
	from := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, path := range paths {
		p, err := from.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

var (
	row    = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\| (stable|settling|open) \\|$")
	quoted = regexp.MustCompile("`([^`]+)`")
)

// levels reads the table of Go packages in docs/stability.md: pattern to level.
func levels(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile(stability)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Go packages\n")
	section, _, _ = strings.Cut(section, "\n## ")
	out := map[string]string{}
	for _, r := range row.FindAllStringSubmatch(section, -1) {
		for _, q := range quoted.FindAllStringSubmatch(r[1], -1) {
			out[q[1]] = r[2]
		}
	}
	if len(out) == 0 {
		t.Fatal("docs/stability.md has no table of Go packages")
	}
	return out
}

// levelOf finds the longest pattern that fits a package, and its level.
func levelOf(table map[string]string, pkg string) (pattern, level string) {
	if level, ok := table[pkg]; ok {
		return pkg, level
	}
	for at := pkg; at != "."; at = path.Dir(at) {
		if level, ok := table[at+"/..."]; ok {
			return at + "/...", level
		}
	}
	return "", ""
}

func internal(path string) bool { return slices.Contains(strings.Split(path, "/"), "internal") }

func short(path string) string { return strings.TrimPrefix(path, module+"/") }

// list writes what a package exports, a line for each thing that somebody can name.
func list(p *types.Package) (lines []string) {
	in := func(other *types.Package) string {
		if other == p {
			return ""
		}
		return short(other.Path())
	}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	text := func(t types.Type) string { return types.TypeString(nameless(t), in) }
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		switch o := o.(type) {
		case *types.Const:
			add("const %s %s = %s", name, text(o.Type()), o.Val().ExactString())
		case *types.Var:
			add("var %s %s", name, text(o.Type()))
		case *types.Func:
			add("func %s%s", name, strings.TrimPrefix(text(o.Type()), "func"))
		case *types.TypeName:
			named, ok := o.Type().(*types.Named)
			if !ok || o.IsAlias() {
				add("type %s = %s", name, text(types.Unalias(o.Type())))
				continue
			}
			switch u := named.Underlying().(type) {
			case *types.Struct:
				add("type %s struct", name)
				for f := range u.Fields() {
					if f.Exported() {
						add("type %s struct, %s %s", name, f.Name(), text(f.Type()))
					}
				}
			case *types.Interface:
				add("type %s interface", name)
				for m := range u.Methods() {
					if m.Exported() {
						add("type %s interface, %s%s", name, m.Name(), strings.TrimPrefix(text(m.Type()), "func"))
					} else {
						add("type %s interface, which no other package implements", name)
					}
				}
				continue
			default:
				add("type %s %s", name, text(u))
			}
			for _, m := range methods(named) {
				add("method (%s) %s%s", receiver(m, name), m.Name(), strings.TrimPrefix(text(m.Type()), "func"))
			}
		}
	}
	return lines
}

// methods are the exported ones of a type and of a pointer to it, embedded ones too.
func methods(named *types.Named) (out []*types.Func) {
	set := types.NewMethodSet(types.NewPointer(named))
	for m := range set.Methods() {
		if f, ok := m.Obj().(*types.Func); ok && f.Exported() {
			out = append(out, f)
		}
	}
	return out
}

func receiver(m *types.Func, name string) string {
	if _, pointer := m.Signature().Recv().Type().(*types.Pointer); pointer {
		return "*" + name
	}
	return name
}

// nameless is a signature without the names of its parameters, which are nobody's business but the reader's.
func nameless(t types.Type) types.Type {
	s, ok := t.(*types.Signature)
	if !ok {
		return t
	}
	strip := func(tuple *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for v := range tuple.Variables() {
			vars = append(vars, types.NewParam(token.NoPos, v.Pkg(), "", v.Type()))
		}
		return types.NewTuple(vars...)
	}
	if s.TypeParams().Len() > 0 {
		return s
	}
	return types.NewSignatureType(nil, nil, nil, strip(s.Params()), strip(s.Results()), s.Variadic())
}

// walk tells of each type of an internal package that an exported name mentions, and where.
func walk(o types.Object, tell func(where string, of *types.TypeName)) {
	seen := map[types.Type]bool{}
	var visit func(where string, t types.Type)
	tuple := func(where string, t *types.Tuple) {
		for v := range t.Variables() {
			visit(where, v.Type())
		}
	}
	fields := func(where string, s *types.Struct) {
		for f := range s.Fields() {
			if f.Exported() {
				visit(where+"."+f.Name(), f.Type())
			}
		}
	}
	visit = func(where string, t types.Type) {
		switch t := t.(type) {
		case *types.Alias:
			if p := t.Obj().Pkg(); p != nil && strings.HasPrefix(p.Path(), module+"/") && internal(p.Path()) {
				tell(where, t.Obj())
			}
			visit(where, types.Unalias(t))
		case *types.Named:
			p := t.Obj().Pkg()
			switch {
			case p != nil && strings.HasPrefix(p.Path(), module+"/") && internal(p.Path()):
				tell(where, t.Obj())
			case p == o.Pkg() && !t.Obj().Exported() && !seen[t]: // its fields and methods can be used all the same
				seen[t] = true
				if s, ok := t.Underlying().(*types.Struct); ok {
					fields(where, s)
				}
				for _, m := range methods(t) {
					visit(where+"."+m.Name(), m.Type())
				}
			}
			for a := range t.TypeArgs().Types() {
				visit(where, a)
			}
		case *types.Pointer:
			visit(where, t.Elem())
		case *types.Slice:
			visit(where, t.Elem())
		case *types.Array:
			visit(where, t.Elem())
		case *types.Chan:
			visit(where, t.Elem())
		case *types.Map:
			visit(where, t.Key())
			visit(where, t.Elem())
		case *types.Struct:
			fields(where, t)
		case *types.Interface:
			for m := range t.Methods() {
				visit(where+"."+m.Name(), m.Type())
			}
		case *types.Signature:
			tuple(where, t.Params())
			tuple(where, t.Results())
		}
	}
	name, ok := o.(*types.TypeName)
	if !ok {
		visit(o.Name(), o.Type())
		return
	}
	named, ok := o.Type().(*types.Named)
	if !ok || name.IsAlias() {
		visit(o.Name(), o.Type())
		return
	}
	visit(o.Name(), named.Underlying())
	for _, m := range methods(named) {
		visit(o.Name()+"."+m.Name(), m.Type())
	}
}
