// Package house holds the module to the directions in which its packages may depend on one another.
//
// rules is the table of the house as it is to stand. What is not moved yet stands in exceptions, old and planned, each
// with its reason. None of them outlives its cause: an exception that nothing needs is a failure.
package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/eiffelbridge/eiffelbridge"

// A rule says what the packages of a pattern may depend on. A pattern is a package's path below the module, or with /...
// behind it that of a package and all below it. The longest pattern that fits a package is its rule.
type rule struct {
	// may are patterns of the packages of the module that it may import. Those of internal may be imported everywhere, but
	// for internal/testkit and internal/docgen. "..." stands for all.
	may []string
	// modules, if it is not nil, are the paths of what it may import from other modules: a path, or what is below it.
	modules []string
	// not are packages that it must not import itself.
	not []string
	// never are packages, or all below one, that it must not depend on, not even through others.
	never []string
}

// pure is what a translation could know the time of day, the network, randomness, the machine or a process by.
var pure = []string{
	"os", "os/exec", "io/ioutil", "io/fs", "runtime", "syscall", "unsafe", "embed", "hash/maphash", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog",
	"net", "net/http",
}

// impure is what the translation must not bring into a program that embeds it.
var impure = []string{
	"net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "os/exec",
	"google.golang.org/grpc", "github.com/rabbitmq", "github.com/hashicorp", "github.com/cockroachdb", "cel.dev",
	"github.com/cdevents/sdk-go", "github.com/cloudevents/sdk-go", "github.com/eiffel-community/eiffelevents-sdk-go",
}

// slow are the SDKs that cost every start of a process: one of them compiles all schemas when it is imported.
var slow = []string{"github.com/cdevents/sdk-go", "github.com/eiffel-community/eiffelevents-sdk-go"}

// except is pure or impure without some.
func except(from []string, without ...string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(s string) bool { return slices.Contains(without, s) })
}

