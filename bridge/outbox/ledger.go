package outbox

import (
	"context"
	"slices"
	"sync"
)

// A ledger knows which events of RW_OUT are in hand and which are settled:
// every one up to a floor, and some above it. It is safe for concurrent use.
type ledger struct {
	room chan struct{} // a place for each event that may be in hand

	mu    sync.Mutex // guards the following fields
	hand  map[uint64]struct{}
	floor uint64
	above [][2]uint64 // inclusive ranges in order, with gaps between them
	read  uint64      // the last sequence that was read
}

// newLedger knows of nothing in hand. Everything before first is settled.
func newLedger(first uint64) *ledger {
	floor := max(first, 1) - 1
	return &ledger{
		room: make(chan struct{}, maxUnsettled), hand: map[uint64]struct{}{},
		floor: floor, read: floor,
	}
}

// take takes an event in hand that was read. It waits for room, and returns
// false if the event is in hand already, or ctx ends. What lies between it and
// the one read before is in the stream no more.
func (l *ledger) take(ctx context.Context, seq uint64) bool {
	select {
	case l.room <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.hand[seq]; known {
		<-l.room
		return false
	}
	l.hand[seq] = struct{}{}
	if seq > l.read+1 {
		l.done(l.read+1, seq-1)
	}
	l.read = max(l.read, seq)
	return true
}

// settle notes that an event in hand is settled.
func (l *ledger) settle(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.hand[seq]; !known {
		return
	}
	delete(l.hand, seq)
	<-l.room
	l.done(seq, seq)
}

// done settles from first to last, none of which is. The caller holds mu.
func (l *ledger) done(first, last uint64) {
	if first == l.floor+1 {
		l.floor = last
		if len(l.above) > 0 && l.above[0][0] == last+1 {
			l.floor = l.above[0][1]
			l.above = l.above[1:]
		}
		return
	}
	i, _ := slices.BinarySearchFunc(l.above, first, func(r [2]uint64, s uint64) int { return int(r[0]) - int(s) }) //nolint:gosec // near each other
	before := i > 0 && l.above[i-1][1]+1 == first
	after := i < len(l.above) && l.above[i][0] == last+1
	switch {
	case before && after:
		l.above[i-1][1] = l.above[i][1]
		l.above = slices.Delete(l.above, i, i+1)
	case before:
		l.above[i-1][1] = last
	case after:
		l.above[i][0] = first
	default:
		l.above = slices.Insert(l.above, i, [2]uint64{first, last})
	}
}

// settled returns up to where everything is settled, and whether nothing is in
// hand.
func (l *ledger) settled() (floor uint64, idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.floor, len(l.hand) == 0
}

// beyond returns at most n sequences after a sequence and above the floor that
// are settled, in order.
func (l *ledger) beyond(after uint64, n int) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []uint64
	for _, r := range l.above {
		for seq := max(r[0], after+1); seq <= r[1]; seq++ {
			if len(out) == n {
				return out
			}
			out = append(out, seq)
		}
	}
	return out
}
