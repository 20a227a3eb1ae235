package topology_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// TestBad compares every problem of every bad file with the .txt next to it.
func TestBad(t *testing.T) {
	t.Parallel()
	for _, path := range files(t, "testdata/bad/*.yaml") {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := topology.Parse(name, []byte(read(t, path)))
			require.Error(t, err)
			require.NotEmpty(t, topology.AsProblems(err))
			golden(t, filepath.Join("bad", strings.TrimSuffix(name, ".yaml")+".txt"), err.Error()+"\n")
		})
	}
}

// TestGood compiles every good file and compares it completed, with what is
// doubtful in it.
func TestGood(t *testing.T) {
	t.Parallel()
	for _, path := range files(t, "testdata/good/*.yaml") {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := topology.Parse(name, []byte(read(t, path)))
			require.NoError(t, err)
			shown, err := m.Show()
			require.NoError(t, err)
			require.Equal(t, m.Hash, mesh(t, string(shown)).Hash, "what is shown means the same")
			var doubts strings.Builder
			for _, w := range m.Warnings {
				fmt.Fprintf(&doubts, "# %s\n", w.Error())
			}
			golden(t, filepath.Join("good", strings.TrimSuffix(name, ".yaml")+".txt"), doubts.String()+string(shown))
		})
	}
}

// shipped are the topologies that users see first.
func shipped(t testing.TB) []string {
	return append(files(t, "../examples/*/topology.yaml"), "../internal/demo/federation.yaml")
}

func TestExamplesHaveNoProblemsAndNoWarnings(t *testing.T) {
	t.Parallel()
	for _, path := range shipped(t) {
		require.Empty(t, meshOf(t, path).Warnings, path)
	}
}

func TestManyHubsAreDoubtful(t *testing.T) {
	t.Parallel()
	hubs := func(n int) string {
		var b strings.Builder
		b.WriteString("apiVersion: ringway/v1\nkind: Topology\nname: many\ngeos: [eu]\nrings: [dev]\nstamps:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {name: h%d, geo: eu, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: \"h%d:7222\"}}}\n", i, i)
		}
		return b.String()
	}
	require.Empty(t, mesh(t, hubs(30)).Warnings)
	ws := mesh(t, hubs(31)).Warnings
	require.Len(t, ws, 1)
	require.Contains(t, ws[0].Error(), "31 hubs")
}

func TestNameTooLong(t *testing.T) {
	t.Parallel()
	mesh(t, edit(t, base, "name: test", "name: "+strings.Repeat("a", 63)))
	_, err := topology.Parse("x", []byte(edit(t, base, "name: test", "name: "+strings.Repeat("a", 64))))
	require.ErrorContains(t, err, "is not a NATS token")
}

func TestFileTooLarge(t *testing.T) {
	t.Parallel()
	_, err := topology.Load("x", []byte(strings.Repeat("#\n", 3<<20)))
	require.ErrorContains(t, err, "is larger than")
}

func TestEmptyFileHasProblems(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "---\n", "# nothing\n", "null\n", "--- {}\n"} {
		_, err := topology.Parse("x", []byte(text))
		require.ErrorContains(t, err, "apiVersion", "%q", text)
	}
}

func TestPolicyOrTargetThatChoosesNoStampIsRefused(t *testing.T) {
	t.Parallel()
	_, err := topology.Parse("x", []byte(base+"policies:\n  - {name: p, effect: deny, from: {labels: {tier: tin}}}\n"))
	require.ErrorContains(t, err, "policies[0].from: chooses no stamp")
	_, err = topology.Parse("x", []byte(base+"targets:\n  - {name: t, stamp: hub, url: \"http://a\", callers: {geos: [us], rings: [dev]}}\n"))
	require.ErrorContains(t, err, "targets[0].callers: chooses no stamp")
}

func TestEmbeddedStampUnderExternalDefaults(t *testing.T) {
	t.Parallel()
	m := mesh(t, edit(t, base, "geos:", "defaults: {clients: {mode: external, url: \"nats://n:4222\"}}\ngeos:",
		"name: eu-dev,", "name: eu-dev, clients: {mode: embedded},"))
	require.Equal(t, topology.ClientsEmbedded, m.Stamp("eu-dev").Clients.Mode)
	require.Empty(t, m.Stamp("eu-dev").Clients.URL)
	require.Equal(t, "nats-leaf://n:7422", m.Stamp("us-prod").Clients.Leafnode)
}