// The house. The library of expressions brings a logger that nobody calls; secrets keep out of logs.
var rules = map[string]rule{
	// The translation.
	"translate":         {may: []string{"mappings", "translate/ledger", "translate/version"}, modules: []string{"github.com/package-url/packageurl-go"}, not: pure, never: impure},
	"translate/ledger":  {modules: []string{"google.golang.org/protobuf/encoding/protowire"}, not: pure, never: impure},
	"translate/compose": {may: []string{"translate", "translate/ledger"}, not: pure, never: impure},
	"translate/version": {modules: []string{"golang.org/x/mod/semver"}, not: pure, never: impure},
	"translate/lookup":  {may: []string{"translate/ledger"}, not: pure, never: impure},
	"translate/ce":      {may: []string{"translate", "translate/ledger"}, modules: []string{"github.com/cloudevents/sdk-go/v2/event"}, never: except(impure, "github.com/cloudevents/sdk-go", "log", "math/rand")},
	"translate/typed":   {may: []string{"translate"}},
	"mappings":          {modules: []string{"github.com/goccy/go-yaml"}, not: except(pure, "embed"), never: impure},
	"mappings/overlay":  {may: []string{"mappings"}, never: except(impure, "cel.dev", "log", "log/slog")},
	"mappings/ingest":   {may: []string{"mappings/overlay", "translate"}, never: except(impure, "cel.dev", "log", "log/slog")},

	// Plugins.
	"plugins/transport":         {modules: []string{}, never: impure},
	"plugins/pluginv1":          {never: slow},
	"plugins/sdk":               {may: []string{"plugins/pluginv1", "plugins/transport", "translate", "translate/compose", "translate/ledger"}, never: append([]string{"github.com/rabbitmq", "github.com/cloudevents", "cel.dev", "github.com/hashicorp", "github.com/cockroachdb", "github.com/prometheus", "github.com/spf13", "net/http/pprof", "go.etcd.io"}, slow...)},
	"plugins/host":              {may: []string{"plugins/pluginv1", "plugins/transport", "translate", "translate/compose", "translate/ledger"}, never: slow},
	"plugins/webhookv1":         {never: slow},
	"plugins/eiffel-translator": {may: []string{"daemon/ledgers/...", "plugins/webhookv1", "translate"}, never: slow},

	// The relay. Whoever embeds it gets only the drivers and stores that they name.
	"daemon": {
		may: []string{"daemon/admin/...", "daemon/deadletters", "daemon/internal/...", "daemon/ledgers", "daemon/settings", "daemon/traces", "daemon/transports",
			"mappings", "plugins/...", "translate/..."},
		never: append([]string{"github.com/cockroachdb/pebble", "github.com/jackc", "github.com/rabbitmq", "cel.dev"}, slow...),
	},
	"daemon/settings":           {not: pure, never: impure},
	"daemon/config":             {may: []string{"..."}, never: slow},
	"daemon/internal/sequence":  {may: []string{"daemon/ledgers", "daemon/settings", "translate"}},
	"daemon/internal/account":   {may: []string{"daemon/settings", "plugins/host"}},
	"daemon/internal/plugins":   {may: []string{"daemon/settings", "plugins/host"}},
	"daemon/ledgers":            {may: []string{"translate/ledger"}, never: []string{"github.com/cockroachdb", "github.com/jackc", "net"}},
	"daemon/ledgers/disk":       {may: []string{"daemon/ledgers", "translate/ledger"}},
	"daemon/ledgers/postgres":   {may: []string{"daemon/ledgers", "translate/ledger"}},
	"daemon/deadletters":        {may: []string{"daemon/ledgers", "plugins/transport"}},
	"daemon/admin/...":          {may: []string{"translate/lookup"}},
	"daemon/traces":             {},
	"daemon/transports":         {may: []string{"plugins/transport"}, never: []string{"github.com/rabbitmq", "github.com/cloudevents"}},
	"daemon/transports/...":     {may: []string{"daemon/transports", "daemon/transports/internal/...", "plugins/transport"}, never: slow},
	"daemon/transports/builtin": {may: []string{"daemon/transports/..."}, never: slow},

	// Above all.
	"conformance/...": {may: []string{"conformance/...", "daemon/ledgers", "plugins/...", "translate", "translate/ledger"}, not: []string{"testing"}, never: slow},
	// What runs a kit in a test, and imports testing.
	"conformance/plugin/plugintest":         {may: []string{"conformance/plugin"}, never: slow},
	"conformance/translator/translatortest": {may: []string{"conformance/translator"}, never: slow},
	"conformance/transport/transporttest":   {may: []string{"conformance/transport"}, never: slow},
	"cmd/...":                               {may: []string{"..."}, never: slow},
	"examples/...":                          {may: []string{"conformance/...", "daemon", "daemon/config", "daemon/ledgers/...", "daemon/settings", "daemon/transports/...", "mappings/...", "plugins/...", "translate/..."}},
	"internal/testkit/...":                  {may: []string{"..."}},
	"internal/docgen/...":                   {may: []string{"..."}, never: slow},
	"scripts/...":                           {},
	"internal/cloudevents":                  {modules: []string{}, not: pure, never: impure},
	"internal/arena":                        {not: except(pure, "unsafe"), never: impure},
	"internal/jsondoc":                      {not: except(pure, "unsafe"), never: impure},
	"internal/schema":                       {not: except(pure, "embed", "unsafe"), never: impure},
	"internal/smallmap":                     {not: pure, never: impure},
	"internal/table":                        {not: except(pure, "hash/maphash"), never: impure},
	"internal/uuid":                         {not: pure, never: impure},
	"internal/schema/...":                   {},
	"internal/secret":                       {not: except(pure, "log/slog"), never: except(impure, "log", "log/slog")},
	"internal/strictyaml":                   {not: pure, never: impure},
	"translate/internal/codes":              {may: []string{"mappings"}},
	"internal/mappingtext":                  {may: []string{"mappings"}, never: impure},
	"internal/pluginwire":                   {may: []string{"plugins/pluginv1", "translate", "translate/ledger"}, never: slow},
}

// planned are the rooms that nobody has built yet.
var planned = []string{
	"daemon/admin/...", "daemon/config", "daemon/internal/account", "daemon/internal/plugins", "daemon/internal/sequence", "daemon/ledgers",
	"daemon/ledgers/disk", "daemon/ledgers/postgres", "daemon/settings", "daemon/transports", "daemon/transports/builtin",
	"mappings/ingest", "translate/lookup",
}

