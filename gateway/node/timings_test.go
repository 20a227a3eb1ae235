package node_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGatewayIsDialledSoon: a hub that hangs up at once is dialled four times
// well within the four seconds that nats-server would take by itself.
func TestGatewayIsDialledSoon(t *testing.T) {
	t.Parallel()
	a, b := hub(t, "a"), hub(t, "b")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", b.Link.Advertise.Gateway)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	dialled := make(chan time.Time)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(dialled)
				return
			}
			_ = c.Close()
			select {
			case dialled <- time.Now():
			case <-t.Context().Done():
			}
		}
	}()
	newWorld(t, a, b).run("a")
	first := <-dialled
	var last time.Time
	for range 4 {
		last = <-dialled
	}
	require.Less(t, last.Sub(first), 3*time.Second)
	t.Logf("dialled again after %s on average", last.Sub(first)/4)
}
