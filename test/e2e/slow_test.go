package e2e_test

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
)

// burstSize is how many events a slow subscriber is sent; BURST is more of them.
func burstSize(t *testing.T) int {
	t.Helper()
	s := os.Getenv("BURST")
	if s == "" {
		return 20_000
	}
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// TestBurstIntoASlowPlane: one-kilobyte events of a control plane reach a plane that
// reads slower than they come: all of them, once, in order, and no server cuts it
// off. The plane is at the gateway, and at a NATS that was there before and cuts
// off whoever has 4 MB pending.
func TestBurstIntoASlowPlane(t *testing.T) {
	if beside(t) {
		return
	}
	t.Run("embedded", func(t *testing.T) {
		f := fed.New(t, world)
		got := slowPlane(t, f, strings.TrimPrefix(f.Stamp("tls").URL(), "nats://"))
		requireBurst(t, got)
	})
	t.Run("external", func(t *testing.T) {
		ext, leaf := externalNATS(t, func(o *server.Options) { o.MaxPending = 4 << 20 })
		f := fed.New(t, withExternal(ext, leaf))
		got := slowPlane(t, f, ext.Addr().String())
		require.Zero(t, ext.NumSlowConsumers())
		requireBurst(t, got)
	})
}

// externalNATS starts a NATS that a stamp had before.
func externalNATS(t *testing.T, edit func(*server.Options)) (ext *natstest.Server, leaf string) {
	t.Helper()
	leaf = natstest.Addr(t)
	return natstest.Start(t, func(o *server.Options) {
		host, port, err := net.SplitHostPort(leaf)
		require.NoError(t, err)
		o.LeafNode.Host = host
		o.LeafNode.Port, err = strconv.Atoi(port)
		require.NoError(t, err)
		edit(o)
	}), leaf
}

// withExternal is the world in which stamp tls has a NATS already.
func withExternal(ext *natstest.Server, leaf string) string {
	return strings.Replace(world, "{name: tls, geo: eu, ring: dev,",
		`{name: tls, geo: eu, ring: dev, clients: {mode: external, url: "`+ext.URL()+`", leafnode: "nats-leaf://`+leaf+`"},`, 1)
}

// slowPlane returns the ids of what a slow subscriber at addr in stamp tls got of a
// burst from the control plane.
func slowPlane(t *testing.T, f *fed.Fed, addr string) []string {
	t.Helper()
	n := burstSize(t)
	pad := strings.Repeat("x", 900)
	nc := f.Client("control")
	for i := range n {
		body := strings.Replace(string(event(triggered, strconv.Itoa(i), "dev", fmt.Sprintf("k%d", i%50))), `"project"`, `"pad":"`+pad+`","project"`, 1)
		require.NoError(t, nc.Publish(triggered, []byte(body)))
		if i%1000 == 999 {
			require.NoError(t, nc.Flush())
		}
	}
	require.NoError(t, nc.Flush())
	stored := min(n, 20_000) // enough to come faster than it is read
	require.Eventually(t, func() bool {
		w := f.Status("tls").Waiting
		return len(w) == 1 && w[0].Count >= stored
	}, 10*fed.Patience, 10*time.Millisecond)
	from := time.Now()
	s := natstest.NewSloth(t, addr, `{"verbose":false,"headers":true}`, triggered)
	done := make(chan struct{})
	go func() { defer close(done); s.Read(n, 40*time.Millisecond) }()
	select {
	case <-done:
	case <-time.After(fed.Patience + time.Duration(n)*5*time.Millisecond):
	}
	require.NoError(t, s.Err)
	t.Logf("%d of %d events in %v", len(s.IDs), n, time.Since(from).Round(time.Millisecond))
	return s.IDs
}

// requireBurst asks for every event once, in the order of its context.
func requireBurst(t *testing.T, got []string) {
	t.Helper()
	require.Len(t, got, burstSize(t))
	last := map[int]int{}
	for _, id := range got {
		i, err := strconv.Atoi(id)
		require.NoError(t, err)
		require.Greater(t, i+1, last[i%50], "order of context %d", i%50)
		last[i%50] = i + 1
	}
	slices.Sort(got)
	require.Len(t, slices.Compact(got), burstSize(t))
}
