package schema_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology/schema"
)

// A node is as much of a JSON Schema as the reference shows.
type node struct {
	Ref         string           `json:"$ref"`
	Type        string           `json:"type"`
	Description string           `json:"description"`
	Enum        []any            `json:"enum"`
	Properties  json.RawMessage  `json:"properties"`
	Items       *node            `json:"items"`
	Required    []string         `json:"required"`
	OneOf       []*node          `json:"oneOf"`
	Defs        map[string]*node `json:"$defs"`
}

const (
	reference = "../../docs/topology.md"
	begin     = "<!-- keys: written by UPDATE=1 go test ./topology/schema -->\n"
	end       = "<!-- end -->\n"
)

// TestReferenceIsUpToDate: docs/topology.md lists every key of the types.
func TestReferenceIsUpToDate(t *testing.T) {
	text, err := schema.JSON()
	require.NoError(t, err)
	var root node
	require.NoError(t, json.Unmarshal(text, &root))
	var b strings.Builder
	for _, section := range []struct{ title, def string }{
		{"The file", "Spec"},
		{"A stamp", "StampEntry"},
		{"A geo or ring", "GroupSpec"},
		{"Defaults", "StampSpec"},
		{"link", "LinkSpec"},
		{"link.advertise", "AdvertiseSpec"},
		{"link.proxy", "ProxySpec"},
		{"clients", "ClientsSpec"},
		{"A control plane", "ControlPlaneSpec"},
		{"api", "APISpec"},
		{"A stage", "StageSpec"},
		{"A selection of stamps", "SelectSpec"},
		{"A route", "RouteSpec"},
		{"A policy", "PolicySpec"},
		{"A target", "TargetSpec"},
	} {
		def := root.Defs[section.def]
		require.NotNil(t, def, section.def)
		fmt.Fprintf(&b, "\n### %s\n\n| key | value | meaning |\n|---|---|---|\n", section.title)
		rows(t, &b, def)
	}
	b.WriteString("\n")
	doc, err := os.ReadFile(reference)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(doc), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := before + begin + b.String() + end + after
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(reference, []byte(want), 0o644)) //nolint:gosec // a document
		return
	}
	require.Equal(t, want, string(doc), "run UPDATE=1 go test ./topology/schema")
}

// rows writes one row a key, in order of the type.
func rows(t *testing.T, b *strings.Builder, def *node) {
	t.Helper()
	for _, o := range def.OneOf {
		if o.Properties != nil {
			def = o
		}
	}
	dec := json.NewDecoder(strings.NewReader(string(def.Properties)))
	_, err := dec.Token()
	require.NoError(t, err)
	for dec.More() {
		key, err := dec.Token()
		require.NoError(t, err)
		var n node
		require.NoError(t, dec.Decode(&n))
		name := fmt.Sprintf("`%v`", key)
		if slices.Contains(def.Required, fmt.Sprint(key)) {
			name += " (required)"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, kind(&n), n.Description)
	}
}

func kind(n *node) string {
	switch {
	case len(n.Enum) > 0:
		return words(n.Enum)
	case n.Ref != "":
		return "object"
	case n.Type == "array" && n.Items != nil && len(n.Items.Enum) > 0:
		return "list of " + words(n.Items.Enum)
	case n.Type == "array" && n.Items != nil && n.Items.Ref != "":
		return "list of objects"
	case n.Type == "array":
		return "list"
	}
	return n.Type
}

func words(list []any) string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = fmt.Sprint(w)
	}
	return strings.Join(out, ", ")
}