// old are packages that have no room in the house, what they may import until then, and where they are to go.
var old = map[string]struct {
	rule
	goes string
}{
	"daemon/board":                 {rule{may: []string{"translate", "translate/ledger"}}, "into daemon/admin and translate/lookup"},
	"daemon/ledger":                {rule{may: []string{"translate", "translate/ledger"}}, "into daemon/ledgers and translate/ledger"},
	"internal/accounting":          {rule{}, "into internal/testkit"},
	"internal/cloudeventsjson":     {rule{may: []string{"plugins/transport"}}, "to the drivers, on the SDK's bindings"},
	"internal/configdoc":           {rule{may: []string{"..."}}, "into internal/docgen"},
	"internal/endtoend":            {rule{may: []string{"..."}}, "into internal/testkit"},
	"internal/otlptest":            {rule{}, "into internal/testkit"},
	"internal/rabbittest/...":      {rule{}, "into internal/testkit"},
	"internal/torture/...":         {rule{may: []string{"..."}}, "into internal/testkit"},
	"internal/transportplugin/...": {rule{may: []string{"plugins/host", "plugins/pluginv1", "plugins/transport"}}, "to plugins/sdk and plugins/host, and what tests it into internal/testkit"},
}

// An edge is a package and what it imports or depends on.
type edge struct{ from, to string }

// exceptions are the edges that a rule forbids and the code still has.
var exceptions = map[edge]string{
	{"plugins/eiffel-translator", "daemon/ledger"}: "the stores are not in daemon/ledgers yet",

	{"daemon", "daemon/board"}:                          "daemon/admin is not built yet",
	{"daemon", "daemon/ledger"}:                         "the relay opens its store itself",
	{"daemon", "daemon/transports/amqp091"}:             "the relay knows its drivers by name: there is no registry yet",
	{"daemon", "daemon/transports/cdevents_webhook"}:    "the relay knows its drivers by name: there is no registry yet",
	{"daemon", "daemon/transports/cloudevents_http"}:    "the relay knows its drivers by name: there is no registry yet",
	{"daemon", "daemon/transports/file"}:                "the relay knows its drivers by name: there is no registry yet",
	{"daemon", "daemon/transports/stdio"}:               "the relay knows its drivers by name: there is no registry yet",
	{"daemon", "mappings/overlay"}:                      "the relay reads configuration itself: daemon/config is not built yet",
	{"daemon", "github.com/cockroachdb/pebble"}:         "by daemon/ledger",
	{"daemon", "github.com/rabbitmq"}:                   "by daemon/transports/amqp091",
	{"daemon", "cel.dev"}:                               "by mappings/overlay",
	{"daemon/deadletters", "daemon/transports/amqp091"}: "letters go to an exchange through the driver itself",

	{"daemon/transports/cdevents_webhook", "daemon/transports/cloudevents_http"}: "its server is that of the other driver",
	{"daemon/transports/cdevents_webhook", "plugins/host"}:                       "it runs the adapter's translators",
	{"daemon/transports/cdevents_webhook", "plugins/webhookv1"}:                  "it speaks their protocol",
	{"daemon/transports/cdevents_webhook", "translate"}:                          "it reads what they give",
	{"daemon/transports/cdevents_webhook/testtranslator", "plugins/webhookv1"}:   "it is a translator for the driver's tests",
}

// root is the folder of the module.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("the test does not run in the module")
		}
		dir = parent
	}
}

