package outbox

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/crash"
	"github.com/ringway/ringway/topology"
)

// errNoAnswer reports a target that did not store an event in time.
var errNoAnswer = errors.New("no answer in time")

// A lane carries the events of one target. It is either direct, and sends what
// comes, or holding, and stores what comes behind what the target has not got
// yet.
type lane struct {
	o       *Outbox
	target  topology.StampID
	in      chan *item    // from the reader of RW_OUT
	acks    chan ack      // from the target
	look    chan struct{} // one place: topology or links may have changed
	state   atomic.Pointer[LaneState]
	held    atomic.Int64 // in RW_HOLD
	old     atomic.Bool  // some of that may be from before the start
	lastAck atomic.Int64 // when the target last stored an event, in Unix nanoseconds

	// The counters of this target: finding one by its label costs more than
	// counting.
	forwarded, acked prometheus.Counter
	ackSeconds       prometheus.Observer

	// owned by run
	lastErr string
	alone   time.Time // until then the target gets no packs
}

// A LaneState is what a lane was doing when last looked at.
type LaneState struct {
	Target  topology.StampID
	Holding bool      // the target did not answer; events are held
	Held    int64     // events in RW_HOLD for the target
	Since   time.Time // of the last change of Holding
	LastAck time.Time // when the target last stored an event; zero if never
	Err     string    // why the lane holds
}

func newLane(o *Outbox, target topology.StampID, held uint64) *lane {
	l := &lane{o: o, target: target, in: make(chan *item, 256), acks: make(chan ack, 4096), look: make(chan struct{}, 1)}
	to := string(target)
	l.forwarded, l.acked = o.metrics.forwarded.WithLabelValues(to), o.metrics.acked.WithLabelValues(to)
	l.ackSeconds = o.metrics.ackSeconds.WithLabelValues(to)
	l.held.Store(int64(held)) //nolint:gosec // a count of messages
	l.old.Store(held > 0)
	l.state.Store(&LaneState{Target: target, Holding: held > 0, Since: time.Now()})
	return l
}

// Lanes returns the state of every lane, in no order.
func (o *Outbox) Lanes() []LaneState {
	o.mu.RLock()
	defer o.mu.RUnlock()
	out := make([]LaneState, 0, len(o.lanes))
	for _, l := range o.lanes {
		s := *l.state.Load()
		s.Held = l.held.Load()
		if s.Held == 0 && l.gone() {
			continue
		}
		if at := l.lastAck.Load(); at > 0 {
			s.LastAck = time.Unix(0, at)
		}
		out = append(out, s)
	}
	return out
}

func (l *lane) run(ctx context.Context) {
	holding := l.held.Load() > 0
	for ctx.Err() == nil {
		if l.gone() {
			l.retired(ctx)
			holding = l.held.Load() > 0
			continue
		}
		l.enter(holding)
		if holding {
			l.drain(ctx)
			holding = false
			continue
		}
		rest := l.direct(ctx)
		l.park(ctx, rest)
		holding = true
	}
}

// enter takes note of the lane's state for others.
func (l *lane) enter(holding bool) {
	s := *l.state.Load()
	if s.Holding != holding {
		s.Holding, s.Since = holding, time.Now()
	}
	s.Err = ""
	if holding {
		s.Err = l.lastErr
		l.o.cfg.Log.Warn("target away, holding its events", "peer", l.target, "err", l.lastErr)
	}
	l.state.Store(&s)
	l.o.metrics.holding.WithLabelValues(string(l.target)).Set(boolGauge(holding))
}

// direct sends what comes until the target fails to answer or ctx ends, and
// returns what is not settled by then.
func (l *lane) direct(ctx context.Context) []*item {
	f := newFlight(l.most(), l.send)
	tick := time.NewTicker(l.o.cfg.AckTimeout / 4)
	defer tick.Stop()
	late := time.NewTimer(packWait) // nothing may follow after all
	defer late.Stop()
	var timed *parcel          // that late is for
	var again <-chan time.Time // what was sent before then is sent again
	var before time.Time
	var pause time.Duration
	for {
		in := l.in
		if f.full() {
			in = nil
		}
		var err error
		more := false
		select {
		case <-ctx.Done():
			return nil // still in RW_OUT
		case <-l.look:
			if l.gone() {
				return f.rest()
			}
			before, pause = time.Now(), resendAfter
			again = time.After(pause)
		case <-again:
			again = nil
			var n int
			if n, err = f.resend(before); n > 0 {
				pause *= 2 // whoever is at the other end may need a moment, too
				again = time.After(pause)
			}
		case it := <-in:
			more, err = l.add(f, it)
		case a := <-l.acks:
			_, err = l.settle(f, a)
		case <-late.C:
			err = f.flush()
		case now := <-tick.C:
			f.most = l.most()
			if f.overdue(now, l.o.cfg.AckTimeout) {
				err = errNoAnswer
			}
		}
		if err == nil && f.loading != nil {
			switch wait := f.wait(more); {
			case wait <= 0:
				err = f.flush()
			case f.loading != timed:
				timed = f.loading
				late.Reset(wait)
			}
		}
		if err != nil {
			l.lastErr = err.Error()
			return f.rest()
		}
	}
}

// add adds it, and what has come behind it. more reports that others follow at
// once.
func (l *lane) add(f *flight, it *item) (more bool, err error) {
	for {
		if err := f.add(it); err != nil || f.full() {
			return false, err
		}
		select {
		case next := <-l.in:
			it = next
		default:
			return it.more, nil
		}
	}
}

// most returns how many events the target takes in one message.
func (l *lane) most() int {
	if l.o.cfg.Packs == nil || time.Now().Before(l.alone) || !l.o.cfg.Packs(l.target) {
		return 1
	}
	return bridge.MaxPack
}

// settle carries the target's answer to the flight. stored is false if the
// answer is about what was settled or parked since.
func (l *lane) settle(f *flight, a ack) (stored bool, err error) {
	p := f.flying[a.n]
	if p == nil {
		return false, nil
	}
	if a.err != nil {
		if len(p.items) > 1 && !errors.Is(a.err, nats.ErrNoResponders) {
			l.alone = time.Now().Add(aloneFor) // the stream may take what is in it one by one
		}
		return false, a.err
	}
	p, err = f.settle(a.n)
	now := time.Now()
	for _, it := range p.items {
		l.noteStored(it, now)
	}
	l.acked.Add(float64(len(p.items)))
	l.ackSeconds.Observe(now.Sub(p.sent).Seconds())
	l.lastAck.Store(now.UnixNano())
	return true, err
}

// aloneFor is how long a target that refused a pack gets each event by itself.
const aloneFor = time.Minute

func (l *lane) send(p *parcel) error {
	if p.msg == nil {
		p.msg = p.message(l.o.cfg.Me, l.target)
	}
	l.forwarded.Add(float64(len(p.items)))
	defer crash.At(crash.OutboxSent)
	return l.o.cfg.Fed.PublishMsg(p.msg)
}

func boolGauge(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
