package tunnel_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/internal/natstest"
)

const (
	patience = 20 * time.Second
	tick     = 5 * time.Millisecond
)

// A world is stamp us, whose server is a leaf of that of stamp eu.
type world struct {
	t      testing.TB
	eu, us *natstest.Server
	client *tunnel.Client
}

func newWorld(t testing.TB, edit ...func(*tunnel.ClientConfig)) *world {
	t.Helper()
	eu := natstest.Start(t, func(o *server.Options) {
		o.JetStream, o.ServerName = false, "eu"
		o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", server.RANDOM_PORT
	})
	hub, err := url.Parse(fmt.Sprintf("nats://127.0.0.1:%d", leafPort(t, eu)))
	require.NoError(t, err)
	us := natstest.Start(t, func(o *server.Options) {
		o.JetStream, o.ServerName = false, "us"
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{hub}}}
	})
	w := &world{t: t, eu: eu, us: us}
	require.Eventually(t, func() bool { return eu.NumLeafNodes() == 1 }, patience, tick)
	cfg := tunnel.ClientConfig{Me: "eu", Fed: inProcess(eu), Log: quiet(), AnswerTime: patience}
	for _, f := range edit {
		f(&cfg)
	}
	w.client, err = tunnel.NewClient(cfg)
	require.NoError(t, err)
	natstest.Run(t, w.client.Run)
	return w
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serve starts a replica of us. Its connection is returned, to cut it.
func (w *world) serve(up http.Handler, edit ...func(*tunnel.ServerConfig)) (nc *nats.Conn, stop func()) {
	w.t.Helper()
	srv := httptest.NewServer(up)
	w.t.Cleanup(srv.Close)
	return w.serveAt(srv.URL, edit...)
}

func (w *world) serveAt(upstream string, edit ...func(*tunnel.ServerConfig)) (nc *nats.Conn, stop func()) {
	w.t.Helper()
	u, err := url.Parse(upstream)
	require.NoError(w.t, err)
	cfg := tunnel.ServerConfig{
		Me: "us", Fed: inProcess(w.us), Log: quiet(), Grace: patience,
		Targets: []tunnel.Target{{Name: "up", Upstream: u}},
	}
	for _, f := range edit {
		f(&cfg)
	}
	s, err := tunnel.NewServer(cfg)
	require.NoError(w.t, err)
	stop = natstest.Run(w.t, s.Run).Stop
	w.settle(cfg.Fed)
	return cfg.Fed, stop
}

// inProcess connects as a gateway does.
func inProcess(s *natstest.Server) *nats.Conn {
	return s.Connect(nats.InProcessServer(s.Server), tunnel.ConnectOption())
}

// settle waits until what was subscribed is known at eu.
func (w *world) settle(nc *nats.Conn) {
	w.t.Helper()
	mark := nats.NewInbox()
	sub, err := nc.SubscribeSync(mark)
	require.NoError(w.t, err)
	require.NoError(w.t, nc.Flush())
	eu := w.eu.Connect()
	require.Eventually(w.t, func() bool {
		require.NoError(w.t, eu.Publish(mark, nil))
		_, err := sub.NextMsg(10 * time.Millisecond)
		return err == nil
	}, patience, tick)
	require.NoError(w.t, sub.Unsubscribe())
	eu.Close()
}

// gateway is an HTTP server in eu that leads to us.
func (w *world) gateway(edit ...func(*tunnel.Route)) *httptest.Server {
	w.t.Helper()
	r := tunnel.Route{To: "us", Target: "up"}
	for _, f := range edit {
		f(&r)
	}
	srv := httptest.NewServer(w.client.Handler(r))
	w.t.Cleanup(srv.Close)
	return srv
}

func read(t testing.TB, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(b)
}

func get(t testing.TB, url string) (*http.Response, string) {
	t.Helper()
	res, err := http.Get(url) //nolint:noctx // ends with the test
	require.NoError(t, err)
	return res, read(t, res)
}

// leafPort returns where a server takes leafnodes.
func leafPort(t testing.TB, s *natstest.Server) int {
	t.Helper()
	v, err := s.Varz(nil)
	require.NoError(t, err)
	return v.LeafNode.Port
}
