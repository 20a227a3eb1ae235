package node_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

// TestConnectLink: what crosses goes past the local server of a hub, comes back
// after its link server has restarted, and is bound by the same rights.
func TestConnectLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"), leaf("c", topology.TransportTLS, "b"))
	a, b, c := w.run("a"), w.run("b"), w.run("c")
	a.up()
	c.up()
	link := func(r *running) *nats.Conn {
		nc, err := r.ConnectLink("test", nats.UserCredentialBytes(w.creds(string(r.id), w.bridgeKey)))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	out, in, leaf := link(a), link(b), link(c)
	require.Equal(t, []string{"a.link", "b.link", "c"}, []string{out.ConnectedServerName(), in.ConnectedServerName(), leaf.ConnectedServerName()})
	toB, toC := subscribe(t, in, "rw.v1.http.b.>"), subscribe(t, leaf, "rw.v1.http.c.>")
	every := func() {
		t.Helper()
		reaches(t, out, "rw.v1.http.b.a.x", toB)
		reaches(t, leaf, "rw.v1.http.b.c.x", toB)
		reaches(t, in, "rw.v1.http.c.b.x", toC)
		reaches(t, out, "rw.v1.http.c.a.x", toC)
	}
	every()
	require.NoError(t, b.RestartLink(t.Context(), w.view("b")))
	every()
	require.EqualValues(t, 1, in.Stats().Reconnects)

	denied := make(chan error, 1)
	out.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })
	require.NoError(t, out.Publish("rw.v1.http.b.c.x", nil))
	require.ErrorIs(t, <-denied, nats.ErrPermissionViolation, "as another stamp")
}

// TestAccountsAreMadeBeforeAnybodyConnects: none is made for two at once, one of
// whom would be refused.
func TestAccountsAreMadeBeforeAnybodyConnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	accounts := []node.Account{node.SYS, node.FED, node.APP, node.RELAY, node.DELIVER}
	require.GreaterOrEqual(t, w.run("a").AccountsMade(), len(accounts))
}

// TestBusyServerIsAskedAgain: what a server answers that is too busy is no
// refusal.
func TestBusyServerIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		nats.ErrTimeout, fmt.Errorf("connect: %w", io.ErrClosedPipe),
		errors.New("nats: Authentication Timeout"), errors.New("nats: expected 'PONG', got 'PING'"),
	} {
		require.True(t, node.Transient(err), err)
	}
	require.False(t, node.Transient(nats.ErrAuthorization))
}
