package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/yamlfile"
	"github.com/ringway/ringway/topology/schema"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := schema.JSON()
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(schema.ID, doc))
	s, err := c.Compile(schema.ID)
	require.NoError(t, err)
	return s
}

// document reads YAML as a schema validator wants it.
func document(t *testing.T, data []byte) any {
	t.Helper()
	f, err := yamlfile.Parse("x.yaml", data)
	require.NoError(t, err)
	b, err := json.Marshal(f.Value())
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	return doc
}

func TestSchemaTakesEveryExample(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob("../../examples/*/topology.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range append(files, "../../internal/demo/federation.yaml") {
		data, err := os.ReadFile(file) //nolint:gosec // of this repository
		require.NoError(t, err)
		require.NoError(t, s.Validate(document(t, data)), file)
	}
}

func TestSchemaRefusesMistakes(t *testing.T) {
	s := compiled(t)
	const good = "apiVersion: ringway/v1\nkind: Topology\nname: x\ngeos: [eu]\nrings: [dev]\n"
	const stamp = "stamps: [{name: a, geo: eu, ring: dev}]\n"
	require.NoError(t, s.Validate(document(t, []byte(good+stamp))))
	for name, text := range map[string]string{
		"unknown key":  good + stamp + "stampz: []\n",
		"no stamps":    good,
		"bad kind":     good + "stamps: [{name: a, geo: eu, ring: dev, link: {kind: spoke}}]\n",
		"bad role":     good + "stamps: [{name: a, geo: eu, ring: dev, roles: [boss]}]\n",
		"bad duration": good + stamp + "stages: [{name: dev, ring: dev, deadline: soon}]\n",
		"nameless":     good + "stamps: [{geo: eu, ring: dev}]\n",
	} {
		require.Error(t, s.Validate(document(t, []byte(text))), name)
	}
}
