package outbox

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
)

// An item is one copy of an event on its way to one target.
type item struct {
	seq   uint64        // its sequence in RW_OUT: the hop id
	order string        // of items with the same order only one is in flight
	event *bridge.Event // nil if it is none of Keptn's, or an offer
	id    string        // of an offer's event
	msg   *nats.Msg     // ready to be sent; never changed
	done  func()        // called once, when the target or RW_HOLD has stored it
	sent  time.Time     // when it was last sent
}

func (it *item) size() int { return len(it.msg.Data) + 512 }

// Bounds of a flight. A lane takes no more events while one of them is
// reached.
const (
	maxItems = 2048
	maxBytes = 32 << 20
)

// A flight is the items of one lane that are sent or about to be. It is not
// safe for concurrent use.
type flight struct {
	send   func(*item) error
	queues map[string][]*item // by order; the first of each is in flight
	flying map[uint64]*item   // by hop id
	fifo   []*item            // in order of sending; settled ones are skipped
	n      int
	bytes  int
}

func newFlight(send func(*item) error) *flight {
	return &flight{send: send, queues: map[string][]*item{}, flying: map[uint64]*item{}}
}

func (f *flight) full() bool { return f.n >= maxItems || f.bytes >= maxBytes }

// add takes it, and sends it unless an earlier item of its order is in flight.
// An item stays with the flight even if it cannot be sent.
func (f *flight) add(it *item) error {
	q := f.queues[it.order]
	f.queues[it.order] = append(q, it)
	f.n++
	f.bytes += it.size()
	if len(q) > 0 {
		return nil
	}
	return f.launch(it)
}

func (f *flight) launch(it *item) error {
	it.sent = time.Now()
	f.flying[it.seq] = it
	f.fifo = append(f.fifo, it)
	return f.send(it)
}

// settle takes note that the item with hop id seq is stored, and sends the
// next of its order. It must be in flight.
func (f *flight) settle(seq uint64) (took time.Duration, err error) {
	it := f.flying[seq]
	delete(f.flying, seq)
	f.n--
	f.bytes -= it.size()
	it.done()
	took = time.Since(it.sent)
	q := f.queues[it.order][1:]
	if len(q) == 0 {
		delete(f.queues, it.order)
		return took, nil
	}
	f.queues[it.order] = q
	return took, f.launch(q[0])
}

// overdue reports whether the oldest item in flight was sent longer than
// limit before now.
func (f *flight) overdue(now time.Time, limit time.Duration) bool {
	for len(f.fifo) > 0 && f.flying[f.fifo[0].seq] != f.fifo[0] {
		f.fifo = f.fifo[1:]
	}
	return len(f.fifo) > 0 && now.Sub(f.fifo[0].sent) > limit
}

// resend sends again what was first sent before a time and is not settled. It
// returns how many there were.
func (f *flight) resend(before time.Time) (n int, err error) {
	for _, it := range f.fifo {
		if f.flying[it.seq] != it || !it.sent.Before(before) {
			continue
		}
		n++
		if err := f.send(it); err != nil {
			return n, err
		}
	}
	return n, nil
}

// rest returns every item that is not settled, oldest first.
func (f *flight) rest() []*item {
	out := make([]*item, 0, f.n)
	for _, q := range f.queues {
		out = append(out, q...)
	}
	slices.SortFunc(out, func(a, b *item) int { return int(a.seq) - int(b.seq) })
	return out
}
