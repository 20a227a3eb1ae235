package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How long a lane waits before it tries an absent target again. One event is
// tried, so the upper bound is also the longest wait after the target is back.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
)

// park stores items and whatever else waits for the lane, in order, and does
// not give up before ctx ends.
func (l *lane) park(ctx context.Context, items []*item) {
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		items = l.arrivals(items)
		if len(items) == 0 {
			return
		}
		n, fresh, err := l.o.hold.put(ctx, l.target, items)
		l.held.Add(int64(fresh))
		l.o.metrics.held.WithLabelValues(string(l.target)).Add(float64(fresh))
		items = items[n:]
		if err == nil {
			continue // until nothing has come meanwhile
		}
		if ctx.Err() == nil {
			l.o.cfg.Log.Error("events not held, will try again", "peer", l.target, "n", len(items), "err", err)
		}
		sleep(ctx, wait)
	}
}

// arrivals appends what is in the lane's channel, up to a bound.
func (l *lane) arrivals(items []*item) []*item {
	for len(items) < maxItems {
		select {
		case it := <-l.in:
			items = append(items, it)
		default:
			return items
		}
	}
	return items
}

// A drainer sends what RW_HOLD has for a lane's target, in order, and parks
// what comes meanwhile behind it.
type drainer struct {
	l       *lane
	cons    jetstream.Consumer
	seen    deliveries // of cons
	f       *flight
	carry   []*item   // read from RW_HOLD, not in flight
	dry     bool      // the last read found nothing; read again when f is empty
	probing bool      // the target failed; try one event only
	next    time.Time // do not try before
	wait    time.Duration
}

// drain returns when RW_HOLD has nothing more for the target, or ctx ends.
func (l *lane) drain(ctx context.Context) {
	d := &drainer{l: l, f: newFlight(l.send), probing: true, wait: firstRetry}
	d.next = time.Now().Add(d.wait)
	tick := time.NewTicker(firstRetry / 2)
	defer tick.Stop()
	for {
		empty, err := d.fill(ctx)
		if err != nil {
			d.fail(err)
		}
		if empty {
			return
		}
		err = nil
		select {
		case <-ctx.Done():
			return
		case <-l.look:
			if l.gone() {
				return
			}
			d.next, d.wait = time.Now(), firstRetry
		case it := <-l.in:
			l.park(ctx, []*item{it})
		case a := <-l.acks:
			var stored bool
			if stored, err = l.settle(d.f, a); stored && err == nil {
				d.probing, d.wait = false, firstRetry
			}
		case now := <-tick.C:
			if d.f.overdue(now, l.o.cfg.AckTimeout) {
				err = errNoAnswer
			}
		}
		if err != nil {
			d.fail(err)
		}
	}
}

// fail takes back what is in flight and sets the time of the next try.
func (d *drainer) fail(err error) {
	d.carry = append(d.f.rest(), d.carry...)
	d.f = newFlight(d.l.send)
	d.probing = true
	d.next = time.Now().Add(d.wait/2 + rand.N(d.wait/2+1)) //nolint:gosec // jitter
	d.wait = min(2*d.wait, lastRetry)
	s := *d.l.state.Load()
	s.Err = err.Error()
	d.l.state.Store(&s)
}

// fill puts more items in flight, if it is time. empty means that there are
// none, neither held nor in flight.
func (d *drainer) fill(ctx context.Context) (empty bool, err error) {
	limit := maxItems / 2
	if d.probing {
		limit = 1
	}
	if d.f.n >= limit || d.probing && time.Now().Before(d.next) {
		return false, nil
	}
	if len(d.carry) == 0 {
		if d.dry && d.f.n > 0 {
			return false, nil
		}
		if d.dry, err = d.fetch(ctx); d.dry || err != nil {
			if err != nil || d.f.n > 0 {
				return false, err
			}
			return d.finished(ctx)
		}
	}
	n := min(limit-d.f.n, len(d.carry))
	batch := slices.Clone(d.carry[:n])
	d.carry = d.carry[n:]
	for i, it := range batch {
		if err := d.f.add(it); err != nil {
			d.carry = append(batch[i+1:], d.carry...)
			return false, err
		}
	}
	return false, nil
}

// finished reports whether RW_HOLD has nothing for the target any more. What was
// read and is still there lost its acknowledgement, as when the stream has
// another leader. It is read again: left behind, it would be sent again at the
// next absence, when the target may have forgotten that it has it.
func (d *drainer) finished(ctx context.Context) (bool, error) {
	left, err := d.l.o.hold.count(ctx, d.l.target)
	if err != nil {
		return false, err
	}
	if left == 0 {
		d.l.held.Store(0)
		d.l.old.Store(false)
		return true, nil
	}
	d.cons, d.dry = nil, false
	d.l.held.Store(int64(left)) //nolint:gosec // a count of messages
	d.probing, d.next = true, time.Now().Add(firstRetry)
	return false, nil
}

// fetch reads more of RW_HOLD. none means that there is nothing to read.
func (d *drainer) fetch(ctx context.Context) (none bool, err error) {
	if d.cons == nil {
		if d.cons, err = d.l.o.hold.consumer(ctx, d.l.target); err != nil {
			return false, err
		}
		d.seen = 0
	}
	batch, err := d.cons.FetchNoWait(maxItems / 4)
	if err != nil {
		return false, err
	}
	for m := range batch.Messages() {
		if err := d.seen.next(m); err != nil {
			// Everything that is not settled comes again, in order.
			d.cons, d.carry, d.f = nil, nil, newFlight(d.l.send)
			return false, fmt.Errorf("read %s: %w", StreamHold, err)
		}
		it, err := heldItem(d.l.o.cfg.Me, d.l.target, m, func() {
			d.l.held.Add(-1)
			_ = m.Ack() // if it is lost, the event is sent again and refused
		})
		if err != nil {
			d.l.o.cfg.Log.Error("held event unreadable, dropped", "peer", d.l.target, "err", err)
			_ = m.Term()
			continue
		}
		d.carry = append(d.carry, it)
	}
	if err := batch.Error(); err != nil {
		return false, err
	}
	return len(d.carry) == 0, nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
