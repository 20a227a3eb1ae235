package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/ringway/ringway"

// A source is one Go file of ours.
type source struct {
	*ast.File
	path  string // from the root, with slashes
	dir   string // its package: the folder, with slashes
	test  bool
	lines int
}

// A tree is every Go file of the repository, parsed.
type tree struct {
	root  string
	fset  *token.FileSet
	files []source
}

// read parses the repository that the test runs in.
func read(t *testing.T) *tree {
	t.Helper()
	tr := &tree{root: root(t), fset: token.NewFileSet()}
	err := filepath.WalkDir(tr.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != tr.root && skipped(d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(tr.fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(tr.root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		tr.files = append(tr.files, source{
			File: f, path: rel, dir: path.Dir(rel),
			test:  strings.HasSuffix(rel, "_test.go"),
			lines: tr.fset.File(f.Pos()).LineCount(),
		})
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, tr.files)
	return tr
}

// skipped reports whether a folder holds no packages of ours.
func skipped(name string) bool {
	return name == "testdata" || name == "tools" || name[0] == '.' || name[0] == '_'
}

// root is the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		require.NotEqual(t, dir, up, "no go.mod above the test")
		dir = up
	}
}

// at names the place of a node.
func (tr *tree) at(s source, n ast.Node) string {
	return s.path + ":" + strconv.Itoa(tr.fset.Position(n.Pos()).Line)
}

// packages returns the folders that hold Go files.
func (tr *tree) packages() []string {
	var dirs []string
	for _, s := range tr.files {
		dirs = append(dirs, s.dir)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// imported calls f for each import of s.
func (s source) imported(f func(spec *ast.ImportSpec, pkg string)) {
	for _, spec := range s.Imports {
		f(spec, strings.Trim(spec.Path.Value, "`\""))
	}
}

// called calls f for each pkg.Name that s uses, such as time.Sleep, where pkg
// is the import path.
func (s source) called(f func(n ast.Node, pkg, name string)) {
	names := map[string]string{}
	s.imported(func(spec *ast.ImportSpec, pkg string) {
		name := path.Base(pkg)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = pkg
	})
	ast.Inspect(s.File, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && names[id.Name] != "" {
			f(n, names[id.Name], sel.Sel.Name)
		}
		return true
	})
}

// below reports whether pkg is one of the named packages or lies in one.
func below(pkg string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return pkg == n || strings.HasPrefix(pkg, n+"/")
	})
}

func ours(pkg string) (string, bool) { return strings.CutPrefix(pkg, module+"/") }
