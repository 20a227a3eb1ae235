package outbox

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
)

// Bounds of a flight. A lane takes no more events while one of them is
// reached.
const (
	maxItems = 8192
	maxBytes = 32 << 20
)

// A parcel is what travels in one message and has one answer: an item, or a pack
// of several.
type parcel struct {
	items []*item
	bytes int       // of the pack, at most
	n     uint64    // its number, that its answer carries; set when it is first sent
	msg   *nats.Msg // set when it is first sent; never changed
	sent  time.Time // when that was
}

// packed is set in the number of every pack, and of no item.
const packed = 1 << 63

// number tells parcels apart: that of an item is its own, and that of a pack a
// digest of those of its items. An answer may come late, to another flight or
// another process, and must not count for a parcel that holds more than the one
// it was given for.
func (p *parcel) number() uint64 {
	if len(p.items) == 1 {
		return p.items[0].seq
	}
	h := fnv.New64a()
	var b [8]byte
	for _, it := range p.items {
		binary.BigEndian.PutUint64(b[:], it.seq)
		_, _ = h.Write(b[:]) // never fails
	}
	return h.Sum64() | packed
}

// packOverhead is what a pack has beside its items, in bytes.
const packOverhead = 16

// A flight is the items of one lane that are sent or about to be. It is not
// safe for concurrent use. What add and settle put into a parcel is sent by
// flush, or when the parcel is full.
type flight struct {
	send    func(*parcel) error
	most    int                // how many items a parcel may have
	tails   map[string]*item   // the last item of each order
	flying  map[uint64]*parcel // by their numbers
	fifo    []*parcel          // in order of sending; settled ones are skipped
	loading *parcel            // not sent yet; nil: none
	flushed time.Time          // when a parcel was last sent
	added   uint64             // how many items were
	n       int
	bytes   int
}

func newFlight(most int, send func(*parcel) error) *flight {
	return &flight{send: send, most: most, tails: map[string]*item{}, flying: map[uint64]*parcel{}}
}

func (f *flight) full() bool { return f.n >= maxItems || f.bytes >= maxBytes }

// add takes it, and loads it unless an earlier item of its order is in another
// parcel. An item stays with the flight even if it cannot be sent.
func (f *flight) add(it *item) error {
	before := f.tails[it.order]
	f.tails[it.order] = it
	f.added++
	it.nth = f.added
	f.n++
	f.bytes += it.size()
	if before != nil {
		before.next = it
		if before.parcel == nil || before.parcel != f.loading || !f.fits(it) {
			return nil
		}
	}
	return f.load(it)
}

// fits reports whether it can join what is being loaded.
func (f *flight) fits(it *item) bool {
	p := f.loading
	return p != nil && it.Packable() && len(p.items) < f.most && p.bytes+it.Packed() <= bridge.MaxPackBytes
}

// load puts it into a parcel.
func (f *flight) load(it *item) error {
	var err error
	if !f.fits(it) {
		err = f.flush()
		f.loading = &parcel{bytes: packOverhead}
	}
	it.parcel = f.loading
	f.loading.items = append(f.loading.items, it)
	f.loading.bytes += it.Packed()
	if !it.Packable() || f.most <= 1 || len(f.loading.items) == f.most {
		if failed := f.flush(); err == nil {
			err = failed
		}
	}
	return err
}

// flush sends what is loaded.
func (f *flight) flush() error {
	p := f.loading
	if p == nil {
		return nil
	}
	f.loading = nil
	f.flushed = time.Now()
	p.sent, p.n = f.flushed, p.number()
	f.flying[p.n] = p
	f.fifo = append(f.fifo, p)
	return f.send(p)
}

// packWait is how fast parcels that are not full follow each other: what has come waits
// for so long, at most, for what is to follow. An event that comes by itself does not
// wait.
const packWait = time.Millisecond

// wait returns for how long what is being loaded can wait for others. more reports that
// they follow at once, which from a stream is within microseconds.
func (f *flight) wait(more bool) time.Duration {
	if more {
		return packWait
	}
	return packWait - time.Since(f.flushed)
}

// settle takes note that the parcel with number n is stored, and loads the
// next of its orders. It must be in flight.
func (f *flight) settle(n uint64) (p *parcel, err error) {
	p = f.flying[n]
	delete(f.flying, n)
	for _, it := range p.items {
		f.n--
		f.bytes -= it.size()
		it.done()
		switch next := it.next; {
		case next == nil:
			delete(f.tails, it.order)
		case next.parcel == nil:
			if failed := f.loadAll(next); err == nil {
				err = failed
			}
		}
	}
	return p, err
}

// loadAll loads the first of its order, and what follows it as far as it fits
// into the same parcel.
func (f *flight) loadAll(it *item) error {
	err := f.load(it)
	for p := it.parcel; err == nil && it.next != nil && p == f.loading && f.fits(it.next); it = it.next {
		err = f.load(it.next)
	}
	return err
}

// overdue reports whether the oldest parcel in flight was sent longer than
// limit before now.
func (f *flight) overdue(now time.Time, limit time.Duration) bool {
	for len(f.fifo) > 0 && f.flying[f.fifo[0].n] != f.fifo[0] {
		f.fifo = f.fifo[1:]
	}
	return len(f.fifo) > 0 && now.Sub(f.fifo[0].sent) > limit
}

// resend sends again what was first sent before a time and is not settled. It
// returns how many parcels there were.
func (f *flight) resend(before time.Time) (n int, err error) {
	for _, p := range f.fifo {
		if f.flying[p.n] != p || !p.sent.Before(before) {
			continue
		}
		n++
		if err := f.send(p); err != nil {
			return n, err
		}
	}
	return n, nil
}

// rest returns every item that is not settled, as they were added. The flight is not
// used any more after that.
func (f *flight) rest() []*item {
	out := make([]*item, 0, f.n)
	take := func(p *parcel) {
		for _, it := range p.items {
			out = append(out, it)
			for next := it.next; next != nil && next.parcel == nil; next = next.next {
				out = append(out, next)
			}
		}
	}
	for _, p := range f.flying {
		take(p)
	}
	if f.loading != nil {
		take(f.loading)
	}
	for _, it := range out {
		it.next, it.parcel = nil, nil
	}
	slices.SortFunc(out, func(a, b *item) int { return cmp.Compare(a.nth, b.nth) })
	return out
}
