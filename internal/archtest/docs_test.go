package archtest_test

import (
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// doc returns the text of a document.
func (tr *tree) doc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(tr.root, filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(b)
}

// found returns the first group of every match of pattern in text, sorted,
// each once.
func found(pattern, text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func noReplacements(t *testing.T, tr *tree) {
	require.NotRegexp(t, `(?m)^\s*replace\b`, tr.doc(t, "go.mod"), "others cannot go install a module with replacements")
}

// dependenciesAreArgued compares go.mod with docs/dependencies.md, which has a
// row that begins with the module's path for each direct dependency.
func dependenciesAreArgued(t *testing.T, tr *tree) {
	mod := tr.doc(t, "go.mod")
	required := found(`(?m)^(?:require)?\s+([a-z0-9.]+\.[a-z]+/\S+) v`, mod)
	direct := found(`(?m)^(?:require)?\s+([a-z0-9.]+\.[a-z]+/\S+) v\S+$`, mod)
	argued := found("(?m)^\\| `([^`]+)` \\|", tr.doc(t, "docs/dependencies.md"))
	for _, m := range direct {
		if !slices.Contains(argued, m) {
			t.Errorf("docs/dependencies.md does not argue for %s", m)
		}
	}
	for _, m := range argued {
		if !slices.Contains(required, m) {
			t.Errorf("docs/dependencies.md argues for %s, which go.mod does not require", m)
		}
	}
}

// toolsAreArgued compares the go.mod of every tool with docs/dependencies.md, which
// names its direct dependencies in rows that begin with the tool.
func toolsAreArgued(t *testing.T, tr *tree) {
	argued := map[string]bool{}
	for line := range strings.Lines(tr.doc(t, "docs/dependencies.md")) {
		if tool, rest, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(tool, "tools/") {
			modules, _, _ := strings.Cut(rest, " | ")
			for _, m := range found("`([^`]+)`", modules) {
				argued[tool+" "+m] = true
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(tr.root, "tools", "*", "go.mod"))
	require.NoError(t, err)
	all := "" // what any of them requires, direct or not
	for _, file := range files {
		tool := "tools/" + filepath.Base(filepath.Dir(file))
		mod := tr.doc(t, tool+"/go.mod")
		for _, m := range found(`(?m)^(?:require)?\s+([a-z0-9.]+\.[a-z]+/\S+) v\S+$`, mod) {
			if !argued[tool+" "+m] {
				t.Errorf("docs/dependencies.md has no row | %s | `%s` |", tool, m)
			}
		}
		for _, m := range found(`(?m)^(?:require)?\s+([a-z0-9.]+\.[a-z]+/\S+) v`, mod) {
			all += tool + " " + m + "\n"
		}
	}
	for row := range argued {
		if !strings.Contains(all, row+"\n") {
			t.Errorf("docs/dependencies.md argues for %s, which is not required there", row)
		}
	}
}

// targetsAreTold wants every target of the Makefile that `make help` lists in
// CONTRIBUTING.md.
func targetsAreTold(t *testing.T, tr *tree) {
	told := tr.doc(t, "CONTRIBUTING.md")
	for _, target := range found(`(?m)^([a-z0-9-]+):.*## `, tr.doc(t, "Makefile")) {
		if !regexp.MustCompile("`make " + target + `\b`).MatchString(told) {
			t.Errorf("CONTRIBUTING.md does not tell of make %s", target)
		}
	}
}

// documentsAreIndexed wants every page of docs in docs/README.md, which is the menu
// of the site, or, of a folder within docs, at least in another page of docs.
func documentsAreIndexed(t *testing.T, tr *tree) {
	linked := map[string]bool{}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(tr.root, filepath.FromSlash(pattern)))
		require.NoError(t, err)
		for _, file := range files {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, link := range found(`\]\(([^)\s#]+\.md)(?:#[^)]*)?\)`, string(b)) {
				to := filepath.Join(filepath.Dir(file), filepath.FromSlash(link))
				top := filepath.Dir(to) == filepath.Join(tr.root, "docs")
				linked[to] = linked[to] || to != file && (!top || filepath.Base(file) == "README.md")
			}
		}
		for _, file := range files {
			if filepath.Base(file) != "README.md" && !linked[file] {
				t.Errorf("%s is not in docs/README.md: put it under who reads it", file)
			}
		}
	}
}

// linksResolve looks at every link of every document that does not lead
// elsewhere.
func linksResolve(t *testing.T, tr *tree) {
	err := filepath.WalkDir(tr.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != tr.root && skipped(d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(p) != ".md" {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for _, link := range found(`\]\(([^)\s]+)\)`, string(b)) {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			checkLink(t, p, link)
		}
		return nil
	})
	require.NoError(t, err)
}

func checkLink(t *testing.T, from, link string) {
	file, anchor, _ := strings.Cut(link, "#")
	to := from
	if file != "" {
		to = filepath.Join(filepath.Dir(from), filepath.FromSlash(file))
	}
	b, err := os.ReadFile(to)
	if err != nil {
		_, err = os.Stat(to) // a folder is fine
	}
	if err != nil {
		t.Errorf("%s links to %s: %v", from, link, err)
	} else if anchor != "" && !slices.Contains(anchors(string(b)), anchor) {
		t.Errorf("%s links to %s, which has no such heading", from, link)
	}
}

// anchors returns the anchors of the headings of a document, as forges make
// them.
func anchors(text string) []string {
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	var out []string
	for _, h := range found(`(?m)^#+ (.+)$`, text) {
		out = append(out, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(h), ""), " ", "-"))
	}
	return append(out, found(`<a id="([^"]+)">`, text)...)
}

// invariantsNameTests wants a test of each invariant, as `package.TestName`,
// and wants it to be there.
func invariantsNameTests(t *testing.T, tr *tree) {
	have := map[string]bool{}
	for _, s := range tr.files {
		for _, d := range s.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				have[s.dir+"."+f.Name.Name] = true
			}
		}
	}
	parts := regexp.MustCompile(`(?m)^## `).Split(tr.doc(t, "docs/invariants.md"), -1)[1:]
	require.Len(t, parts, 8, "docs/invariants.md has the invariants I1 to I8")
	for _, part := range parts {
		title, _, _ := strings.Cut(part, "\n")
		tests := found("`([a-z0-9/]+\\.(?:Test|Fuzz)\\w+)", part)
		if len(tests) == 0 {
			t.Errorf("invariant %q names no test", title)
		}
		for _, name := range tests {
			if !have[name] {
				t.Errorf("invariant %q names %s, which does not exist", title, name)
			}
		}
	}
}

