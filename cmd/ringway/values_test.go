package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/yamlfile"
	"github.com/ringway/ringway/topology"
)

// TestExampleValuesAreUpToDate compares examples/outsystems/stamps with what
// its topology says; UPDATE=1 rewrites it. tools/chart gives them to helm.
func TestExampleValuesAreUpToDate(t *testing.T) {
	const dir = "../../examples/outsystems"
	mesh, err := readMesh(filepath.Join(dir, "topology.yaml"))
	require.NoError(t, err)
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, writeAllValues(mesh, filepath.Join(dir, "stamps")))
		require.NoError(t, writeFluxOf(mesh, filepath.Join(dir, "topology.yaml"), filepath.Join(dir, "flux")))
	}
	want := t.TempDir()
	require.NoError(t, writeAllValues(mesh, want))
	require.Equal(t, 2*len(mesh.Stamps), sameFiles(t, want, filepath.Join(dir, "stamps")))
	want = t.TempDir()
	require.NoError(t, writeFluxOf(mesh, filepath.Join(dir, "topology.yaml"), want))
	require.Equal(t, len(mesh.Stamps)+len(mesh.Rings)+1, sameFiles(t, want, filepath.Join(dir, "flux")))
	entries, err := os.ReadDir(filepath.Join(dir, "stamps"))
	require.NoError(t, err)
	for _, e := range entries {
		require.True(t, !e.IsDir() || mesh.Stamp(topology.StampID(e.Name())) != nil, "there is no stamp %s any more", e.Name())
	}
}

// sameFiles requires every file below want to be the same below dir, and returns
// how many there are.
func sameFiles(t *testing.T, want, dir string) int {
	t.Helper()
	n := 0
	require.NoError(t, filepath.WalkDir(want, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		rel, err := filepath.Rel(want, file)
		require.NoError(t, err)
		text, err := os.ReadFile(file) //nolint:gosec // of this test
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(dir, rel)) //nolint:gosec // of this repository
		require.NoError(t, err)
		require.Equal(t, string(text), string(got), "%s: run UPDATE=1 go test ./cmd/ringway -run ExampleValues", rel)
		return nil
	}))
	return n
}

// TestTheChartWritesWhatTheGatewayReads: the gateway.yaml of every rendered
// release is in order.
func TestTheChartWritesWhatTheGatewayReads(t *testing.T) {
	files, err := filepath.Glob("../../tools/chart/testdata/golden/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // of this repository
		require.NoError(t, err)
		_, rest, ok := strings.Cut(string(text), "\n  gateway.yaml: |\n")
		require.True(t, ok, file)
		var own strings.Builder
		for line := range strings.Lines(rest) {
			line, ok = strings.CutPrefix(line, "    ")
			if !ok {
				break
			}
			own.WriteString(line)
		}
		opts := gateway.DefaultOptions()
		require.NoError(t, yamlfile.Decode(file, []byte(own.String()), &opts))
		require.NoError(t, opts.Validate(), file)
		require.NotEmpty(t, opts.Stamp)
		require.Equal(t, ":9222", opts.Listen.Admin)
		require.Equal(t, "json", opts.Log.Format)
	}
}

// TestPlaces: an address gets a rule for itself, a Service one for its
// namespace, and any other name one for its port.
func TestPlaces(t *testing.T) {
	for addr, want := range map[string][]egressValues{
		"192.0.2.7:7222":                 {{Name: "x", CIDR: "192.0.2.7/32", Port: 7222}},
		"[2001:db8::1]:443":              {{Name: "x", CIDR: "2001:db8::1/128", Port: 443}},
		"hub.example.com:443":            {{Name: "x", Port: 443}},
		"api.keptn.svc.cluster.local:80": {{Name: "x", Namespace: "keptn"}},
		"kubernetes.default.svc:443":     {{Name: "x", Port: 443}, {Name: "x", Port: 6443}},
		"":                               nil,
	} {
		require.Equal(t, want, placesOf("x", addr), addr)
	}
}
