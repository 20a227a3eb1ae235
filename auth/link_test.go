package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
)

// hubOf starts a server with the leafnode listener of a hub, under the hub's
// own certificate.
func hubOf(t testing.TB, f *auth.Folder) *host {
	t.Helper()
	cert, err := tls.X509KeyPair(f.LinkCert, f.LinkKey)
	require.NoError(t, err)
	return start(t, f, func(o *options) {
		o.ServerName = "link"
		o.LeafNode = server.LeafNodeOpts{
			Host: "127.0.0.1", Port: server.RANDOM_PORT, TLSTimeout: 10,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13},
		}
	})
}

// leafOf starts the local server of a leaf stamp with a link to hub.
func leafOf(t testing.TB, f *auth.Folder, hub *host) *host {
	t.Helper()
	file := filepath.Join(t.TempDir(), auth.FileLeafCreds)
	require.NoError(t, os.WriteFile(file, f.LeafCreds, 0o600))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(f.CA))
	z, err := hub.Varz(nil)
	require.NoError(t, err)
	return start(t, f, func(o *options) {
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{
			URLs: []*url.URL{leafURL(z.LeafNode.Port)}, Credentials: file, LocalAccount: subject(t, f.Fed),
			TLS: true, TLSConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, TLSTimeout: 10,
		}}
	})
}

// The link of a stamp carries what it says in its own name and what is meant
// for it, even if somebody in the stamp can do everything in FED there.
func TestStampIsHeldToItsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hub := hubOf(t, w.folder("hub"))
	leaf := leafOf(t, w.folder("x"), hub)
	require.Eventually(t, func() bool { return hub.NumLeafNodes() == 1 }, 10*time.Second, time.Millisecond)
	there, here := hub.connect(w.root(w.shared.Fed)), leaf.connect(w.root(w.shared.Fed))

	// Another stamp's mail is subscribed to first: if it came, it would come
	// before the stamp's own.
	atLeaf := collect(t, here, "rw.v1.ev.y.>", "rw.v1.ev.x.>")
	atHub := collect(t, there, "rw.v1.ev.hub.>", "rw.v1.ev.y.>", event, "$JS.API.STREAM.LIST", "rw.v1.x")
	arrives(t, there, "rw.v1.ev.x.y.1", atLeaf)
	arrives(t, here, "rw.v1.ev.hub.x.1", atHub)

	for _, subject := range []string{"rw.v1.ev.hub.y.k", "rw.v1.ev.hub.hub.k", event, "$JS.API.STREAM.LIST", "rw.v1.x"} {
		require.NoError(t, here.Publish(subject, nil))
	}
	require.NoError(t, here.Publish("rw.v1.ev.hub.x.2", nil))
	require.NoError(t, here.Flush())
	require.Equal(t, "rw.v1.ev.hub.x.2", next(t, atHub), "nothing else crossed")

	for _, subject := range []string{"rw.v1.ev.y.hub.k", event} {
		require.NoError(t, there.Publish(subject, nil))
		require.Equal(t, subject, next(t, atHub), "its own subscription")
	}
	require.NoError(t, there.Publish("rw.v1.ev.x.hub.2", nil))
	require.NoError(t, there.Flush())
	require.Equal(t, "rw.v1.ev.x.hub.2", next(t, atLeaf), "nothing else crossed")
}

// collect subscribes to subjects and returns the subjects of what comes.
func collect(t testing.TB, nc *nats.Conn, subjects ...string) <-chan string {
	t.Helper()
	ch := make(chan string, 1024)
	for _, s := range subjects {
		_, err := nc.Subscribe(s, func(m *nats.Msg) { ch <- m.Subject })
		require.NoError(t, err)
	}
	require.NoError(t, nc.Flush())
	return ch
}

// arrives publishes on subject until the other side has it: interest takes a
// moment to cross. What is left of it is dropped.
func arrives(t testing.TB, nc *nats.Conn, subject string, ch <-chan string) {
	t.Helper()
	require.Eventually(t, func() bool {
		require.NoError(t, nc.Publish(subject, nil))
		require.NoError(t, nc.Flush())
		select {
		case got := <-ch:
			return got == subject
		default:
			return false
		}
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, nc.Publish(subject+".last", nil))
	require.NoError(t, nc.Flush())
	for next(t, ch) != subject+".last" { //nolint:revive // drops the repetitions
	}
}

func next(t testing.TB, ch <-chan string) string {
	t.Helper()
	select {
	case s := <-ch:
		return s
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing came")
		return ""
	}
}

func TestRevokedStampIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("hub")
	hub := hubOf(t, f)
	leaf := leafOf(t, w.folder("x"), hub)
	require.Eventually(t, func() bool { return hub.NumLeafNodes() == 1 }, 10*time.Second, time.Millisecond)

	fed, err := auth.Revoke(f.Fed, w.shared.Operator, time.Now(), public(t, w.keys("x").LeafUser))
	require.NoError(t, err)
	require.True(t, auth.Revoked(fed, public(t, w.keys("x").LeafUser)))
	acc, err := hub.LookupAccount(subject(t, fed))
	require.NoError(t, err)
	hub.UpdateAccountClaims(acc, claims(t, fed))
	require.NoError(t, hub.AccountResolver().Store(subject(t, fed), fed))
	require.Eventually(t, func() bool { return hub.NumLeafNodes() == 0 }, 10*time.Second, time.Millisecond)
	leaf.logged("Authorization Violation")
	require.Zero(t, hub.NumLeafNodes())
}