// logKeysAreListed compares the keys of slog attributes with the closed list
// in docs/logging.md.
func logKeysAreListed(t *testing.T, tr *tree) {
	listed := found("(?m)^\\| `([a-z_]+)` \\|", tr.doc(t, "docs/logging.md"))
	for _, s := range tr.files {
		if s.test {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			for _, key := range logKeys(n) {
				if !slices.Contains(listed, key) {
					t.Errorf("%s: log key %q is not listed in docs/logging.md", tr.at(s, n), key)
				}
			}
			return true
		})
	}
}

// logKeys returns the keys given to a method of a logger. A call counts as one
// if it is named like one, its receiver is named like a logger, and its keys
// are literals.
func logKeys(n ast.Node) []string {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !strings.HasSuffix(strings.ToLower(lastName(sel.X)), "log") {
		return nil
	}
	skip := map[string]int{
		"With": 0, "Debug": 1, "Info": 1, "Warn": 1, "Error": 1,
		"DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "Log": 3,
	}
	first, ok := skip[sel.Sel.Name]
	if !ok {
		return nil
	}
	var keys []string
	for i := first; i < len(call.Args); i += 2 {
		if lit, ok := call.Args[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			keys = append(keys, strings.Trim(lit.Value, `"`))
		}
	}
	return keys
}

// lastName returns "log" of o.cfg.log, of log, and of log.With(…).
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok {
			return lastName(sel.X)
		}
	}
	return ""
}

// errorCodesAreListed compares the codes RW-nnn in the code with the headings
// of docs/errors.md, both ways.
func errorCodesAreListed(t *testing.T, tr *tree) {
	listed := found(`(?m)^## (RW-\d{3})\b`, tr.doc(t, "docs/errors.md"))
	var used []string
	for _, s := range tr.files {
		if s.test {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				used = append(used, found(`\b(RW-\d{3})\b`, lit.Value)...)
			}
			return true
		})
	}
	for _, code := range used {
		if !slices.Contains(listed, code) {
			t.Errorf("docs/errors.md has no entry for %s", code)
		}
	}
	for _, code := range listed {
		if !slices.Contains(used, code) {
			t.Errorf("docs/errors.md explains %s, which nothing reports", code)
		}
	}
}

// metricsAreListed compares the names of metrics in the code with the tables
// of docs/metrics.md, both ways.
func metricsAreListed(t *testing.T, tr *tree) {
	listed := found("(?m)^\\| `(ringway_[a-z_]+)` \\|", tr.doc(t, "docs/metrics.md"))
	var used []string
	for _, s := range tr.files {
		if s.test {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				used = append(used, found(`^"(ringway_[a-z_]+)"$`, lit.Value)...)
			}
			return true
		})
	}
	for _, name := range used {
		if !slices.Contains(listed, name) {
			t.Errorf("docs/metrics.md does not list %s", name)
		}
	}
	for _, name := range listed {
		if !slices.Contains(used, name) {
			t.Errorf("docs/metrics.md lists %s, which nothing counts", name)
		}
	}
}
