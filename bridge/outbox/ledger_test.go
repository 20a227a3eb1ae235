package outbox

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLedger: whatever the order in which events are settled, and whatever is
// missing in the stream, nothing counts as settled that is in hand.
func TestLedger(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a seed that can be repeated
		first := 1 + r.Uint64N(5)
		l := newLedger(first)
		settled, hand := map[uint64]bool{}, []uint64{}
		for seq, end := first, first+60; seq < end || len(hand) > 0; {
			if seq < end && (len(hand) == 0 || r.IntN(2) == 0) {
				for r.IntN(8) == 0 && seq < end-1 { // removed from the stream
					settled[seq] = true
					seq++
				}
				require.True(t, l.take(t.Context(), seq))
				require.False(t, l.take(t.Context(), seq), "it is in hand")
				hand = append(hand, seq)
				seq++
			} else {
				i := r.IntN(len(hand))
				l.settle(hand[i])
				l.settle(hand[i]) // once more is no harm
				settled[hand[i]] = true
				hand = slices.Delete(hand, i, i+1)
			}
			floor, idle := l.settled()
			require.Equal(t, len(hand) == 0, idle)
			want := first - 1
			for settled[want+1] && want+1 <= l.read {
				want++
			}
			require.Equal(t, want, floor)
			var above []uint64
			for s := floor + 1; s <= l.read; s++ {
				if settled[s] {
					above = append(above, s)
				}
			}
			require.Equal(t, above, l.beyond(0, 100))
		}
		require.Empty(t, l.above)
	}
}

// TestLedgerIsBounded: no more is taken in hand than there is room for.
func TestLedgerIsBounded(t *testing.T) {
	t.Parallel()
	l := newLedger(1)
	for seq := range uint64(maxUnsettled) {
		require.True(t, l.take(t.Context(), seq+1))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.False(t, l.take(ctx, maxUnsettled+1))
	l.settle(7)
	require.True(t, l.take(t.Context(), maxUnsettled+1))
}
