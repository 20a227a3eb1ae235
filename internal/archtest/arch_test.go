package archtest_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestArchitecture holds every Go file to the rules.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	tr := read(t)
	for name, rule := range map[string]func(*testing.T, *tree){
		"imports are in the table":             importsInTable,
		"outside packages where they belong":   outsidersWhereTheyBelong,
		"pure packages touch nothing":          purePackagesTouchNothing,
		"every package says what it is for":    packagesHaveDoc,
		"files and functions are short":        filesAndFunctionsAreShort,
		"only main exits":                      onlyMainExits,
		"nobody sleeps":                        nobodySleeps,
		"no init":                              noInit,
		"goroutines are waited for":            goroutinesAreWaitedFor,
		"errors say what was attempted":        errorsSayWhatWasAttempted,
		"only what belongs there lies on top":  topIsTidy,
		"go.mod has no replacements":           noReplacements,
		"direct dependencies are argued for":   dependenciesAreArgued,
		"tools are argued for":                 toolsAreArgued,
		"targets of make are told":             targetsAreTold,
		"documents link to what exists":        linksResolve,
		"documents are in the index":           documentsAreIndexed,
		"invariants name tests that exist":     invariantsNameTests,
		"log keys are listed":                  logKeysAreListed,
		"error codes are listed":               errorCodesAreListed,
		"metrics are listed":                   metricsAreListed,
		"the picture of imports is up to date": pictureIsUpToDate,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); rule(t, tr) })
	}
}

func importsInTable(t *testing.T, tr *tree) {
	dirs := tr.packages()
	for _, dir := range dirs {
		if _, ok := imports[dir]; !ok {
			t.Errorf("package %s is not in the import table", dir)
		}
	}
	for dir := range imports {
		if !slices.Contains(dirs, dir) {
			t.Errorf("the import table has a row for %s, which does not exist", dir)
		}
	}
	for _, s := range tr.files {
		may := slices.Clone(imports[s.dir])
		if s.test {
			may = append(may, s.dir, "internal/natstest")
			may = append(may, inTests[s.dir]...)
		}
		s.imported(func(spec *ast.ImportSpec, pkg string) {
			if p, ok := ours(pkg); ok && !slices.Contains(may, p) {
				t.Errorf("%s: %s may not import %s", tr.at(s, spec), s.dir, p)
			}
		})
	}
}

func outsidersWhereTheyBelong(t *testing.T, tr *tree) {
	for _, s := range tr.files {
		s.imported(func(spec *ast.ImportSpec, pkg string) {
			for _, o := range outsiders {
				if !below(pkg, []string{o.path}) || s.test && o.tests || below(s.dir, o.by) {
					continue
				}
				t.Errorf("%s: %s may not import %s: %s", tr.at(s, spec), s.dir, pkg, o.why)
			}
		})
	}
}

func purePackagesTouchNothing(t *testing.T, tr *tree) {
	for _, s := range tr.files {
		if s.test || !slices.Contains(pure, s.dir) {
			continue
		}
		s.imported(func(spec *ast.ImportSpec, pkg string) {
			if slices.Contains(impure, pkg) {
				t.Errorf("%s: %s is pure and may not import %s", tr.at(s, spec), s.dir, pkg)
			}
		})
		s.called(func(n ast.Node, pkg, name string) {
			if pkg == "time" && slices.Contains(clock, name) {
				t.Errorf("%s: %s is pure: take the time as an argument instead of time.%s", tr.at(s, n), s.dir, name)
			}
		})
	}
}

// packagesHaveDoc wants one package comment per folder, in doc.go, or in the
// main.go of a command.
func packagesHaveDoc(t *testing.T, tr *tree) {
	docs := map[string][]string{}
	for _, s := range tr.files {
		if s.Doc == nil {
			continue
		}
		docs[s.dir] = append(docs[s.dir], s.path)
		base := filepath.Base(s.path)
		if base != "doc.go" && (s.Name.Name != "main" || base != "main.go") {
			t.Errorf("%s: the package comment belongs in doc.go", s.path)
		}
		if len(s.Doc.Text()) < 60 {
			t.Errorf("%s: the package comment says too little", s.path)
		}
	}
	for _, dir := range tr.packages() {
		if len(docs[dir]) != 1 {
			t.Errorf("package %s wants one package comment, not %d", dir, len(docs[dir]))
		}
	}
}

