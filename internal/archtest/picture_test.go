package archtest_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pictureIsUpToDate compares the picture in docs/architecture.md with the
// import table; UPDATE=1 rewrites it.
func pictureIsUpToDate(t *testing.T, tr *tree) {
	const name = "docs/architecture.md"
	const begin, end = "-->\n", "<!-- end -->"
	doc := tr.doc(t, name)
	from := strings.Index(doc, "<!-- imports")
	require.Positive(t, from, "%s has no place for the picture", name)
	from += strings.Index(doc[from:], begin) + len(begin)
	to := from + strings.Index(doc[from:], end)
	want := doc[:from] + picture() + doc[to:]
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(filepath.Join(tr.root, filepath.FromSlash(name)), []byte(want), 0o600))
		return
	}
	require.Equal(t, want, doc, "run UPDATE=1 go test ./internal/archtest")
}

// picture draws the import table in mermaid, without the edges that follow from
// others.
func picture() string {
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart TD\n")
	for _, pkg := range slices.Sorted(maps.Keys(imports)) {
		direct := slices.Sorted(slices.Values(imports[pkg]))
		for _, to := range direct {
			if !slices.ContainsFunc(direct, func(via string) bool { return via != to && reaches(via, to) }) {
				b.WriteString("  " + node(pkg) + " --> " + node(to) + "\n")
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func reaches(from, to string) bool {
	return slices.ContainsFunc(imports[from], func(next string) bool { return next == to || reaches(next, to) })
}

// node writes a package as mermaid wants it: an identifier and a label.
func node(pkg string) string {
	return strings.NewReplacer("/", "_", "-", "_").Replace(pkg) + "[" + pkg + "]"
}
