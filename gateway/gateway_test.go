package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/internal/federation"
)

const twoStamps = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - {name: hub, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {leafnode: "hub.example:7422"}}}
  - {name: leaf, geo: eu, ring: dev}
controlPlanes: [{name: k, stamp: hub}]
stages: [{name: dev, ring: dev}]
`

type board struct{ *demo.Switchboard }

func (b board) Addr(from, to, facet string) (string, error) {
	return b.Switchboard.Addr(demo.Cable{From: from, To: to, Facet: facet})
}

func (b board) Forward(to, facet, target string) error {
	b.Switchboard.Forward(to, facet, target)
	return nil
}

func start(t *testing.T, topology string) (*federation.Federation, *demo.Switchboard) {
	t.Helper()
	return startIn(t, t.TempDir(), topology)
}

func startIn(t *testing.T, dir, topology string) (*federation.Federation, *demo.Switchboard) {
	t.Helper()
	sb := demo.NewSwitchboard()
	t.Cleanup(func() { require.NoError(t, sb.Close()) })
	f, err := federation.New(federation.Config{
		Topology: []byte(topology), Dir: dir, Board: board{sb},
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	require.NoError(t, f.Start(t.Context()))
	return f, sb
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url) //nolint:gosec // of a server of this test
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(body)
}

// TestCutStampIsReadyAndDegraded: a stamp without its link serves its own
// clients, and says what is wrong.
func TestCutStampIsReadyAndDegraded(t *testing.T) {
	f, sb := start(t, twoStamps)
	g := f.Stamp("leaf").Gateway()
	status := func() gateway.Status {
		_, body := get(t, g.AdminURL()+"/status")
		var s gateway.Status
		require.NoError(t, json.Unmarshal([]byte(body), &s))
		return s
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("status: %+v", status())
		}
	})
	require.Eventually(t, func() bool { return status().Condition == gateway.ConditionOK }, 30*time.Second, 10*time.Millisecond)
	sb.Cut("leaf")
	require.Eventually(t, func() bool { return status().Condition == gateway.ConditionDegraded }, 20*time.Second, 10*time.Millisecond)
	code, body := get(t, g.AdminURL()+"/readyz")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "degraded")
	require.Contains(t, body, "link to hub at 127.0.0.1:")

	nc, err := nats.Connect(g.ClientURL())
	require.NoError(t, err)
	defer nc.Close()
	sub, err := nc.SubscribeSync("sh.keptn.event.x.started")
	require.NoError(t, err)
	require.NoError(t, nc.Publish("sh.keptn.event.x.started", []byte("{}")))
	_, err = sub.NextMsg(5 * time.Second)
	require.NoError(t, err)

	sb.Heal("leaf")
	require.Eventually(t, func() bool { return status().Condition == gateway.ConditionOK }, 20*time.Second, 10*time.Millisecond)
}

// TestChangeDuringTheStartIsNoticed: the topology changes after the process has
// read it and before it watches.
func TestChangeDuringTheStartIsNoticed(t *testing.T) {
	dir := t.TempDir()
	sb := demo.NewSwitchboard()
	t.Cleanup(func() { require.NoError(t, sb.Close()) })
	var o gateway.Options
	f, err := federation.New(federation.Config{
		Topology: []byte(twoStamps), Dir: dir, Board: board{sb}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Options: func(of *gateway.Options) { o = *of },
	})
	require.NoError(t, err)
	g, err := gateway.New(o, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	before := g.Status().Topology.Hash
	require.NoError(t, f.SetTopology([]byte(strings.Replace(twoStamps, "name: dev, ring", "name: other, ring", 1))))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx, func() {}) }()
	require.Eventually(t, func() bool { return g.Status().Topology.Hash != before }, 10*time.Second, 10*time.Millisecond)
	stop()
	require.NoError(t, <-done)
}

func TestAdminFace(t *testing.T) {
	f, _ := start(t, twoStamps)
	url := f.Stamp("hub").Gateway().AdminURL()
	for path, want := range map[string]int{
		"/livez": 200, "/readyz": 200, "/status": 200, "/metrics": 200, "/events/dlq": 200,
		"/events/dlq/7": 404, "/events/dlq/x": 400, "/nope": 404, "/nats/healthz": 200,
	} {
		code, body := get(t, url+path)
		require.Equal(t, want, code, "%s: %s", path, body)
	}
	_, body := get(t, url+"/metrics")
	require.Contains(t, body, "ringway_ready 1")
}

func TestBadFilesAreRefusedWithTheirNames(t *testing.T) {
	o := gateway.DefaultOptions()
	o.Stamp = "x"
	o.Topology = "nowhere.yaml"
	_, err := gateway.New(o, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "nowhere.yaml")
	o.Stamp = ""
	o.Log.Level = "loud"
	_, err = gateway.New(o, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "stamp: is missing")
	require.ErrorContains(t, err, `"loud" is not`)
}
