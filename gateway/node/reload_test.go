package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

// with returns w's topology with one stamp replaced, as stamp me sees it.
func (w *world) with(me topology.StampID, s *topology.Stamp) *topology.View {
	mesh := *w.mesh
	mesh.Stamps = nil
	var v topology.View
	for _, was := range w.mesh.Stamps {
		if was.ID == s.ID {
			was = s
		}
		if was.ID == me {
			v.Me = was
		}
		mesh.Stamps = append(mesh.Stamps, was)
	}
	v.Mesh = &mesh
	return &v
}

func TestReloadChangesWhatClientsMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a")
	lost := make(chan error, 1)
	stays := subscribe(t, a.client(nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { lost <- err })), "sh.keptn.>")
	refused := make(chan error, 1)
	nc := a.client(nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, nc.Publish("orders.new", nil))
	require.ErrorIs(t, <-refused, nats.ErrPermissionViolation)

	w.allow = append(w.allow, "orders.>")
	restart, err := a.Reload(w.view("a"), w.identity("a"))
	require.NoError(t, err)
	require.Equal(t, node.RestartNone, restart)
	orders := subscribe(t, a.client(), "orders.>")
	reaches(t, a.client(), "orders.new", orders)
	reaches(t, a.client(), "sh.keptn.event.x", stays)
	require.Empty(t, lost, "who is connected stays")
}

func TestRevokedLeafIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), leaf("c", topology.TransportTLS, "a"))
	a, c := w.run("a"), w.run("c")
	c.up()
	before := w.identity("a")
	w.fedClaims.Revoke("*")
	_, err := a.Reload(w.view("a"), w.identity("a"))
	require.NoError(t, err)
	down := func() bool { return !c.Links()[0].Up }
	require.Eventually(t, down, long, time.Millisecond)
	require.Eventually(t, func() bool { return c.Links()[0].Err != "" }, long, time.Millisecond, "%+v", c.Links())
	require.Never(t, func() bool { return !down() }, time.Second, 10*time.Millisecond)
	require.NoError(t, c.client().Flush(), "the stamp's own clients are served")

	before.Accounts[node.FED] = older(t, w)
	_, err = a.Reload(w.view("a"), before)
	require.ErrorContains(t, err, "older than the one in force")
}

// older is an account FED without revocations, of a second ago.
func older(t *testing.T, w *world) string {
	t.Helper()
	c := *w.fedClaims
	c.Revocations = nil
	return encodeAt(t, &c, w.operator, time.Now().Add(-time.Minute))
}

func TestReloadMovesLeafToAnotherHub(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"), leaf("c", topology.TransportTLS, "a"))
	a := w.run("a")
	w.run("b")
	c := w.run("c")
	c.up()
	a.up()
	lost := make(chan error, 1)
	c.client(nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { lost <- err }))
	restart, err := c.Reload(w.with("c", leaf("c", topology.TransportWSS, "b")), w.identity("c"))
	require.NoError(t, err)
	require.Equal(t, node.RestartNone, restart)
	require.Eventually(t, func() bool {
		l := c.Links()[0]
		return l.Up && l.Peer == "b"
	}, long, time.Millisecond, "%+v", c.Links())
	reaches(t, a.fed(), "rw.v1.ev.c.a.k", subscribe(t, c.fed(), "rw.v1.*.c.>"))
	require.Empty(t, lost)
}

// TestLeafSaysWhetherItsLinkIsCompressed: a hub compresses nothing by itself, for
// that takes a megabyte for each leaf.
func TestLeafSaysWhetherItsLinkIsCompressed(t *testing.T) {
	t.Parallel()
	for _, transport := range []topology.Transport{topology.TransportTLS, topology.TransportWSS} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, hub(t, "a"), leaf("c", transport, "a"))
			a, c := w.run("a"), w.run("c")
			c.up()
			a.up()
			require.Equal(t, []string{"off"}, c.Compressions())
			thin := leaf("c", transport, "a")
			thin.Link.Compression = topology.CompressionS2
			_, err := c.Reload(w.with("c", thin), w.identity("c"))
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				got := c.Compressions()
				return len(got) == 1 && strings.HasPrefix(got[0], "s2_")
			}, long, time.Millisecond)
			require.Eventually(t, func() bool { return c.Links()[0].Up }, long, time.Millisecond)
			reaches(t, a.fed(), "rw.v1.ev.c.a.k", subscribe(t, c.fed(), "rw.v1.*.c.>"))
		})
	}
}

func TestReloadSaysWhatMustRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"))
	a := w.run("a")
	moved := hub(t, "b")
	twoCAs := func(w *world) node.Identity {
		id := w.identity("a")
		_, second := w.authority("next")
		id.CA = w.write(w.t.TempDir(), "ca.crt", append(pemOf("CERTIFICATE", w.ca.Raw), pemOf("CERTIFICATE", second.Raw)...))
		return id
	}
	for name, tc := range map[string]struct {
		view *topology.View
		id   node.Identity
		want node.Restart
	}{
		"nothing":            {w.view("a"), w.identity("a"), node.RestartNone},
		"other hub moved":    {w.with("a", moved), w.identity("a"), node.RestartLink},
		"CA changes":         {w.view("a"), twoCAs(w), node.RestartLink},
		"hub becomes a leaf": {w.with("a", leaf("a", topology.TransportTLS, "b")), w.identity("a"), node.RestartProcess},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := a.Reload(tc.view, tc.id)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
	_, err := a.Reload(w.with("a", hub(t, "a")), w.identity("b"))
	require.ErrorContains(t, err, "is another account")
	_, err = a.Reload(w.view("b"), w.identity("b"))
	require.ErrorContains(t, err, "view is of stamp b")

	// After the restart the moved hub is found.
	_, err = a.Reload(w.with("a", moved), w.identity("a"))
	require.NoError(t, err)
	require.NoError(t, a.RestartLink(t.Context(), w.with("a", moved)))
	w.run("b", func(c *node.Config) {
		c.View = w.with("b", moved)
		c.Listen.Gateway = moved.Link.Advertise.Gateway
	})
	a.up()
}