// imports reads the source of every package, modules of their own below this one too: what its files import, tests left
// out, on whatever platform they are built.
func imports(t testing.TB) map[string][]string {
	t.Helper()
	top := root(t)
	out := map[string][]string{}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != top && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(top, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg = filepath.ToSlash(pkg)
		if out[pkg] == nil {
			out[pkg] = []string{}
		}
		for _, spec := range file.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !slices.Contains(out[pkg], to) {
				out[pkg] = append(out[pkg], to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fits tells whether a package is one of a pattern.
func fits(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	base, below := strings.CutSuffix(pattern, "/...")
	return pkg == base || below && strings.HasPrefix(pkg, base+"/")
}

func fitsAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(p, pkg) })
}

// ruleOf finds the rule of a package, and the pattern that it stands under.
func ruleOf(pkg string) (r rule, pattern string) {
	better := func(p string) bool {
		base, before := strings.TrimSuffix(p, "/..."), strings.TrimSuffix(pattern, "/...")
		return fits(p, pkg) && (pattern == "" || len(base) > len(before) || p == pkg)
	}
	for p, candidate := range rules {
		if better(p) {
			r, pattern = candidate, p
		}
	}
	for p, candidate := range old {
		if better(p) {
			r, pattern = candidate.rule, p
		}
	}
	return r, pattern
}

// findings are the edges that the rules forbid, and what each breaks.
func findings(direct map[string][]string, deps map[string][]string) map[edge]string {
	out := map[edge]string{}
	for pkg, all := range direct {
		r, pattern := ruleOf(pkg)
		if pattern == "" {
			out[edge{pkg, ""}] = "is in no room of the house"
			continue
		}
		for _, to := range all {
			if slices.Contains(r.not, to) {
				out[edge{pkg, to}] = "must not be imported there"
			}
			inner, ours := strings.CutPrefix(to, module+"/")
			switch {
			case ours && fits("internal/...", inner):
				harness := fits("internal/testkit/...", inner) || fits("internal/docgen/...", inner)
				if harness && !fitsAny(r.may, inner) || fits("examples/...", pkg) {
					out[edge{pkg, inner}] = "is internal"
				}
			case ours:
				below := strings.HasPrefix(pkg, "cmd/") && strings.HasPrefix(inner, "cmd/")
				if !below && !fitsAny(r.may, inner) {
					out[edge{pkg, inner}] = "is not among what it may import"
				}
			case r.modules != nil && strings.Contains(strings.Split(to, "/")[0], "."):
				if !slices.ContainsFunc(r.modules, func(m string) bool { return to == m || strings.HasPrefix(to, m+"/") }) {
					out[edge{pkg, moduleOf(to)}] = "is another module's, which it does without"
				}
			}
		}
		for _, to := range deps[pkg] {
			for _, n := range r.never {
				// A package of the standard library stands for itself, a module's path for all of it.
				if to == n || strings.Contains(n, ".") && strings.HasPrefix(to, n+"/") {
					out[edge{pkg, n}] = "must not be depended on, not even through others"
				}
			}
		}
	}
	return out
}

// moduleOf shortens the path of a package to what is mostly its module's.
func moduleOf(path string) string {
	parts := strings.Split(path, "/")
	n := 3
	if !strings.HasPrefix(path, "github.com/") {
		n = 2
	}
	return strings.Join(parts[:min(n, len(parts))], "/")
}

// dependencies lists what each package of the module depends on.
func dependencies(t testing.TB) map[string][]string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", "list", "-json=ImportPath,Deps", "./...")
	cmd.Dir, cmd.Stderr = root(t), &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v %s", err, stderr.String())
	}
	out := map[string][]string{}
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var pkg struct {
			ImportPath string
			Deps       []string
		}
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(pkg.ImportPath, module+"/")] = pkg.Deps
	}
}

func TestHouse(t *testing.T) {
	direct, deps := imports(t), dependencies(t)
	if len(direct) < 50 || len(deps) < 50 {
		t.Fatalf("%d packages by their source, %d by the go command", len(direct), len(deps))
	}
	found := findings(direct, deps)
	for _, e := range sorted(found) {
		if exceptions[e] == "" {
			t.Errorf("%s: %s %s", e.from, e.to, found[e])
		}
	}
	for _, e := range sorted(exceptions) {
		if _, needed := found[e]; !needed {
			t.Errorf("%s no longer depends on %s: the exception goes", e.from, e.to)
		}
	}
	t.Logf("%d packages, %d exceptions", len(direct), len(exceptions))
}

// TestRoomsAreAsTheyAreSaidToBe: every rule is one of some package, or planned; what is old is still there.
func TestRoomsAreAsTheyAreSaidToBe(t *testing.T) {
	used := map[string]bool{}
	for pkg := range imports(t) {
		_, pattern := ruleOf(pkg)
		used[pattern] = true
	}
	for pattern := range rules {
		switch is := slices.Contains(planned, pattern); {
		case used[pattern] && is:
			t.Errorf("%s is built: it is not planned any more", pattern)
		case !used[pattern] && !is:
			t.Errorf("%s is the room of no package", pattern)
		}
	}
	for pattern := range old {
		if !used[pattern] {
			t.Errorf("%s is gone", pattern)
		}
	}
	for _, pattern := range planned {
		if _, ok := rules[pattern]; !ok {
			t.Errorf("%s is planned without a rule", pattern)
		}
	}
}

