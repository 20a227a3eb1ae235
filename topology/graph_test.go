package topology_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// TestGraphs compares the pictures of a topology that has everything.
func TestGraphs(t *testing.T) {
	t.Parallel()
	m := meshOf(t, "testdata/good/full.yaml")
	golden(t, "graph/full.mmd", m.Mermaid())
	golden(t, "graph/full.dot", m.Dot())
	golden(t, "graph/full.svg", m.SVG())
	d := xml.NewDecoder(strings.NewReader(m.SVG()))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

// TestPlan compares the plan between two topologies, and the way back.
func TestPlan(t *testing.T) {
	t.Parallel()
	was := mesh(t, base)
	is := mesh(t, edit(t, base,
		`gateway: "hub:7222"`, `gateway: "hub:7223"`,
		"  - {name: eu-dev, geo: eu, ring: dev}\n", "  - {name: eu-dev-2, geo: eu, ring: dev}\n",
		"labels: {tier: gold}", "replicas: 3, clients: {mode: external, url: \"nats://n:4222\"}",
		"name: us-prod, geo: us, ring: prod", "name: us-prod, geo: us, ring: prod, trusted: true, link: {kind: hub, advertise: {gateway: \"us:7222\"}}",
		"{name: prod, ring: prod}", "{name: prod, ring: prod, deadline: 5m}",
	)+"policies:\n  - {name: p, effect: deny, projects: [payroll]}\n")
	describe := func(steps []topology.Step) string {
		var b strings.Builder
		for _, s := range steps {
			b.WriteString(s.Describe())
		}
		return b.String()
	}
	golden(t, "plan/there.txt", describe(topology.Plan(was, is)))
	golden(t, "plan/back.txt", describe(topology.Plan(is, was)))
	require.Empty(t, topology.Plan(is, is))
	shifted := mesh(t, "\n\n"+base)
	require.Empty(t, topology.Plan(was, shifted), "lines mean nothing")
	require.Equal(t, was.Hash, shifted.Hash)
}

func FuzzExpr(f *testing.F) {
	for _, s := range []string{
		`data.sayhello.location == "EU"`, `int(data.a) > 3 and labels.x in ["a"]`, `project matches data.b`, `data?.a ?? true`,
		`any(data.list, # == 1)`, `1..9 == nil`, `let a = id; a + a == ""`, `data.sayhello.list[1:] == [] or not true`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := topology.CompileExpr(text)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		for _, env := range []topology.Env{event, {}} {
			if ok, err := e.Match(env); err != nil {
				require.False(t, ok)
			}
		}
	})
}
