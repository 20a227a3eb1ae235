package topology_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// A run is what test/load recorded; the last two in the file are held out of the fit.
type run struct {
	Hubs        int     `json:"hubs"`
	Leaves      int     `json:"leaves"`
	Memory      float64 `json:"memoryMB"`
	Descriptors float64 `json:"descriptors"`
	Goroutines  float64 `json:"goroutines"`
	Control     struct {
		Local float64 `json:"local"`
	} `json:"controlMsgsPerS"`
}

func runs(t *testing.T) []run {
	t.Helper()
	f, err := os.Open("testdata/capacity/runs.jsonl")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var out []run
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r run
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		out = append(out, r)
	}
	require.NotEmpty(t, out)
	return out
}

// TestModelPredictsTheRuns compares the model with every recorded run and
// docs/scale.md with both.
func TestModelPredictsTheRuns(t *testing.T) {
	t.Parallel()
	doc := read(t, "../docs/scale.md")
	for _, r := range runs(t) {
		u := topology.Size{Hubs: r.Hubs, Leaves: r.Leaves}.Total()
		near(t, r.Memory, u.Memory, 0.15, "memory", r)
		near(t, r.Descriptors, u.Descriptors, 0.04, "descriptors", r)
		near(t, r.Goroutines, u.Goroutines, 0.02, "goroutines", r)
		near(t, r.Control.Local, topology.IdlePerSecond(r.Hubs+r.Leaves-1), 0.15, "idle messages", r)
		row := fmt.Sprintf("| %d + %d | %.0f | %.0f | %+.1f %% | %.0f | %.0f | %+.1f %% | %.0f | %.0f | %+.1f %% |", r.Hubs, r.Leaves,
			r.Memory, u.Memory, (u.Memory/r.Memory-1)*100, r.Descriptors, u.Descriptors, (u.Descriptors/r.Descriptors-1)*100,
			r.Goroutines, u.Goroutines, (u.Goroutines/r.Goroutines-1)*100)
		require.Contains(t, doc, row, "docs/scale.md has this row")
	}
}

func near(t *testing.T, measured, model, within float64, what string, r run) {
	t.Helper()
	require.LessOrEqual(t, math.Abs(model/measured-1), within, "%s of %d hubs and %d leaves: measured %.1f, model %.1f", what, r.Hubs, r.Leaves, measured, model)
}

// sized is a topology of n leaves behind hubs, in stages of the first hub's
// control plane if served.
func sized(hubs, leaves, replicas int, via string, served bool) string {
	var b strings.Builder
	b.WriteString("apiVersion: ringway/v1\nkind: Topology\nname: many\ngeos: [eu]\nrings: [dev]\nstamps:\n")
	for i := range hubs {
		role := "roles: [control], "
		if i > 0 {
			role = "trusted: true, "
		}
		fmt.Fprintf(&b, "  - {name: h%d, geo: eu, ring: dev, %sreplicas: %d, link: {kind: hub, advertise: {gateway: \"h%d:7222\", leafnode: \"h%d:7422\"}}}\n",
			i, role, replicas, i, i)
	}
	for i := range leaves {
		fmt.Fprintf(&b, "  - {name: l%d, geo: eu, ring: dev, link: {via: [%s]}}\n", i, via)
	}
	b.WriteString("controlPlanes: [{name: k, stamp: h0}]\n")
	if served {
		b.WriteString("stages: [{name: dev, ring: dev}]\n")
	}
	return b.String()
}

func TestSizesBeyondTheModelsBoundsAreDoubtful(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, at, says string }{
		"leaves on one hub":   {sized(2, 1100, 1, "h1", false), "test.yaml:8:", `hub "h1" has 1100 leaf connections, and 1100 when another hub is lost`},
		"leaves after a loss": {sized(2, 1100, 1, "h1, h0", false), "test.yaml:7:", `hub "h0" has 0 leaf connections, and 1100 when another hub is lost`},
		"replicas of hubs":    {sized(25, 0, 5, "", false), "test.yaml:7:", "125 servers of 25 hubs hold 3000 connections among each other"},
		"canaries":            {sized(10, 700, 1, "h1", true), "test.yaml:7:", `stamp "h0" exchanges events with 709 others`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := mesh(t, c.text).Warnings
			require.NotEmpty(t, ws)
			require.Contains(t, ws[0].Error(), c.says)
			require.Contains(t, ws[0].Error(), c.at)
		})
	}
	require.Empty(t, mesh(t, sized(29, 0, 3, "", false)).Warnings)
	require.Empty(t, mesh(t, sized(2, 400, 1, "h1, h0", true)).Warnings)
}
