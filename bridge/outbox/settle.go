package outbox

import (
	"sync"
	"sync/atomic"
)

// A countdown calls a function when the last of its parties is done.
type countdown struct {
	left atomic.Int64
	then func()
}

// newCountdown has one party, the caller.
func newCountdown(then func()) *countdown {
	c := &countdown{then: then}
	c.left.Store(1)
	return c
}

// add adds n parties. One of those before is not done yet.
func (c *countdown) add(n int) { c.left.Add(int64(n)) }

func (c *countdown) done() {
	if c.left.Add(-1) == 0 {
		c.then()
	}
}

// A busySet is a set of sequences, safe for concurrent use.
type busySet struct {
	mu  sync.Mutex
	set map[uint64]struct{}
}

// add reports whether seq was not in the set.
func (b *busySet) add(seq uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.set == nil {
		b.set = map[uint64]struct{}{}
	}
	if _, ok := b.set[seq]; ok {
		return false
	}
	b.set[seq] = struct{}{}
	return true
}

func (b *busySet) remove(seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.set, seq)
}

func (b *busySet) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.set)
}
