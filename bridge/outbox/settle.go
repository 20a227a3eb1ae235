package outbox

import "sync/atomic"

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
