package load_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

const triggered = "sh.keptn.event.deployment.triggered"

// An arrival is an event at a plane.
type arrival struct {
	stamp topology.StampID
	at    time.Time
}

// clients are a control plane in s0 and a plane in every other stamp.
type clients struct {
	t     testing.TB
	nc    *nats.Conn
	n     int
	came  chan arrival
	names []topology.StampID // with a plane
}

func newClients(w *world) *clients {
	c := &clients{t: w.t, came: make(chan arrival, 100_000)}
	connect := func(url string) *nats.Conn {
		nc, err := nats.Connect(url)
		require.NoError(w.t, err)
		w.t.Cleanup(nc.Close)
		return nc
	}
	c.nc = connect(w.Stamp("s0").URL())
	for _, s := range w.Stamps()[1:] {
		nc := connect(s.URL())
		_, err := nc.Subscribe(triggered, func(*nats.Msg) { c.came <- arrival{s.ID, time.Now()} })
		require.NoError(w.t, err)
		require.NoError(w.t, nc.Flush())
		c.names = append(c.names, s.ID)
	}
	return c
}

// send publishes an event of about 1 KB for a stamp.
func (c *clients) send(to topology.StampID) {
	c.t.Helper()
	c.n++
	require.NoError(c.t, c.nc.Publish(triggered, fmt.Appendf(nil, `{"specversion":"1.0","id":"00000000-0000-4000-8000-%012d",`+
		`"source":"shipyard-controller","type":%q,"time":"2026-01-02T03:04:05Z","datacontenttype":"application/json",`+
		`"data":{"project":"p","stage":%q,"service":"s","message":%q},"shkeptncontext":"11111111-1111-4111-8111-%012d","shkeptnspecversion":"0.2.4"}`,
		c.n, triggered, to, strings.Repeat("x", 640), c.n)))
}

// next waits for n events.
func (c *clients) next(n int) []arrival {
	c.t.Helper()
	out, late := make([]arrival, 0, n), time.After(2*time.Minute)
	for len(out) < n {
		select {
		case a := <-c.came:
			out = append(out, a)
		case <-late:
			require.FailNow(c.t, "events are missing", "%d of %d came", len(out), n)
		}
	}
	return out
}

// rate sends n events, in turn to all planes, and returns how many arrive in a
// second and the CPU of all servers and clients for each.
func (c *clients) rate(n int) (perSecond float64, each time.Duration) {
	c.t.Helper()
	start, busy := time.Now(), cpu(c.t)
	for i := range n {
		c.send(c.names[i%len(c.names)])
	}
	c.next(n)
	return float64(n) / time.Since(start).Seconds(), (cpu(c.t) - busy) / time.Duration(n)
}

// quantiles returns p50, p99 and the largest of d in milliseconds; zeros of none.
func quantiles(d []time.Duration) (out [3]float64) {
	if len(d) == 0 {
		return out
	}
	slices.Sort(d)
	for i, at := range []int{len(d) / 2, len(d) * 99 / 100, len(d) - 1} {
		out[i] = float64(d[at].Microseconds()) / 1000
	}
	return out
}
