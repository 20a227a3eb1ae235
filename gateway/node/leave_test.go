package node_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
)

// What a client was told that the server has, while that stops, is stored:
// clients that come back at once do not find a server whose streams are closed.
func TestNothingIsConfirmedThatIsNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	captured := func(n *running) jetstream.Stream {
		js, err := jetstream.New(n.connect(w.local("a", node.RELAY)))
		require.NoError(t, err)
		s, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.>"}})
		require.NoError(t, err)
		return s
	}
	confirmed := 0
	for range 3 {
		a := w.run("a", func(c *node.Config) { c.LameDuck = time.Second })
		captured(a)
		url := a.ClientURL()
		var n atomic.Int64
		var wg sync.WaitGroup
		var over atomic.Bool
		for i := range 8 {
			wg.Go(func() {
				for k := 0; !over.Load(); k++ {
					// As Keptn's distributor: a connection for each type of event.
					nc, err := nats.Connect(url, nats.NoReconnect(), nats.Timeout(time.Second))
					if err != nil {
						continue
					}
					if nc.Publish(fmt.Sprintf("sh.keptn.event.x%d", i), fmt.Appendf(nil, "%d", k)) == nil && nc.FlushTimeout(time.Second) == nil {
						n.Add(1)
					}
					nc.Close()
				}
			})
		}
		require.Eventually(t, func() bool { return n.Load() > 50 }, long, time.Millisecond)
		require.NoError(t, a.stop())
		over.Store(true)
		wg.Wait()
		confirmed += int(n.Load())
	}
	a := w.run("a")
	require.GreaterOrEqual(t, captured(a).CachedInfo().State.Msgs, uint64(confirmed)) //nolint:gosec // a count
}

// Clients that were sent away do not take the places that the bridge leaves: nobody
// would hear what they publish.
func TestNobodyTakesThePlacesOfTheBridge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a")
	connect := func() error {
		nc, err := nats.Connect(a.ClientURL(), nats.NoReconnect(), nats.Timeout(time.Second))
		if err == nil {
			nc.Close()
		}
		return err
	}
	bridge := a.connect(w.local("a", node.RELAY))
	require.NoError(t, connect())
	require.NoError(t, a.Dismiss())
	require.Error(t, connect())
	require.True(t, bridge.IsConnected())
	a.Shut()
	bridge.Close()
	for range 100 {
		require.Error(t, connect())
	}
}
