package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const chartDir = "../../charts/ringway/"

// A param is a line `## @param path {type} meaning` of values.yaml.
type param struct {
	path, kind, meaning string
}

var paramLine = regexp.MustCompile(`(?m)^## @param (\S+) \{([^}]+)\} (.+)$`)

// TestValuesAreDocumented holds values.yaml, values.schema.json and the README
// together: every value has a line that says its type and what it means, and
// the other two are made from these lines. UPDATE=1 writes them.
func TestValuesAreDocumented(t *testing.T) {
	text := read(t, chartDir+"values.yaml")
	values := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict(text, &values))
	var params []param
	for _, m := range paramLine.FindAllSubmatch(text, -1) {
		params = append(params, param{string(m[1]), string(m[2]), string(m[3])})
	}
	require.Equal(t, bytes.Count(text, []byte("\n## @param")), len(params), "a line is not `## @param path {type} meaning`")
	for _, p := range params {
		_, ok := valueAt(values, p.path)
		require.True(t, ok, "%s has a line, and no value", p.path)
	}
	for _, path := range leaves("", values) {
		require.True(t, slices.ContainsFunc(params, func(p param) bool {
			return p.path == path || strings.HasPrefix(path, p.path+".")
		}), "%s has a value, and no line", path)
	}

	schema, err := json.MarshalIndent(schemaOf(t, params), "", "  ")
	require.NoError(t, err)
	sameFile(t, chartDir+"values.schema.json", append(schema, '\n'))

	readme := string(read(t, chartDir+"README.md"))
	head, rest, ok := strings.Cut(readme, "<!-- values: written by make chart UPDATE=1 -->\n")
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, "<!-- end -->")
	require.True(t, ok)
	var table strings.Builder
	table.WriteString("\n| value | default | meaning |\n|---|---|---|\n")
	for _, p := range params {
		v, _ := valueAt(values, p.path)
		b, err := json.Marshal(v)
		require.NoError(t, err)
		shown := "`" + strings.ReplaceAll(string(b), "|", "\\|") + "`"
		if s := string(b); s == `""` || s == "{}" || s == "[]" {
			shown = ""
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", p.path, shown, p.meaning)
	}
	sameFile(t, chartDir+"README.md", []byte(head+"<!-- values: written by make chart UPDATE=1 -->\n"+table.String()+"\n<!-- end -->"+tail))
}

// valueAt returns what stands at a path of keys.
func valueAt(v any, path string) (any, bool) {
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[key]; !ok {
			return nil, false
		}
	}
	return v, true
}

// leaves returns the paths of everything that is not a map with keys, sorted.
func leaves(prefix string, m map[string]any) []string {
	var out []string
	for key, v := range m {
		if sub, ok := v.(map[string]any); ok && len(sub) > 0 {
			out = append(out, leaves(prefix+key+".", sub)...)
			continue
		}
		out = append(out, prefix+key)
	}
	slices.Sort(out)
	return out
}

// read returns a file of the repository.
func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return b
}

// sameFile compares a file with what it should be; UPDATE=1 writes it.
func sameFile(t *testing.T, file string, want []byte) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, want, 0o644))
	}
	require.Equal(t, string(want), string(read(t, file)), "run make chart UPDATE=1 and read the difference")
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}
