package translate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// unwanted are packages with which a translation could know the time of day, the network, randomness or a process, and
// SDKs that cost every program that embeds it. A trailing slash stands for everything below.
var unwanted = []string{
	"net", "net/http", "net/http/", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/", "os/exec",
	"google.golang.org/grpc", "google.golang.org/grpc/", "github.com/rabbitmq/amqp091-go",
	"github.com/hashicorp/go-plugin", "github.com/hashicorp/go-plugin/",
	"github.com/cdevents/sdk-go/", "github.com/cloudevents/sdk-go/", "github.com/eiffel-community/eiffelevents-sdk-go",
	"github.com/eiffel-community/eiffelevents-sdk-go/",
}

// toleratedDependencies are unwanted packages that only a third party brings in, with the reason for bearing it.
var toleratedDependencies = map[string]string{}

// TestDependencies holds the translation core to its promise of knowing no clock, network, randomness or process.
func TestDependencies(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not at hand to list dependencies")
	}
	for _, pkg := range []string{".", "./ledger", "./version", "../mappings"} {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		found := map[string]bool{}
		for _, dep := range strings.Fields(string(out)) {
			for _, u := range unwanted {
				if dep == u || strings.HasSuffix(u, "/") && strings.HasPrefix(dep, u) {
					found[dep] = true
				}
			}
		}
		for dep := range found {
			if toleratedDependencies[dep] == "" {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}

// TestNoClock reads the package's own source: a dependency on package time is needed to read timestamps, but what
// depends on the present must not be in it, nor anything of the machine that it runs on.
func TestNoClock(t *testing.T) {
	present := map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "Sleep": true,
		"Tick": true, "NewTimer": true, "NewTicker": true, "Local": true}
	imports := map[string]bool{"os": true, "os/exec": true, "io/ioutil": true, "runtime": true, "syscall": true, "unsafe": true,
		"hash/maphash": true, "math/rand": true, "math/rand/v2": true, "crypto/rand": true, "log": true, "log/slog": true, "net": true, "net/http": true}
	read := 0
	for _, pattern := range []string{"*.go", filepath.Join("ledger", "*.go"), filepath.Join("version", "*.go"), filepath.Join("..", "mappings", "*.go")} {
		files, err := filepath.Glob(pattern)
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
				path, _ := strconv.Unquote(spec.Path.Value)
				if imports[path] {
					t.Errorf("%s imports %s", set.Position(spec.Pos()), path)
				}
				if path == "time" {
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
	if read < 10 {
		t.Fatalf("only %d source files were found", read)
	}
}
