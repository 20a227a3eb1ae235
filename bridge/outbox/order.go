package outbox

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// An Order says when an event that was captured may go on, where another store
// knows better in which order events were published: an external NATS keeps what
// its clients publish while nothing of it reaches us, and what they publish as
// soon as we are back is captured before that is taken over.
type Order interface {
	// Heard takes note of an event that is in RW_OUT and belongs behind what was
	// captured before at.
	Heard(key bridge.Key, at time.Time)
	// May reports whether what was published before it has gone on.
	May(key bridge.Key, at time.Time) bool
	// Changed receives when May may say something else. May changes with the
	// time alone, too.
	Changed() <-chan struct{}
}

// lookAgain is how often May is asked while nothing changes.
const lookAgain = 100 * time.Millisecond

// A stage keeps what was read from RW_OUT until the Order lets it go on. What
// was taken over from the other store passes what was captured since.
type stage struct {
	r     *reader
	order Order
	in    chan staged
	wait  []staged // in the order of RW_OUT
}

// A staged is an event, or something to do when those before it have gone on.
type staged struct {
	m     jetstream.Msg
	ev    captured
	key   bridge.Key // of order; of what is no event as well
	taken bool
	since time.Time // taken: it belongs behind what was captured up to then
	then  func()
}

func (r *reader) newStage(ctx context.Context, order Order) *stage {
	s := &stage{r: r, order: order, in: make(chan staged)}
	r.o.wg.Go(func() { s.run(ctx) })
	return s
}

// put hands an event over.
func (s *stage) put(ctx context.Context, m jetstream.Msg, ev captured) {
	it := staged{m: m, ev: ev, key: ev.key}
	if it.key == "" {
		it.key = bridge.KeyOf(string(m.Data()), "", ev.subject)
	}
	if at, err := strconv.ParseInt(m.Headers().Get(bridge.HeaderTaken), 10, 64); err == nil {
		it.taken, it.since = true, time.Unix(0, at)
	}
	s.give(ctx, it)
	switch {
	case it.taken:
		s.order.Heard(it.key, it.since)
	case ev.keptn():
		s.order.Heard(it.key, ev.at)
	}
}

// after calls then when everything put before it has gone on.
func (s *stage) after(ctx context.Context, then func()) { s.give(ctx, staged{then: then}) }

func (s *stage) give(ctx context.Context, it staged) {
	select {
	case s.in <- it:
	case <-ctx.Done(): // it is still in RW_OUT
	}
}

func (s *stage) run(ctx context.Context) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-s.in:
			s.take(ctx, it)
		case <-s.order.Changed():
		case <-tick.C:
		}
		s.release(ctx, s.may)
	}
}

// take puts an event behind those that wait, or, if it was taken over, where it
// belongs.
func (s *stage) take(ctx context.Context, it staged) {
	switch {
	case it.taken:
		s.release(ctx, func(before staged) bool { return before.then != nil || !before.ev.at.After(it.since) })
		s.r.settleOrRetry(ctx, it.m, it.ev)
	case it.then == nil && !it.ev.keptn(): // keeps its order by itself
		s.r.settleOrRetry(ctx, it.m, it.ev)
	default:
		s.wait = append(s.wait, it)
	}
}

func (s *stage) may(it staged) bool { return it.then != nil || s.order.May(it.key, it.ev.at) }

// release lets go on what may, up to the first that may not.
func (s *stage) release(ctx context.Context, may func(staged) bool) {
	for len(s.wait) > 0 && ctx.Err() == nil && may(s.wait[0]) {
		it := s.wait[0]
		if s.wait = s.wait[1:]; len(s.wait) == 0 {
			s.wait = nil
		}
		if it.then != nil {
			it.then()
			continue
		}
		s.r.settleOrRetry(ctx, it.m, it.ev)
	}
}
