package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// docs/errors.md is compared with the source: every fault.New and fault.Error whose code an answer may carry. A code
// that is put together ("customer" + ".not_found") stands on the page with its parts in angle brackets.
func TestErrorsPage(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	documented := documentedCodes(t, filepath.Join(root, "docs", "errors.md"))
	used := usedCodes(t, root, "domain", "store", "platform", filepath.Join("api", "internal"), filepath.Join("worker", "internal", "intake"))
	used["method_not_allowed"] = http.StatusMethodNotAllowed // the statuses that no kind of fault has
	used["intake.too_slow"] = http.StatusRequestTimeout

	require.Greater(t, len(used), 40, "the source was not read as it should be")
	var missing, stale []string
	for code, status := range used {
		if at, ok := documented[code]; !ok || at != status {
			missing = append(missing, code+" "+strconv.Itoa(status))
		}
	}
	for code := range documented {
		if _, ok := used[code]; !ok {
			stale = append(stale, code)
		}
	}
	assert.Empty(t, missing, "docs/errors.md lacks a row with this code and status")
	assert.Empty(t, stale, "docs/errors.md explains what nothing answers any more")
}

// documentedCodes reads the rows of the page: | <a id="code"></a>`code` | 404 | … |.
func documentedCodes(tb testing.TB, path string) map[string]int {
	tb.Helper()
	page, err := os.ReadFile(path)
	require.NoError(tb, err)
	row := regexp.MustCompile("(?m)^\\| <a id=\"([^\"]+)\"></a>`([^`]+)` \\| (\\d{3}) \\| [^|]+ \\| [^|]+ \\|$")
	part := regexp.MustCompile(`<[a-z]+>`)
	codes := map[string]int{}
	for _, match := range row.FindAllStringSubmatch(string(page), -1) {
		anchor, code := match[1], match[2]
		assert.Equal(tb, strings.NewReplacer("<", "", ">", "").Replace(code), anchor, "the anchor of a row")
		code = part.ReplaceAllString(code, "*")
		assert.NotContains(tb, codes, code, "a code that stands on the page twice")
		codes[code], err = strconv.Atoi(match[3])
		require.NoError(tb, err)
	}
	rows := strings.Count(string(page), "<a id=")
	require.Len(tb, codes, rows, "a row of docs/errors.md is not written as the others are")
	return codes
}

// usedCodes finds the codes of faults in the Go files under the folders, tests aside, with their statuses.
func usedCodes(tb testing.TB, root string, folders ...string) map[string]int {
	tb.Helper()
	codes := map[string]int{}
	for dir, files := range parsePackages(tb, root, folders...) {
		reader := faultReader{files: files, inFault: filepath.Base(dir) == "fault", kinds: kindsByName()}
		for _, f := range reader.read() {
			status := statusOf[f.kind]
			if earlier, twice := codes[f.code]; twice {
				assert.Equal(tb, earlier, status, "%s has two statuses, one of them in %s", f.code, dir)
			}
			codes[f.code] = status
		}
	}
	return codes
}

func parsePackages(tb testing.TB, root string, folders ...string) map[string][]*ast.File {
	tb.Helper()
	packages := map[string][]*ast.File{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && strings.HasSuffix(entry.Name(), "test"):
				return filepath.SkipDir
			case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
			return err
		})
		require.NoError(tb, err)
	}
	return packages
}

func kindsByName() map[string]fault.Kind {
	return map[string]fault.Kind{
		"Internal": fault.Internal, "Malformed": fault.Malformed, "Invalid": fault.Invalid,
		"Unauthorized": fault.Unauthorized, "Forbidden": fault.Forbidden, "NotFound": fault.NotFound,
		"Conflict": fault.Conflict, "Stale": fault.Stale, "TooLarge": fault.TooLarge,
		"Unsupported": fault.Unsupported, "OutOfRange": fault.OutOfRange, "Limited": fault.Limited, "Unavailable": fault.Unavailable,
	}
}

// faultReader reads the faults off the functions of one package.
type faultReader struct {
	files   []*ast.File
	inFault bool // the package is fault itself, which does not name itself
	kinds   map[string]fault.Kind
	found   []foundFault
}

type foundFault struct {
	kind fault.Kind
	code string
}

func (r *faultReader) read() []foundFault {
	for _, file := range r.files {
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(function, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if r.isOfFault(n.Fun, "New") && len(n.Args) == 3 {
						r.note(function, n.Args[0], n.Args[1])
					}
				case *ast.CompositeLit:
					if r.isOfFault(n.Type, "Error") {
						r.note(function, element(n, "Kind"), element(n, "Code"))
					}
				}
				return true
			})
		}
	}
	return r.found
}

// isOfFault says whether an expression is fault.<name>.
func (r *faultReader) isOfFault(e ast.Expr, name string) bool {
	if identifier, ok := e.(*ast.Ident); ok {
		return r.inFault && identifier.Name == name
	}
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	from, ok := selector.X.(*ast.Ident)
	return ok && from.Name == "fault"
}

func element(literal *ast.CompositeLit, name string) ast.Expr {
	for _, e := range literal.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := pair.Key.(*ast.Ident); ok && key.Name == name {
			return pair.Value
		}
	}
	return nil
}

func (r *faultReader) note(in *ast.FuncDecl, kind, code ast.Expr) {
	for name, k := range r.kinds {
		if r.isOfFault(kind, name) {
			for _, text := range r.texts(in, code) {
				r.found = append(r.found, foundFault{kind: k, code: text})
			}
		}
	}
}

// texts are what an expression may be: a literal as it stands, a parameter as the function's callers give it, and * for
// what is known at run time only.
func (r *faultReader) texts(in *ast.FuncDecl, e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return []string{text}
		}
	case *ast.BinaryExpr:
		var joined []string
		for _, left := range r.texts(in, e.X) {
			for _, right := range r.texts(in, e.Y) {
				joined = append(joined, left+right)
			}
		}
		return joined
	case *ast.Ident:
		if at := parameter(in, e.Name); at >= 0 {
			return r.given(in.Name.Name, at)
		}
	}
	return []string{"*"}
}

func parameter(of *ast.FuncDecl, name string) int {
	at := 0
	for _, field := range of.Type.Params.List {
		for _, n := range field.Names {
			if n.Name == name {
				return at
			}
			at++
		}
	}
	return -1
}

// given are the literals that the package's calls of a function have at a place.
func (r *faultReader) given(function string, at int) []string {
	var texts []string
	for _, file := range r.files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) <= at {
				return true
			}
			if called, ok := call.Fun.(*ast.Ident); ok && called.Name == function {
				if literal, ok := call.Args[at].(*ast.BasicLit); ok {
					text, _ := strconv.Unquote(literal.Value)
					texts = append(texts, text)
				}
			}
			return true
		})
	}
	return texts
}
