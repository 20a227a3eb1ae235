package canary

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// A soonWorld is an asker whose time is the test's.
type soonWorld struct {
	*Asker
	t   *testing.T
	now time.Time
}

func newSoonWorld(t *testing.T, peers ...topology.StampID) *soonWorld {
	t.Helper()
	a, err := NewAsker(AskConfig{
		Me: "a", Fed: natstest.StartStamp(t).Connect("fed"), Interval: time.Hour, Log: slog.New(slog.DiscardHandler),
		Peers: func() []topology.StampID { return peers }, Metrics: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	w := &soonWorld{Asker: a, t: t, now: time.Now()}
	a.meet(w.now)
	a.hurry(w.now)
	w.pass(firstWithin)
	return w
}

// pass lets time go by in steps as the asker takes them.
func (w *soonWorld) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(grain) {
		w.round(w.now)
	}
}

func (w *soonWorld) asked(id topology.StampID) uint64 { return w.peers[id].n }

func (w *soonWorld) answer(id topology.StampID) {
	w.t.Helper()
	r := w.peers[id]
	require.NotEmpty(w.t, r.open)
	q := r.open[len(r.open)-1]
	require.True(w.t, r.take(w.now, answer{question: question{N: q.n, Asked: q.at.UnixNano()}}))
}

// TestSilentPeersAreAskedSoon: for some time after the start and after a change of
// links, and only those; what they miss of that is no loss.
func TestSilentPeersAreAskedSoon(t *testing.T) {
	t.Parallel()
	w := newSoonWorld(t, "b", "fine")
	w.answer("fine")
	before := w.asked("fine")
	w.pass(soonFor)
	require.Equal(t, before, w.asked("fine"))
	n := w.asked("b")
	require.GreaterOrEqual(t, n, uint64(4))
	require.LessOrEqual(t, n, uint64(1+soonMost))
	w.pass(10 * time.Second)
	require.Equal(t, n, w.asked("b"), "it is not asked for ever")

	w.hurry(w.now)
	w.pass(soonSpread + grain)
	require.Equal(t, n+1, w.asked("b"))
	require.Equal(t, before, w.asked("fine"))
	w.answer("b")
	w.pass(soonFor)
	require.Equal(t, n+1, w.asked("b"))

	require.LessOrEqual(t, w.peers["b"].refuse("x"), 1)
	require.LessOrEqual(t, w.peers["b"].Lost, 1)
	var lost dto.Metric
	require.NoError(t, w.metrics.lost.WithLabelValues("b").Write(&lost))
	require.LessOrEqual(t, lost.GetCounter().GetValue(), 1.0)
}

// TestLinksThatChangeAllTheTime do not keep anybody from being asked.
func TestLinksThatChangeAllTheTime(t *testing.T) {
	t.Parallel()
	a, err := NewAsker(AskConfig{
		Me: "a", Fed: natstest.StartStamp(t).Connect("fed"), Interval: time.Hour, Log: slog.New(slog.DiscardHandler),
		Peers: func() []topology.StampID { return []topology.StampID{"b"} },
	})
	require.NoError(t, err)
	natstest.Run(t, a.Run)
	require.Eventually(t, func() bool {
		a.LinksChanged()
		p := a.Peers()
		return len(p) == 1 && p[0].Lost == 1 // there is no way, as the server says
	}, 20*time.Second, time.Millisecond)
}

// TestFlappingLinksAskNobodyAllTheTime: three hundred leaves that connect one after
// another, and a link that comes and goes for an hour.
func TestFlappingLinksAskNobodyAllTheTime(t *testing.T) {
	t.Parallel()
	var peers []topology.StampID
	for i := range 300 {
		peers = append(peers, topology.StampID(fmt.Sprint("s", i)))
	}
	w := newSoonWorld(t, peers...)
	for range 3600 {
		w.hurry(w.now)
		w.pass(grain)
	}
	for _, id := range peers {
		require.LessOrEqual(t, w.asked(id), uint64(1+soonMost+1), id)
		require.LessOrEqual(t, w.peers[id].Lost, 1)
	}
}
