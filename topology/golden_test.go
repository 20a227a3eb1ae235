package topology_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// golden compares got with a file of testdata; UPDATE=1 rewrites the file
// instead.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if os.Getenv("UPDATE") == "1" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run UPDATE=1 go test ./topology")
	require.Equal(t, string(want), got)
}

// mesh compiles a topology that is right.
func mesh(t testing.TB, text string) *topology.Mesh {
	t.Helper()
	m, err := topology.Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	return m
}

// meshOf compiles a file that is right.
func meshOf(t testing.TB, path string) *topology.Mesh {
	t.Helper()
	return mesh(t, read(t, path))
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// files returns the files of a pattern, of which there must be some.
func files(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths, pattern)
	return paths
}

// base is a small topology that is right, and to which tests add.
const base = `apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu, us]
rings: [dev, prod]
stamps:
  - name: hub
    geo: eu
    ring: dev
    roles: [control]
    link: {kind: hub, advertise: {gateway: "hub:7222", leafnode: "hub:7422"}}
  - {name: eu-dev, geo: eu, ring: dev}
  - {name: eu-prod, geo: eu, ring: prod, labels: {tier: gold}}
  - {name: us-prod, geo: us, ring: prod}
controlPlanes:
  - {name: keptn, stamp: hub}
stages:
  - {name: dev, ring: dev}
  - {name: prod, ring: prod}
`

func edit(t testing.TB, text string, oldNew ...string) string {
	t.Helper()
	for i := 0; i+1 < len(oldNew); i += 2 {
		require.Contains(t, text, oldNew[i])
		text = strings.Replace(text, oldNew[i], oldNew[i+1], 1)
	}
	return text
}
