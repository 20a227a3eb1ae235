package node_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

func TestHubsAndLeavesAreOneFederation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"),
		leaf("c", topology.TransportTLS, "a", "b"), leaf("d", topology.TransportWSS, "b", "a"))
	var nodes []*running
	for _, s := range w.mesh.Stamps {
		nodes = append(nodes, w.run(s.ID))
	}
	in := map[topology.StampID]*nats.Subscription{}
	out := map[topology.StampID]*nats.Conn{}
	for _, n := range nodes {
		n.up()
		out[n.id] = n.fed()
		in[n.id] = subscribe(t, out[n.id], "rw.v1.*."+string(n.id)+".>")
	}
	for from, nc := range out {
		for to, sub := range in {
			if from != to {
				reaches(t, nc, "rw.v1.ev."+string(to)+"."+string(from)+".k", sub)
			}
		}
	}
}

// Each stamp's JetStream is its own: the same stream in every stamp, in the
// shared account, stores what is for that stamp, wherever it comes from.
func TestStreamsOfTheSharedAccountStayApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"), leaf("c", topology.TransportTLS, "b"))
	streams := map[topology.StampID]jetstream.Stream{}
	out := map[topology.StampID]*nats.Conn{}
	var nodes []*running
	for _, s := range w.mesh.Stamps {
		nodes = append(nodes, w.run(s.ID))
	}
	for _, n := range nodes {
		n.up()
		out[n.id] = n.fed()
		js, err := jetstream.New(out[n.id])
		require.NoError(t, err)
		info, err := js.AccountInfo(t.Context())
		require.NoError(t, err)
		require.Equal(t, string(n.id), info.Domain)
		streams[n.id], err = js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "RW_IN", Subjects: []string{"rw.v1.ev." + string(n.id) + ".>"},
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		})
		require.NoError(t, err)
	}
	for from := range out {
		for to, s := range streams {
			require.Eventually(t, func() bool {
				require.NoError(t, out[from].Publish("rw.v1.ev."+string(to)+"."+string(from)+".k", nil))
				_, err := s.GetLastMsgForSubject(t.Context(), "rw.v1.ev."+string(to)+"."+string(from)+".k")
				return err == nil
			}, long, 5*time.Millisecond)
		}
	}
	for id, s := range streams {
		info, err := s.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(3), info.State.Msgs, "stamp %s has one of each stamp", id)
	}
}

func TestStampSpeaksOnlyForItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"), leaf("c", topology.TransportWSS, "a"))
	a, b, c := w.run("a"), w.run("b"), w.run("c")
	b.up()
	c.up()
	in := subscribe(t, b.fed(), "rw.v1.*.b.>")
	spy := w.creds("c", w.linkKey) // the leaf's own user, on the wrong port
	_, err := c.Connect("spy", nats.UserCredentialBytes(spy))
	require.Error(t, err, "a link's user is not for clients")

	// A stamp whose process was taken over has no bridge user to hold it back,
	// but the permissions of the link hold at the hub.
	root := c.connect(w.root(t))
	reaches(t, root, "rw.v1.ev.b.c.k", in)
	for _, subject := range []string{"rw.v1.ev.b.a.k", "sh.keptn.event.x", "rw.v2.ev.b.c.k"} {
		require.NoError(t, root.Publish(subject, nil))
	}
	require.NoError(t, root.Publish("rw.v1.ev.b.c.last", nil))
	for {
		m, err := in.NextMsg(long)
		require.NoError(t, err)
		if m.Subject == "rw.v1.ev.b.c.last" {
			break
		}
		require.Equal(t, "rw.v1.ev.b.c.k", m.Subject)
	}

	// Nor does it hear what is for others.
	ear := subscribe(t, root, ">")
	mine := subscribe(t, c.fed(), "rw.v1.*.c.>")
	fromA := a.fed()
	require.NoError(t, fromA.Publish("rw.v1.ev.b.a.secret", nil))
	reaches(t, fromA, "rw.v1.ev.c.a.k", mine)
	for {
		m, err := ear.NextMsg(50 * time.Millisecond)
		if err != nil {
			break
		}
		require.Contains(t, m.Subject, ".c.a.")
	}
}

func TestClientWithoutCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a")
	errs := make(chan error, 10)
	nc := a.client(nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { errs <- err }))
	sub := subscribe(t, nc, "sh.keptn.event.>")
	require.NoError(t, nc.Publish("sh.keptn.event.a", []byte("x")))
	_, err := sub.NextMsg(long)
	require.NoError(t, err)
	require.NoError(t, nc.Publish("rw.v1.ev.b.a.k", nil))
	select {
	case err := <-errs:
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
	case <-time.After(long):
		t.Fatal("no permission violation")
	}

	_, err = a.Connect("nobody")
	require.ErrorIs(t, err, nats.ErrAuthorization, "the default user is for TCP only")
}

// The default user of clients is for plain NATS connections of the stamp. A
// server or a WebSocket client without credentials is nobody.
func TestAnonymousLeafnodeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a")
	a.up()
	roots := x509.NewCertPool()
	roots.AddCert(w.ca)
	conf := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13}
	for _, to := range []string{a.LeafnodeURL(), a.WebsocketURL()} {
		u, err := url.Parse(to)
		require.NoError(t, err)
		srv := natstest.Start(t, func(o *server.Options) {
			o.JetStream, o.ServerName = false, "nobody"
			o.LeafNode.ReconnectInterval = 20 * time.Millisecond
			o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{u}, TLSConfig: conf.Clone()}}
		})
		ear := subscribe(t, srv.Connect(), ">")
		out := a.fed()
		for range 20 {
			require.NoError(t, out.Publish("rw.v1.ev.b.a.secret", nil))
			_, err := ear.NextMsg(20 * time.Millisecond)
			require.ErrorIs(t, err, nats.ErrTimeout)
			require.Len(t, a.Links(), 1, "only the stamp's own")
		}
	}
	for _, auth := range []nats.Option{nats.UserInfo("", ""), nats.UserCredentialBytes(w.creds("b", w.linkKey))} {
		requireRefused(t, a.WebsocketURL(), nats.Secure(conf), auth)
	}
	requireRefused(t, a.ClientURL(), nats.UserCredentialBytes(w.creds("b", w.linkKey))) // the user of links is not for clients
}

// requireRefused asks that no connection is had, and for want of rights. The
// server closes as soon as it has said so: a client that is still writing reads a
// broken pipe instead, and asks again.
func requireRefused(t *testing.T, to string, opts ...nats.Option) {
	t.Helper()
	for range 100 {
		_, err := nats.Connect(to, opts...)
		require.Error(t, err)
		if errors.Is(err, nats.ErrAuthorization) {
			return
		}
	}
	require.Fail(t, "never heard why")
}
