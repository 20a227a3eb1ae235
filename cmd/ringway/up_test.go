package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/topology"
)

// smallMesh is a hub with Keptn and two leaves.
func smallMesh() *topology.Mesh {
	stamp := func(id, geo, ring string) *topology.Stamp {
		return &topology.Stamp{ID: topology.StampID(id), Geo: topology.Geo(geo), Ring: topology.Ring(ring)}
	}
	return &topology.Mesh{
		Name: "small", Geos: []topology.Geo{"eu", "us"}, Rings: []topology.Ring{"dev", "prod"},
		Stamps: []*topology.Stamp{stamp("eu-hub", "eu", "dev"), stamp("eu-dev", "eu", "dev"), stamp("us-prod", "us", "prod")},
		ControlPlanes: []*topology.ControlPlane{
			{Name: "shop", Stamp: "eu-hub", Projects: []string{"shop", "bank"}}, {Name: "rest", Stamp: "eu-hub"},
		},
		Stages: []*topology.StageRule{
			{Stage: "dev", Stamps: []topology.StampID{"eu-dev", "eu-hub"}},
			{Stage: "prod", Stamps: []topology.StampID{"us-prod"}, Projects: []string{"bank"}},
			{Stage: "prod", Stamps: []topology.StampID{"us-prod"}, Projects: []string{"zoo"}},
		},
	}
}

