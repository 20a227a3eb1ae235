package canary

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// TestSilentPeersAreAskedSoon: for some time after the start and after a change of
// links, and only those.
func TestSilentPeersAreAskedSoon(t *testing.T) {
	t.Parallel()
	a, err := NewAsker(AskConfig{
		Me: "a", Fed: natstest.StartStamp(t).Connect("fed"), Interval: time.Hour, Log: slog.New(slog.DiscardHandler),
		Peers: func() []topology.StampID { return []topology.StampID{"b", "fine"} },
	})
	require.NoError(t, err)
	now := time.Now()
	asked := func(after time.Duration) (b, fine uint64) {
		now = now.Add(after)
		a.round(now)
		return a.peers["b"].n, a.peers["fine"].n
	}
	answer := func(id topology.StampID) {
		r := a.peers[id]
		require.True(t, r.take(now, answer{question: question{N: r.n, Asked: r.open[len(r.open)-1].at.UnixNano()}}))
	}
	a.meet(now)
	a.hurry(now, false)
	b, fine := asked(firstWithin)
	require.Equal(t, [2]uint64{1, 1}, [2]uint64{b, fine})
	answer("fine")
	b, fine = asked(soonEvery)
	require.Equal(t, [2]uint64{2, 2}, [2]uint64{b, fine}, "its second question was due before it had answered the first")
	answer("fine")
	b, _ = asked(soonFor)
	require.Equal(t, uint64(3), b)
	b, _ = asked(10 * time.Second)
	require.Equal(t, uint64(3), b, "it is not asked for ever")

	a.hurry(now, true)
	b, fine = asked(0)
	require.Equal(t, [2]uint64{4, 2}, [2]uint64{b, fine})
	answer("b")
	b, _ = asked(soonEvery)
	require.Equal(t, uint64(5), b, "the same")
	answer("b")
	b, fine = asked(soonEvery)
	require.Equal(t, [2]uint64{5, 2}, [2]uint64{b, fine})
}
