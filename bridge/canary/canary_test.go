package canary_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/canary"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

const patience = 20 * time.Second

func answerer(t testing.TB, nc *nats.Conn, me topology.StampID, store func(context.Context) error) *canary.Answerer {
	t.Helper()
	a, err := canary.NewAnswerer(canary.AnswerConfig{
		Me: me, Fed: nc, Store: store, Hash: func() string { return "hash-of-" + string(me) }, Version: "v1",
		Hold: func() string { return "held-at-" + string(me) },
		Log:  slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return a
}

func asker(t testing.TB, nc *nats.Conn, every time.Duration, reg prometheus.Registerer, peers func() []topology.StampID) *canary.Asker {
	t.Helper()
	a, err := canary.NewAsker(canary.AskConfig{
		Me: "a", Fed: nc, Peers: peers, Interval: every, Log: slog.New(slog.DiscardHandler), Metrics: reg,
	})
	require.NoError(t, err)
	return a
}

func fine(context.Context) error { return nil }

// peer waits until what is known of a peer satisfies is.
func peer(t *testing.T, a *canary.Asker, id topology.StampID, is func(canary.Peer) bool) canary.Peer {
	t.Helper()
	var last canary.Peer
	require.Eventually(t, func() bool {
		for _, p := range a.Peers() {
			if p.Stamp == id {
				last = p
				return is(p)
			}
		}
		return false
	}, patience, time.Millisecond, "%+v", &last)
	return last
}

func TestCanaryThereAndBack(t *testing.T) {
	t.Parallel()
	s := natstest.StartStamp(t)
	var broken atomic.Bool
	var reads atomic.Int32
	far := natstest.Run(t, answerer(t, s.Connect("fed"), "b", func(context.Context) error {
		reads.Add(1)
		if broken.Load() {
			return errors.New("RW_IN has no leader")
		}
		return nil
	}).Run)
	reg := prometheus.NewRegistry()
	var mu sync.Mutex
	peers := []topology.StampID{"a", "b", "gone"}
	a := asker(t, s.Connect("fed"), 10*time.Millisecond, reg, func() []topology.StampID {
		mu.Lock()
		defer mu.Unlock()
		return peers
	})
	near := natstest.Run(t, a.Run)

	p := peer(t, a, "b", func(p canary.Peer) bool { return p.Of > 10 })
	require.Equal(t, "hash-of-b", p.Hash)
	require.Equal(t, "held-at-b", p.Hold)
	require.Equal(t, "v1", p.Version)
	require.Positive(t, p.RTT)
	require.Less(t, p.Offset.Abs(), time.Second)
	require.Zero(t, p.Lost)
	require.Less(t, reads.Load(), int32(10), "one reading of the store serves many")

	gone := peer(t, a, "gone", func(p canary.Peer) bool { return p.Lost > 3 })
	require.True(t, gone.Last.IsZero())
	require.Contains(t, gone.Err, "no way to the stamp")
	require.Len(t, a.Peers(), 2, "nobody asks itself")
	require.Equal(t, 2, series(t, reg)["ringway_canary_age_seconds"])

	// A stream that cannot store is out of reach, and it says so.
	broken.Store(true)
	p = peer(t, a, "b", func(p canary.Peer) bool { return p.Err != "" })
	require.Equal(t, "RW_IN has no leader", p.Err)
	broken.Store(false)
	peer(t, a, "b", func(p canary.Peer) bool { return p.Err == "" })

	// A gateway that ends, and comes back.
	far.Stop()
	peer(t, a, "b", func(p canary.Peer) bool { return strings.Contains(p.Err, "no way") })
	natstest.Run(t, answerer(t, s.Connect("fed"), "b", fine).Run)
	peer(t, a, "b", func(p canary.Peer) bool { return p.Err == "" })

	mu.Lock()
	peers = []topology.StampID{"b"}
	mu.Unlock()
	a.Refresh()
	require.Eventually(t, func() bool { return len(a.Peers()) == 1 }, patience, time.Millisecond)

	// One that does not ask knows nothing, and may ask again.
	near.Stop()
	require.Empty(t, a.Peers())
	require.Empty(t, series(t, reg))
	natstest.Run(t, a.Run)
	peer(t, a, "b", func(p canary.Peer) bool { return !p.Last.IsZero() })
}

// series counts the series of each metric.
func series(t *testing.T, reg *prometheus.Registry) map[string]int {
	t.Helper()
	all, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]int{}
	for _, f := range all {
		out[f.GetName()] = len(f.GetMetric())
	}
	return out
}

// TestAnswerGoesToTheAskerOnly: a reply subject is anybody's choice, and a
// gateway may publish more than whoever asks.
func TestAnswerGoesToTheAskerOnly(t *testing.T) {
	t.Parallel()
	s := natstest.StartStamp(t)
	natstest.Run(t, answerer(t, s.Connect("fed"), "b", fine).Run)
	nc := s.Connect("fed")
	all, err := nc.SubscribeSync(">")
	require.NoError(t, err)
	for _, body := range []string{`{"asker":"x.y"}`, `{"asker":""}`, `{"asker":">"}`, "", "{", `{"asker":"good"}`} {
		m := nats.NewMsg("rw.v1.canary.b.a.ask")
		m.Reply, m.Data = "$JS.API.STREAM.DELETE.RW_IN", []byte(body)
		require.NoError(t, nc.PublishMsg(m))
		_, err := all.NextMsg(patience) // the question itself
		require.NoError(t, err)
	}
	m, err := all.NextMsg(patience)
	require.NoError(t, err)
	require.Equal(t, "rw.v1.canary.a.b.answer.good", m.Subject)
}

// TestOneOfSeveralAnswers: gateways of one stamp share the questions.
func TestOneOfSeveralAnswers(t *testing.T) {
	t.Parallel()
	s := natstest.StartStamp(t)
	for range 3 {
		natstest.Run(t, answerer(t, s.Connect("fed"), "b", fine).Run)
	}
	nc := s.Connect("fed")
	sub, err := nc.SubscribeSync("rw.v1.canary.a.b.answer.x")
	require.NoError(t, err)
	const n = 50
	for range n {
		require.NoError(t, nc.Publish("rw.v1.canary.b.a.ask", []byte(`{"asker":"x"}`)))
	}
	for range n {
		_, err := sub.NextMsg(patience)
		require.NoError(t, err)
	}
	require.NoError(t, nc.Flush())
	left, _, err := sub.Pending()
	require.NoError(t, err)
	require.Zero(t, left)
}

// BenchmarkHub is the cost of one stamp's canaries with 300 peers: it asks
// each, and answers each. The whole process is counted, so server, peers and
// the test are in it, too. An operation is one second of them at an interval
// of 5 s, run as fast as they go.
func BenchmarkHub(b *testing.B) {
	const peers, interval = 300, 5 * time.Second
	s := natstest.StartStamp(b)
	natstest.Run(b, answerer(b, s.Connect("fed"), "a", fine).Run)
	far := s.Connect("fed")
	ids := make([]topology.StampID, peers)
	for i := range ids {
		ids[i] = topology.StampID(fmt.Sprintf("peer-%d", i))
		natstest.Run(b, answerer(b, far, ids[i], fine).Run)
	}
	// Faster than real, for a fixed time; the cost of a question is the same.
	const faster = 20
	a := asker(b, s.Connect("fed"), interval/faster, nil, func() []topology.StampID { return ids })
	before := cpu(b)
	start := time.Now()
	asking := natstest.Run(b, a.Run)
	tick := time.NewTicker(time.Second / faster)
	defer tick.Stop()
	for b.Loop() {
		for range peers / int(interval/time.Second) { // what peers ask of us in a second
			require.NoError(b, far.Publish("rw.v1.canary.a.peer-1.ask", []byte(`{"n":1,"asker":"x","asked":1}`)))
		}
		require.NoError(b, far.Flush())
		<-tick.C
	}
	asking.Stop()
	share := float64(cpu(b)-before) / float64(time.Since(start)) / faster
	b.ReportMetric(100*share, "%core")
}

// cpu returns the time that this process has computed.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestOnce: one question, without an Asker.
func TestOnce(t *testing.T) {
	t.Parallel()
	s := natstest.StartStamp(t)
	var broken atomic.Bool
	natstest.Run(t, answerer(t, s.Connect("fed"), "b", func(context.Context) error {
		if broken.Load() {
			return errors.New("RW_IN has no leader")
		}
		return nil
	}).Run)
	nc := s.Connect("fed")
	require.Eventually(t, func() bool { return canary.Once(t.Context(), nc, "a", "b") == nil }, patience, time.Millisecond)
	require.ErrorIs(t, canary.Once(t.Context(), nc, "a", "gone"), nats.ErrNoResponders)
	broken.Store(true)
	require.Eventually(t, func() bool {
		err := canary.Once(t.Context(), nc, "a", "b")
		return err != nil && strings.Contains(err.Error(), "RW_IN has no leader")
	}, patience, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, canary.Once(ctx, nc, "a", "b"), context.Canceled)
}