// moment is a demonstration in the middle of a cut.
func moment() demo.Snapshot {
	at := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
	return demo.Snapshot{
		Phase: "running",
		Stamps: []demo.StampInfo{
			{Name: "eu-hub", Geo: "eu", Ring: "dev", Link: "hub", Control: true, URL: "nats://127.0.0.1:1", REST: "http://127.0.0.1:8", Admin: "http://127.0.0.1:9"},
			{Name: "eu-dev", Geo: "eu", Ring: "dev", Link: "leaf tls", Execution: true, URL: "nats://127.0.0.1:2", REST: "http://127.0.0.1:8", Admin: "http://127.0.0.1:9"},
			{Name: "us-prod", Geo: "us", Ring: "prod", Link: "leaf wss", Execution: true, URL: "nats://127.0.0.1:3", REST: "http://127.0.0.1:8", Admin: "http://127.0.0.1:9", Waiting: 3},
		},
		Links: []demo.LinkInfo{
			{From: "eu-dev", To: "eu-hub", Kind: "leaf tls", Up: true, RTT: 1200 * time.Microsecond},
			{From: "us-prod", To: "eu-hub", Kind: "leaf wss"},
		},
		Report: demo.Report{
			Totals: demo.Totals{Sent: 20, Delivered: 17, Lost: 3}, DelayMS: demo.Delay{P50: 1.234, P99: 45.6, Max: 2345},
			Pairs: []demo.PairCount{
				{Pair: demo.Pair{From: "eu-hub", To: "eu-dev"}, Totals: demo.Totals{Sent: 10, Delivered: 10}, DelayMS: demo.Delay{P50: 1, P99: 2}},
				{Pair: demo.Pair{From: "eu-hub", To: "us-prod"}, Totals: demo.Totals{Sent: 10, Delivered: 7, Lost: 3}, DelayMS: demo.Delay{P50: 1, P99: 2}},
			},
		},
		Progress: demo.Progress{Sequences: 5, Completed: 2},
		Recent: []demo.Crossing{
			{At: at, Type: "sh.keptn.event.deployment.triggered", From: "eu-hub", To: "eu-dev", Plane: "helm-service", Delay: time.Millisecond},
			{At: at.Add(time.Second), Type: "sh.keptn.event.deployment.started", From: "eu-dev", To: "eu-hub", Plane: "shipyard-controller", Delay: 2 * time.Millisecond},
		},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestScreen(t *testing.T) {
	for name, size := range map[string][2]int{"wide": {120, 40}, "low": {120, 14}, "narrow": {40, 40}} {
		t.Run(name, func(t *testing.T) {
			c := &screen{mesh: smallMesh(), size: func() (int, int) { return size[0], size[1] }}
			lines := c.frame(moment(), 3*time.Second)
			require.Less(t, len(lines), size[1])
			for _, l := range lines {
				require.Less(t, visible(l), size[0])
			}
			golden(t, "screen-"+name+".txt", strings.Join(lines, "\n")+"\n")
		})
	}
}

func TestScreenColoursTakeNoRoom(t *testing.T) {
	size := func() (int, int) { return 120, 40 }
	plain := (&screen{mesh: smallMesh(), size: size}).frame(moment(), 0)
	colour := (&screen{mesh: smallMesh(), size: size, color: true}).frame(moment(), 0)
	require.Len(t, colour, len(plain))
	for i := range plain {
		require.Equal(t, visible(plain[i]), visible(colour[i]))
	}
	require.NotEqual(t, plain, colour)
	require.Equal(t, "\x1b[1mab\x1b[0m", clip("\x1b[1mabcd\x1b[0m", 2))
}

func TestPlainView(t *testing.T) {
	var out, errs bytes.Buffer
	v := newView(upOptions{output: "text"}, smallMesh(), &out, &errs)
	v.began = time.Now().Add(time.Hour) // a time nobody waits for
	v.draw(moment())
	require.Contains(t, out.String(), "running  sent 20 delivered 17 on the way 3 duplicated 0 delay p50 1.23 ms p99 46 ms links down 1\n")
	v.ready(moment().Stamps, 1500*time.Millisecond)
	require.Contains(t, out.String(), "ready after 1.50 s")
	require.Contains(t, out.String(), "us-prod  nats://127.0.0.1:3  http://127.0.0.1:8  http://127.0.0.1:9  us/prod  leaf wss\n")
	require.Empty(t, errs.String())
}

func TestSummaryText(t *testing.T) {
	first, drained := 123.4, 2345.6
	s := demo.Summary{
		Report: demo.Report{
			Totals: demo.Totals{Sent: 10, Delivered: 8, Lost: 2, Duplicated: 1},
			Cuts:   []demo.Outage{{Stamp: "us-prod", CutMS: 5000, Waited: 4, FirstMS: &first, DrainedMS: &drained, Missing: 2}},
		},
		Progress: demo.Progress{Sequences: 3, Completed: 2, Tasks: 9, Unrouted: 1, Hung: 1},
	}
	var out bytes.Buffer
	require.NoError(t, newView(upOptions{output: "text"}, smallMesh(), &out, &out).summary(s))
	golden(t, "summary.txt", out.String())
	out.Reset()
	require.NoError(t, newView(upOptions{output: "json"}, smallMesh(), &out, &bytes.Buffer{}).summary(s))
	require.Contains(t, out.String(), `"lost": 2,`)
	require.True(t, strings.HasPrefix(out.String(), "{"))
}

func TestShowConfigFollowsTopology(t *testing.T) {
	cfg, err := showConfig(upOptions{rate: 4, cut: []string{"us-prod"}, cutFor: time.Second, duration: 10 * time.Second}, smallMesh())
	require.NoError(t, err)
	require.Len(t, cfg.Controls, 1, "two control planes on one NATS would share a consumer")
	require.Equal(t, "bank", cfg.Controls[0].Flow.Project, "of its projects, the one most stages are for")
	require.Equal(t, []string{"dev", "prod"}, cfg.Controls[0].Flow.Stages)
	require.Equal(t, map[string][]string{"eu-dev": {"dev"}, "eu-hub": {"dev"}, "us-prod": {"prod"}}, cfg.Stages)
	require.Equal(t, []demo.CutSpec{{Stamp: "us-prod", After: time.Second, For: time.Second}}, cfg.Cuts)

	_, err = showConfig(upOptions{cut: []string{"mars"}}, smallMesh())
	require.EqualError(t, err, "--cut mars: topology small has no such stamp")
	_, err = showConfig(upOptions{}, &topology.Mesh{Name: "empty"})
	require.EqualError(t, err, "topology empty has no stages: there is nothing to run")
}

func TestParseData(t *testing.T) {
	data, err := parseData([]string{"sayhello.location=EU,APAC", "labels.tier=gold"})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"sayhello": map[string]any{"location": "APAC"}, "labels": map[string]any{"tier": "gold"}}, data(1))
	for _, bad := range []string{"x", "=1", "a..b=1"} {
		_, err := parseData([]string{bad})
		require.Error(t, err, bad)
	}
}

func TestExitCodes(t *testing.T) {
	for line, want := range map[string]int{
		"":                         exitOK,
		"version":                  exitOK,
		"version -o json":          exitOK,
		"nonsense":                 exitUsage,
		"up --nonsense":            exitUsage,
		"up nonsense":              exitUsage,
		"up -o xml":                exitUsage,
		"up --rate -1":             exitUsage,
		"up --data x":              exitUsage,
		"up --log-level loud":      exitUsage,
		"up -f does-not-exist.yml": exitFailed,
	} {
		var out, errs bytes.Buffer
		require.Equal(t, want, execute(t.Context(), strings.Fields(line), &out, &errs), "%s: %s", line, errs.String())
		require.Equal(t, want != exitOK, errs.Len() > 0, line)
	}
}
