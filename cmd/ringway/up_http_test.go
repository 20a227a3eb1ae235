package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/topology"
)

// TestUpServesAnybody: the HTTP URLs that up prints can be used as they are, with
// any token, and nothing that is tried out reaches a real control plane.
func TestUpServesAnybody(t *testing.T) {
	const file = `
apiVersion: ringway/v1
kind: Topology
name: two
geos: [eu]
rings: [dev]
stamps:
  - {name: control, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {leafnode: "a:7422"}}}
  - {name: dev, geo: eu, ring: dev}
controlPlanes: [{name: keptn, stamp: control, api: {url: "http://127.0.0.1:1/api", poll: true}}]
stages: [{name: dev, ring: dev}]
`
	board := demo.NewSwitchboard()
	defer func() { require.NoError(t, board.Close()) }()
	var notes []string
	spec, err := topology.Load("two.yaml", []byte(file))
	require.NoError(t, err)
	mesh, err := topology.Compile(spec)
	require.NoError(t, err)
	fed, err := startFederation(t.Context(), federationConfig{
		file: "two.yaml", spec: []byte(file), mesh: mesh, dir: t.TempDir(), log: slog.New(slog.DiscardHandler),
		note: func(s string) { notes = append(notes, s) }, board: board,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, stopFederation(context.Background(), fed)) }()
	require.Equal(t, []string{"keptn: the API of the real one is left alone"}, notes)
	for _, s := range fed.Stamps() {
		status, answer := call(t, http.MethodPost, s.REST+"/p/mine/api/controlPlane/v1/uniform/registration", `{"name":"mine","metadata":{"hostname":"h",
			"kubernetesmetadata":{"namespace":"n"}},"subscriptions":[{"event":"sh.keptn.event.deployment.triggered"}]}`)
		require.Equal(t, http.StatusCreated, status, answer)
		status, answer = call(t, http.MethodGet, s.REST+"/api/controlPlane/v1/event/triggered/sh.keptn.event.deployment.triggered", "")
		require.Equal(t, http.StatusOK, status, answer)
		status, answer = call(t, http.MethodPost, s.REST+"/api/v1/event", `{}`)
		require.Equal(t, http.StatusUnprocessableEntity, status, answer)
	}
}

func call(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Token", "any")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}
