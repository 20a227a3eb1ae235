package node_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

// fails runs a node that must not come up and returns why.
func (w *world) fails(s topology.StampID, edit func(*node.Config)) error {
	w.t.Helper()
	cfg := w.config(s)
	edit(&cfg)
	n, err := node.New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	return n.Run(ctx, func() { w.t.Error("ready") })
}

func TestTroubleIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	addr := taken.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		edit func(w *world, c *node.Config)
		want []string
	}{
		"clients":   {func(_ *world, c *node.Config) { c.Listen.Clients = addr }, []string{"start local server", addr, "in use"}},
		"gateway":   {func(_ *world, c *node.Config) { c.Listen.Gateway = addr }, []string{"start link server", port, "in use"}},
		"leafnode":  {func(_ *world, c *node.Config) { c.Listen.Leafnode = addr }, []string{"start link server", port, "in use"}},
		"websocket": {func(_ *world, c *node.Config) { c.Listen.WebSocket = addr }, []string{"start link server", port, "in use"}},
		"no port":   {func(_ *world, c *node.Config) { c.Listen.Clients = "here" }, []string{"listen.clients", "here"}},
		"operator":  {func(_ *world, c *node.Config) { c.Identity.Operator = "x.y.z" }, []string{"decode operator JWT"}},
		"account":   {func(_ *world, c *node.Config) { delete(c.Identity.Accounts, node.APP) }, []string{"account APP: has no JWT"}},
		"foreign": {func(w *world, c *node.Config) {
			c.Identity.Accounts[node.FED] = encode(t, w.account("FED", w.fed), w.fed)
		}, []string{"account FED: JWT is not signed by the operator"}},
		"sentinel": {func(_ *world, c *node.Config) { c.Identity.Sentinel = "x" }, []string{"decode sentinel JWT"}},
		"ca":       {func(_ *world, c *node.Config) { c.Identity.CA = "/nowhere" }, []string{"read CA of the links", "/nowhere"}},
		"cert":     {func(_ *world, c *node.Config) { c.Identity.GatewayKey = c.Identity.LinkKey }, []string{"read gateway certificate"}},
		"dir": {func(w *world, c *node.Config) {
			c.Dir = w.write(w.dir, "file", nil)
		}, []string{"data directory", "file"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, hub(t, "a"))
			err := w.fails("a", func(c *node.Config) { tc.edit(w, c) })
			require.Error(t, err)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestDirectoryBelongsToOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a")
	other := func(c *node.Config) { c.Listen = node.Listen{} }
	err := w.fails("a", other)
	require.ErrorIs(t, err, node.ErrLocked)
	require.ErrorContains(t, err, w.dir)
	require.NoError(t, a.stop())
	w.run("a", other)
}

func TestStampServesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "gone"), leaf("c", topology.TransportTLS, "gone"))
	for _, id := range []topology.StampID{"a", "c"} {
		n := w.run(id)
		js, err := jetstream.New(n.connect(w.local(id, node.RELAY)))
		require.NoError(t, err)
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.>"}})
		require.NoError(t, err)
		require.NoError(t, n.client().Publish("sh.keptn.event.x", []byte("{}")))
		require.Eventually(t, func() bool {
			s, err := js.Stream(t.Context(), "RW_OUT")
			return err == nil && s.CachedInfo().State.Msgs == 1
		}, long, time.Millisecond)
	}
}

// A stream of RELAY holds what clients publish from the moment the port is
// open, also after a restart, before anybody of ours has connected.
func TestCaptureNeedsNoCodeOfOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	stream := func(n *running) jetstream.Stream {
		js, err := jetstream.New(n.connect(w.local("a", node.RELAY)))
		require.NoError(t, err)
		s, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.>"}})
		require.NoError(t, err)
		return s
	}
	a := w.run("a")
	stream(a)
	require.NoError(t, a.stop())
	a = w.run("a")
	nc := a.client()
	require.NoError(t, nc.Publish("sh.keptn.event.x", []byte("{}")))
	require.NoError(t, nc.Flush())
	require.Eventually(t, func() bool { return stream(a).CachedInfo().State.Msgs == 1 }, long, time.Millisecond)
}

func TestInterestIsOfClientsOnly(t *testing.T) {
	t.Parallel()
	const subject = "sh.keptn.event.deployment.triggered"
	w := newWorld(t, hub(t, "a"))
	a := w.run("a")
	js, err := jetstream.New(a.connect(w.local("a", node.RELAY)))
	require.NoError(t, err)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.>"}})
	require.NoError(t, err)
	require.False(t, a.Interest(subject), "our own capture is nobody")

	sub := subscribe(t, a.client(), "sh.keptn.event.>")
	require.True(t, a.Interest(subject))
	require.NoError(t, a.connect(w.local("a", node.DELIVER)).Publish(subject, []byte("hello")))
	m, err := sub.NextMsg(long)
	require.NoError(t, err)
	require.Equal(t, "hello", string(m.Data))
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, info.State.Msgs, "what is delivered is not captured again")

	require.NoError(t, sub.Unsubscribe())
	require.Eventually(t, func() bool { return !a.Interest(subject) }, long, time.Millisecond)
	require.NoError(t, a.stop())
	require.False(t, a.Interest(subject))
	_, err = a.Connect("late")
	require.ErrorIs(t, err, node.ErrNotRunning)
}

func TestClientsAreAskedToLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a", func(c *node.Config) { c.LameDuck = time.Second })
	asked := make(chan struct{})
	a.client(nats.LameDuckModeHandler(func(*nats.Conn) { close(asked) }))
	stopped := make(chan error, 1)
	go func() { stopped <- a.stop() }()
	require.NoError(t, <-stopped)
	select {
	case <-asked: // the client calls its handler apart from what it reads
	case <-time.After(long):
		t.Fatal("stopped without a word")
	}
}

func TestRenewedCertificateIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"))
	a, b := w.run("a"), w.run("b")
	a.up()
	first := w.shown(b)
	dir := filepath.Join(w.dir, "b")
	_, key := w.certificate(dir, "gateway", w.ca, w.caKey)
	require.NotEqual(t, first, w.shown(b))

	second := w.shown(b)
	require.NoError(t, os.WriteFile(key, []byte("half of it"), 0o600))
	require.Equal(t, second, w.shown(b), "what cannot be read does not replace what could")
}
