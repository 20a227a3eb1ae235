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
		left, fresh, err := l.o.hold.put(ctx, l.target, items, l.noteHeld)
		l.held.Add(int64(fresh))
		l.o.metrics.held.WithLabelValues(string(l.target)).Add(float64(fresh))
		items = left
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
	batch   jetstream.MessageBatch // being read from RW_HOLD; nil: none
	got     int                    // of batch so far
	carry   []*item                // read from RW_HOLD, not in flight
	dry     int                    // reads in a row that found nothing
	probing bool                   // the target failed; try one event only
	next    time.Time              // do not try before
	wait    time.Duration

	before time.Time // what was sent before then may be lost; zero: nothing
	again  time.Time // when it is sent again
	pause  time.Duration
}

// drain returns when RW_HOLD has nothing more for the target, or ctx ends.
func (l *lane) drain(ctx context.Context) {
	d := &drainer{l: l, f: newFlight(l.most(), l.send), probing: true, wait: firstRetry, pause: lastRetry}
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
			d.looked(time.Now())
		case it := <-l.in:
			l.park(ctx, []*item{it})
		case a := <-l.acks:
			var stored bool
			if stored, err = l.settle(d.f, a); stored && err == nil {
				d.probing, d.wait = false, firstRetry
			}
		case m, ok := <-d.incoming():
			err = d.take(m, ok)
		case now := <-tick.C:
			if err = d.repeat(now); err == nil && d.f.overdue(now, l.o.cfg.AckTimeout) {
				err = errNoAnswer
			}
		}
		if err == nil {
			err = d.f.flush()
		}
		if err != nil {
			d.fail(err)
		}
	}
}

// looked takes note that links have changed.
func (d *drainer) looked(now time.Time) {
	d.next, d.wait = now, firstRetry
	d.before, d.again, d.pause = now, now.Add(resendAfter), resendAfter
	if d.probing {
		d.again, d.pause = now, firstRetry // it is one event
	}
}

// maxRepeat bounds, in bytes, what is tried again and again before its answer is
// overdue although no link has changed: more may fill a thin line.
const maxRepeat = 32 << 10

// repeat sends again what may have been lost, or its answer. What is tried while
// the target is away is lost as a rule: it would be waited for until it is
// overdue, though the target be back meanwhile.
func (d *drainer) repeat(now time.Time) error {
	if now.Before(d.again) {
		return nil
	}
	before := d.before
	if d.pause *= 2; d.probing && d.f.bytes <= maxRepeat {
		before, d.pause = now.Add(-firstRetry), min(d.pause, lastRetry)
	}
	d.again = now.Add(d.pause)
	_, err := d.f.resend(before)
	return err
}

// fail takes back what is in flight and sets the time of the next try.
func (d *drainer) fail(err error) {
	d.carry = append(d.f.rest(), d.carry...)
	d.f = newFlight(d.l.most(), d.l.send)
	d.probing = true
	d.next = time.Now().Add(d.wait/2 + rand.N(d.wait/2+1)) //nolint:gosec // jitter
	d.wait = min(2*d.wait, lastRetry)
	d.again, d.pause = d.next.Add(lastRetry), lastRetry
	s := *d.l.state.Load()
	s.Err = err.Error()
	d.l.state.Store(&s)
}

// fill puts more items in flight, if it is time. empty means that there are
// none, neither held nor in flight.
func (d *drainer) fill(ctx context.Context) (empty bool, err error) {
	limit := drainItems
	if d.probing {
		limit = 1
	}
	if d.f.n >= limit || d.probing && time.Now().Before(d.next) {
		return false, nil
	}
	if len(d.carry) < readAhead && d.batch == nil && (d.dry == 0 || d.f.n == 0) {
		if d.dry > 1 && len(d.carry) == 0 {
			return d.finished(ctx)
		}
		if err := d.read(ctx); err != nil {
			return false, err
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
	return false, d.f.flush()
}

const (
	// drainItems is how many items of RW_HOLD are in flight.
	drainItems = 2048
	// readAhead is how many may be left when more are read: the next are there
	// before those are sent.
	readAhead = drainItems / 2
)

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
	d.cons, d.dry = nil, 0
	d.l.held.Store(int64(left)) //nolint:gosec // a count of messages
	d.probing, d.next = true, time.Now().Add(firstRetry)
	return false, nil
}

// read begins to read more of RW_HOLD.
func (d *drainer) read(ctx context.Context) (err error) {
	if d.cons == nil {
		if d.cons, err = d.l.o.hold.consumer(ctx, d.l.target); err != nil {
			return err
		}
		d.seen = 0
	}
	d.got = 0
	if d.batch, err = d.cons.FetchNoWait(readAhead); err != nil {
		d.batch = nil
		return fmt.Errorf("read %s: %w", StreamHold, err)
	}
	return nil
}

// incoming is where what is read comes; nil while nothing is.
func (d *drainer) incoming() <-chan jetstream.Msg {
	if d.batch == nil {
		return nil
	}
	return d.batch.Messages()
}

// take takes one message, or the end of what is read.
func (d *drainer) take(m jetstream.Msg, ok bool) error {
	if !ok {
		err := d.batch.Error()
		d.batch = nil
		d.dry++
		if d.got > 0 {
			d.dry = 0
		}
		return err
	}
	d.got++
	if _, err := d.seen.next(m); err != nil {
		// Everything that is not settled comes again, in order.
		d.cons, d.batch, d.carry, d.f = nil, nil, nil, newFlight(d.l.most(), d.l.send)
		return fmt.Errorf("read %s: %w", StreamHold, err)
	}
	it, err := heldItem(d.l.target, m, func() {
		d.l.held.Add(-1)
		_ = m.Ack() // if it is lost, the event is sent again and refused
	})
	if err != nil {
		d.l.o.cfg.Log.Error("held event unreadable, dropped", "peer", d.l.target, "err", err)
		return m.Term()
	}
	d.carry = append(d.carry, it)
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