func filesAndFunctionsAreShort(t *testing.T, tr *tree) {
	for _, s := range tr.files {
		if s.lines > maxFile+1 { // the last line break begins one more
			t.Errorf("%s has %d lines, more than %d: split it by idea", s.path, s.lines-1, maxFile)
		}
		for _, d := range s.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := tr.fset.Position(f.End()).Line - tr.fset.Position(f.Pos()).Line + 1
			if n > maxFunc {
				t.Errorf("%s: function %s has %d lines, more than %d", tr.at(s, f), f.Name.Name, n, maxFunc)
			}
		}
	}
}

// onlyMainExits lets main.go of a command end the process, and nothing else:
// an exit elsewhere skips every deferred clean-up.
func onlyMainExits(t *testing.T, tr *tree) {
	for _, s := range tr.files {
		// A command that testscript runs is a main of its own.
		isMain := s.Name.Name == "main" && (filepath.Base(s.path) == "main.go" || filepath.Base(s.path) == "script_test.go")
		s.called(func(n ast.Node, pkg, name string) {
			if pkg == "os" && name == "Exit" && !isMain ||
				pkg == "log" && (strings.HasPrefix(name, "Fatal") || strings.HasPrefix(name, "Panic")) {
				t.Errorf("%s: only main.go ends the process, not %s.%s", tr.at(s, n), pkg, name)
			}
		})
	}
}

func nobodySleeps(t *testing.T, tr *tree) {
	for _, s := range tr.files {
		s.called(func(n ast.Node, pkg, name string) {
			if pkg == "time" && name == "Sleep" {
				t.Errorf("%s: wait for what happens, not for time to pass", tr.at(s, n))
			}
		})
	}
}

func noInit(t *testing.T, tr *tree) {
	for _, s := range tr.files {
		for _, d := range s.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !slices.Contains(mayInit, s.path) {
				t.Errorf("%s: nothing happens on import", tr.at(s, d))
			}
		}
	}
}

// goroutinesAreWaitedFor wants sync.WaitGroup.Go or an errgroup instead of the
// go statement, so that there is a Wait to look for.
func goroutinesAreWaitedFor(t *testing.T, tr *tree) {
	for _, s := range tr.files {
		if s.test {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: start it with a WaitGroup that somebody waits for", tr.at(s, n))
			}
			return true
		})
	}
}

func errorsSayWhatWasAttempted(t *testing.T, tr *tree) {
	for _, s := range tr.files {
		ast.Inspect(s.File, func(n ast.Node) bool {
			text, ok := errorText(n)
			if !ok {
				return true
			}
			for _, bad := range stammer {
				if strings.HasPrefix(strings.ToLower(text), bad+" ") {
					t.Errorf("%s: say what was attempted, not that it failed: %q", tr.at(s, n), text)
				}
			}
			return true
		})
	}
}

// errorText returns the literal that fmt.Errorf or errors.New is given.
func errorText(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok || x.Name+"."+sel.Sel.Name != "fmt.Errorf" && x.Name+"."+sel.Sel.Name != "errors.New" {
		return "", false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return "", false
	}
	return strings.Trim(lit.Value, "`\""), true
}

func topIsTidy(t *testing.T, tr *tree) {
	entries, err := os.ReadDir(tr.root)
	require.NoError(t, err)
	made := found(`(?m)^/([^/\s]+)/?$`, tr.doc(t, ".gitignore")) // by make
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(top, e.Name()) && !slices.Contains(made, e.Name()) {
			t.Errorf("%s does not belong in the root folder", e.Name())
		}
	}
}
