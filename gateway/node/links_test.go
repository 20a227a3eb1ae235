package node_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// shown returns the serial number of the certificate of a gateway listener.
func (w *world) shown(n *running) string {
	w.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(w.ca)
	c, err := tls.Dial("tcp", n.GatewayAddr(), &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13})
	require.NoError(w.t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// A member of a supercluster can read any account whose name it knows, so it
// is the certificate that keeps a rogue one out.
func TestRogueGatewayGetsNothing(t *testing.T) {
	t.Parallel()
	foreignKey, foreign := newWorld(t).authority("foreign")
	for name, tc := range map[string]struct {
		as    string
		certs func(w *world) []tls.Certificate
		in    bool
	}{
		"no certificate":                  {"b.link", func(*world) []tls.Certificate { return nil }, false},
		"certificate of another CA":       {"b.link", func(w *world) []tls.Certificate { return w.issued(foreign, foreignKey) }, false},
		"right certificate, unknown name": {"x.link", func(w *world) []tls.Certificate { return w.issued(w.ca, w.caKey) }, false},
		"right certificate, right name":   {"b.link", func(w *world) []tls.Certificate { return w.issued(w.ca, w.caKey) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, hub(t, "a"), hub(t, "b"))
			a := w.run("a")
			rogue := w.rogue(t, tc.as, a.GatewayAddr(), w.view("b").Me.Link.Advertise.Gateway, tc.certs(w))
			ear := subscribe(t, rogue, "rw.v1.*.b.>")
			in := subscribe(t, a.fed(), "rw.v1.*.a.>")
			out := a.fed()
			heard, said := false, false
			try := func() bool {
				require.NoError(t, out.Publish("rw.v1.ev.b.a.secret", nil))
				require.NoError(t, rogue.Publish("rw.v1.ev.a.b.injected", nil))
				if m, err := ear.NextMsg(10 * time.Millisecond); err == nil && m.Subject == "rw.v1.ev.b.a.secret" {
					heard = true
				}
				_, err := in.NextMsg(10 * time.Millisecond)
				said = said || err == nil
				return heard && said
			}
			if tc.in {
				require.Eventually(t, try, long, time.Millisecond, "this test can tell the difference")
				return
			}
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
				try()
			}
			require.False(t, heard)
			require.False(t, said)
		})
	}
}

// issued returns a new certificate signed by ca.
func (w *world) issued(ca *x509.Certificate, key *ecdsa.PrivateKey) []tls.Certificate {
	cert, keyFile := w.certificate(w.t.TempDir(), "rogue", ca, key)
	c, err := tls.LoadX509KeyPair(cert, keyFile)
	require.NoError(w.t, err)
	return []tls.Certificate{c}
}

// rogue starts a server without an operator that has an account named like FED
// and dials a hub's gateway. It returns a connection in that account.
func (w *world) rogue(t *testing.T, as, dial, listen string, certs []tls.Certificate) *nats.Conn {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(w.ca)
	conf := &tls.Config{Certificates: certs, RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13}
	at, err := url.Parse("nats://" + listen)
	require.NoError(t, err)
	acc := server.NewAccount(public(t, w.fed))
	srv := natstest.Start(t, func(o *server.Options) {
		o.JetStream, o.ServerName, o.Cluster.Name = false, as, as
		o.Accounts = []*server.Account{acc}
		o.Users = []*server.User{{Username: "me", Password: "x", Account: acc}}
		port, err := parsePort(at)
		require.NoError(t, err)
		o.Gateway = server.GatewayOpts{
			Name: as, Host: at.Hostname(), Port: port, TLSConfig: conf, TLSTimeout: 2,
			Gateways: []*server.RemoteGatewayOpts{{Name: "a.link", URLs: []*url.URL{{Scheme: "nats", Host: dial}}, TLSConfig: conf.Clone()}},
		}
	})
	return srv.Connect(nats.UserInfo("me", "x"))
}

func TestLinkRestartKeepsClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"), leaf("c", topology.TransportTLS, "b"))
	var mu sync.Mutex
	var seen []node.LinkState
	a := w.run("a", func(c *node.Config) {
		c.OnLink = func(l node.LinkState) { mu.Lock(); defer mu.Unlock(); seen = append(seen, l) }
	})
	b, c := w.run("b"), w.run("c")
	a.up()
	c.up()
	lost := make(chan error, 1)
	client := b.client(nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { lost <- err }))
	in, out := subscribe(t, c.fed(), "rw.v1.*.c.>"), a.fed()
	reaches(t, out, "rw.v1.ev.c.a.k", in)
	at := b.GatewayAddr()
	require.NoError(t, b.RestartLink(t.Context(), w.view("b")))
	require.Equal(t, at, b.GatewayAddr())
	reaches(t, out, "rw.v1.ev.c.a.k", in)
	b.up()
	require.NoError(t, client.Flush())
	select {
	case err := <-lost:
		t.Fatal("client was disconnected:", err)
	default:
	}
	require.Error(t, c.RestartLink(t.Context(), w.view("c")), "a leaf has none")
	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, downs(seen), topology.StampID("b"))
}

func downs(links []node.LinkState) (peers []topology.StampID) {
	for _, l := range links {
		if !l.Up {
			peers = append(peers, l.Peer)
		}
	}
	return peers
}

func TestLeafGoesToTheNextHub(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"), leaf("c", topology.TransportWSS, "a", "b"))
	a := w.run("a")
	w.run("b")
	c := w.run("c")
	c.up()
	require.Equal(t, topology.StampID("a"), c.Links()[0].Peer)
	require.NoError(t, a.stop())
	require.Eventually(t, func() bool {
		l := c.Links()[0]
		return l.Up && l.Peer == "b"
	}, long, time.Millisecond)
}

func TestLinkThatIsDownSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "gone"), leaf("c", topology.TransportTLS, "gone"))
	for _, id := range []topology.StampID{"a", "c"} {
		n := w.run(id)
		require.Eventually(t, func() bool {
			for _, l := range n.Links() {
				if l.Peer == "gone" && !l.Up && l.Err != "" && !l.Since.IsZero() {
					require.Contains(t, l.Err, "refused")
					return true
				}
			}
			return false
		}, long, time.Millisecond)
	}
}

// A NATS that was there before is joined by leafnode; its clients are the
// stamp's.
func TestExternalNATS(t *testing.T) {
	t.Parallel()
	const subject = "sh.keptn.event.x"
	ext := natstest.Start(t, func(o *server.Options) {
		o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", -1
	})
	v, err := ext.Varz(nil)
	require.NoError(t, err)
	s := hub(t, "a")
	s.Clients = topology.Clients{
		Mode: topology.ClientsExternal, URL: ext.URL(),
		Leafnode: (&url.URL{Scheme: "nats-leaf", Host: hostPort(v.LeafNode.Port)}).String(),
	}
	w := newWorld(t, s)
	a := w.run("a")
	a.up()
	nc := ext.Connect()

	app := subscribe(t, a.connect(w.local("a", node.APP)), "sh.keptn.>")
	relay := subscribe(t, a.connect(w.local("a", node.RELAY)), "cap.sh.keptn.>")
	reaches(t, nc, subject, app)
	_, err = relay.NextMsg(long)
	require.NoError(t, err)
	require.NoError(t, app.Unsubscribe())

	require.Eventually(t, func() bool { return !a.Interest(subject) }, long, time.Millisecond, "nobody listens now")
	sub := subscribe(t, nc, "sh.keptn.event.>")
	require.Eventually(t, func() bool { return a.Interest(subject) }, long, time.Millisecond)
	reaches(t, a.connect(w.local("a", node.DELIVER)), subject, sub)
}

// A link server that did not come up is due again, and the stamp is served
// meanwhile.
func TestLinkRestartThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"))
	a := w.run("a")
	w.run("b")
	a.up()
	require.False(t, a.LinkStale())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.RestartLink(over, w.view("a")), context.Canceled)
	require.True(t, a.LinkStale())
	require.NoError(t, a.client().Flush())
	require.NoError(t, a.RestartLink(t.Context(), w.view("a")))
	require.False(t, a.LinkStale())
	a.up()
}
