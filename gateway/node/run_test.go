package node_test

import (
	"context"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// long is how long something that must happen may take on a busy machine.
const long = 20 * time.Second

// hub returns a hub at addresses of its own.
func hub(t testing.TB, id topology.StampID) *topology.Stamp {
	t.Helper()
	return &topology.Stamp{ID: id, Trusted: true, Link: topology.Link{
		Kind:      topology.LinkHub,
		Advertise: topology.Advertise{Gateway: natstest.Addr(t), Leafnode: natstest.Addr(t), WebSocket: natstest.Addr(t)},
	}}
}

func leaf(id topology.StampID, over topology.Transport, via ...topology.StampID) *topology.Stamp {
	return &topology.Stamp{ID: id, Link: topology.Link{Kind: topology.LinkLeaf, Transport: over, Via: via}}
}

// config is how a stamp of w runs in a test.
func (w *world) config(s topology.StampID) node.Config {
	v := w.view(s)
	return node.Config{
		View: v, Identity: w.identity(s), Dir: filepath.Join(w.dir, string(s), "data"),
		Listen: node.Listen{
			Gateway: v.Me.Link.Advertise.Gateway, Leafnode: v.Me.Link.Advertise.Leafnode,
			WebSocket: v.Me.Link.Advertise.WebSocket,
		},
	}
}

// A running is a Node that runs until stop or the end of the test.
type running struct {
	*node.Node
	w    *world
	id   topology.StampID
	stop func() error // once; later calls return the same
}

// run starts a stamp and waits until it is ready.
func (w *world) run(s topology.StampID, edit ...func(*node.Config)) *running {
	w.t.Helper()
	r := w.launch(s, edit...)
	return r()
}

// launch starts a stamp; the result waits until it is ready.
func (w *world) launch(s topology.StampID, edit ...func(*node.Config)) func() *running {
	w.t.Helper()
	cfg := w.config(s)
	for _, f := range edit {
		f(&cfg)
	}
	n, err := node.New(cfg)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.Run(ctx, func() { close(ready) }) }()
	r := &running{Node: n, w: w, id: s, stop: sync.OnceValue(func() error { cancel(); return <-done })}
	w.t.Cleanup(func() { require.NoError(w.t, r.stop()) })
	return func() *running {
		w.t.Helper()
		select {
		case <-ready:
		case err := <-done:
			done <- err
			require.NoError(w.t, err, "stamp %s", s)
		}
		return r
	}
}

// connect returns an in-process connection that ends with the test.
func (r *running) connect(creds []byte) *nats.Conn {
	r.w.t.Helper()
	nc, err := r.Connect("test", nats.UserCredentialBytes(creds))
	require.NoError(r.w.t, err)
	r.w.t.Cleanup(nc.Close)
	return nc
}

// fed returns a connection as the stamp's bridge.
func (r *running) fed() *nats.Conn { return r.connect(r.w.creds(string(r.id), r.w.bridgeKey)) }

// client returns a connection as one without credentials.
func (r *running) client(opts ...nats.Option) *nats.Conn {
	r.w.t.Helper()
	nc, err := nats.Connect(r.ClientURL(), opts...)
	require.NoError(r.w.t, err)
	r.w.t.Cleanup(nc.Close)
	return nc
}

// up waits until every link of the stamp is up.
func (r *running) up() {
	r.w.t.Helper()
	require.Eventually(r.w.t, func() bool {
		links := r.Links()
		return len(links) > 0 && !slices.ContainsFunc(links, func(l node.LinkState) bool { return !l.Up })
	}, long, 5*time.Millisecond, "links of %s: %+v", r.id, r.Links())
}

func subscribe(t testing.TB, nc *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	sub, err := nc.SubscribeSync(subject)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return sub
}

// reaches publishes until one message arrives: interest takes a moment to
// cross a link that has just come up.
func reaches(t testing.TB, from *nats.Conn, subject string, to *nats.Subscription) {
	t.Helper()
	require.Eventually(t, func() bool {
		require.NoError(t, from.Publish(subject, []byte("x")))
		_, err := to.NextMsg(20 * time.Millisecond)
		return err == nil
	}, long, time.Millisecond, "%s", subject)
}

func hostPort(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func parsePort(u *url.URL) (int, error) { return strconv.Atoi(u.Port()) }
