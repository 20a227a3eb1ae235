package node_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

func TestServerThatHasGivenUp(t *testing.T) {
	const (
		created = "127.0.0.1:1 - lid_ws:41 - Leafnode connection created for account: A/FED"
		closed  = "127.0.0.1:1 - lid_ws:41 - Leafnode connection closed: Write Error"
		refused = `Error trying to connect as leafnode to remote server "127.0.0.1:1" (attempt 1): connection refused`
		loop    = "Loop detected for leafnode account. Delaying attempt to reconnect for 30s"
	)
	require.False(t, node.GivesUp(time.Hour), "it has not begun")
	require.False(t, node.GivesUp(time.Hour, created, closed, refused), "it says so once and goes on")
	require.False(t, node.GivesUp(5*time.Second, refused, created, closed))
	require.True(t, node.GivesUp(15*time.Second, refused, created, closed))
	require.True(t, node.GivesUp(15*time.Second, refused, created), "it was never made")
	require.False(t, node.GivesUp(30*time.Second, created, loop, closed))
	require.True(t, node.GivesUp(50*time.Second, created, loop, closed))
}

// TestHubIsDialledAnew: by another remote to the same addresses, as often as it
// takes, also while the first one has a connection.
func TestHubIsDialledAnew(t *testing.T) {
	t.Parallel()
	for _, transport := range []topology.Transport{topology.TransportTLS, topology.TransportWSS} {
		w := newWorld(t, hub(t, "a"), leaf("c", transport, "a"))
		c := w.run("c")
		c.GiveUp() // its hub does not run
		require.Never(t, func() bool { return c.Links()[0].Up }, 1500*time.Millisecond, 10*time.Millisecond)
		a := w.run("a")
		c.up()
		for range 2 {
			require.NoError(t, c.Redial())
			c.up()
		}
		require.Eventually(t, func() bool {
			c.up()
			sub := subscribe(t, c.fed(), "rw.v1.*.c.>")
			require.NoError(t, a.fed().Publish("rw.v1.ev.c.a.k", nil))
			_, err := sub.NextMsg(100 * time.Millisecond)
			return err == nil
		}, long, time.Millisecond)
	}
}