// TestFindings breaks each kind of rule.
func TestFindings(t *testing.T) {
	for _, c := range []struct {
		pkg, imports, deps string
		want               edge
	}{
		{"translate", module + "/daemon", "", edge{"translate", "daemon"}},
		{"translate", "os", "", edge{"translate", "os"}},
		{"translate", "github.com/x/y/z", "", edge{"translate", "github.com/x/y"}},
		{"translate", module + "/mappings", "net", edge{"translate", "net"}},
		{"translate", module + "/mappings", "google.golang.org/grpc/codes", edge{"translate", "google.golang.org/grpc"}},
		{"translate", module + "/internal/testkit/specs", "", edge{"translate", "internal/testkit/specs"}},
		{"translate/typed", module + "/daemon", "", edge{"translate/typed", "daemon"}},
		{"mappings", "", "cel.dev/cel-go/cel", edge{"mappings", "cel.dev"}},
		{"mappings/overlay", module + "/translate", "", edge{"mappings/overlay", "translate"}},
		{"plugins/transport", "github.com/x/y", "", edge{"plugins/transport", "github.com/x/y"}},
		{"daemon/transports/file", module + "/daemon/transports/stdio", "", edge{"daemon/transports/file", "daemon/transports/stdio"}},
		{"daemon/transports/file", module + "/daemon", "", edge{"daemon/transports/file", "daemon"}},
		{"examples/plugins/x", module + "/internal/jsondoc", "", edge{"examples/plugins/x", "internal/jsondoc"}},
		{"examples/plugins/x", module + "/cmd/eiffelbridge/internal/cli", "", edge{"examples/plugins/x", "cmd/eiffelbridge/internal/cli"}},
		{"conformance/ledger", "testing", "", edge{"conformance/ledger", "testing"}},
		{"cmd/eiffelbridge", "", "github.com/cdevents/sdk-go/pkg/api", edge{"cmd/eiffelbridge", "github.com/cdevents/sdk-go"}},
		{"elsewhere", "", "", edge{"elsewhere", ""}},
	} {
		var direct []string
		if c.imports != "" {
			direct = []string{c.imports}
		}
		found := findings(map[string][]string{c.pkg: direct}, map[string][]string{c.pkg: {c.deps}})
		if _, ok := found[c.want]; !ok || len(found) != 1 {
			t.Errorf("%s with %q and %q: %v, want %v", c.pkg, c.imports, c.deps, found, c.want)
		}
	}
	for pkg, to := range map[string]string{
		"translate": module + "/mappings", "cmd/eiffelbridge": module + "/daemon", "translate/version": module + "/internal/jsondoc",
		"internal/testkit/x": module + "/daemon", "mappings": "strings",
	} {
		if found := findings(map[string][]string{pkg: {to}}, nil); len(found) != 0 {
			t.Errorf("%s may import %s: %v", pkg, to, found)
		}
	}
}

// TestNoClock reads the source of the core: a dependency on package time is needed to read timestamps, but what depends on
// the present must not be in it.
func TestNoClock(t *testing.T) {
	present := map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "Sleep": true,
		"Tick": true, "NewTimer": true, "NewTicker": true, "Local": true}
	read := 0
	for pkg := range imports(t) {
		if r, _ := ruleOf(pkg); !slices.Contains(r.not, "os") {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root(t), filepath.FromSlash(pkg), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			read++
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			clock := "" // the name under which the file imports package time
			for _, spec := range file.Imports {
				if path, _ := strconv.Unquote(spec.Path.Value); path == "time" {
					clock = "time"
					if spec.Name != nil {
						clock = spec.Name.Name
					}
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				selector, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if of, ok := selector.X.(*ast.Ident); ok && clock != "" && of.Name == clock && present[selector.Sel.Name] {
					t.Errorf("%s uses %s.%s", set.Position(n.Pos()), clock, selector.Sel.Name)
				}
				return true
			})
			if clock == "." {
				t.Errorf("%s imports package time without a name, which hides its use", name)
			}
		}
	}
	if read < 50 {
		t.Fatalf("only %d source files were found", read)
	}
	t.Logf("%d files", read)
}

func sorted[V any](m map[edge]V) []edge {
	return slices.SortedFunc(maps.Keys(m), func(a, b edge) int { return strings.Compare(a.from+" "+a.to, b.from+" "+b.to) })
}
