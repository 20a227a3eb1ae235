package outbox

import (
	"context"
	"slices"
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
	// Passed returns of which events May has become true since it was last called
	// because they were met in the other store, in its order.
	Passed() []bridge.Key
	// Changed receives when May may say something else. May changes with the
	// time alone, too.
	Changed() <-chan struct{}
}

// lookAgain is how often May is asked while nothing changes.
const lookAgain = 100 * time.Millisecond

// A stage keeps what was read from RW_OUT until the Order lets it go on. What
// was taken over from the other store passes what was captured since; so does
// what a replica heard and another one did not, which is stored late.
type stage struct {
	r     *reader
	order Order
	in    chan *staged
	wait  []*staged                // in the order of RW_OUT
	byKey map[bridge.Key][]*staged // the events of wait
	ready []*staged                // those that were passed, in the order of that
}

// A staged is an event, or something to do when those before it have gone on.
type staged struct {
	m     jetstream.Msg
	ev    *captured
	key   bridge.Key // of order; of what is no event as well
	taken bool
	since time.Time // taken: it belongs behind what was captured up to then
	then  func()

	passed bool // it is in ready
	gone   bool // it has gone on
}

func (r *reader) newStage(ctx context.Context, order Order) *stage {
	s := &stage{r: r, order: order, in: make(chan *staged), byKey: map[bridge.Key][]*staged{}}
	r.o.wg.Go(func() { s.run(ctx) })
	return s
}

// put hands an event over.
func (s *stage) put(ctx context.Context, m jetstream.Msg, ev *captured) {
	it := &staged{m: m, ev: ev, key: ev.key}
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
func (s *stage) after(ctx context.Context, then func()) { s.give(ctx, &staged{then: then}) }

func (s *stage) give(ctx context.Context, it *staged) {
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
			s.take(ctx, it) // before pass: what is heard of is known here
		case <-s.order.Changed():
		case <-tick.C:
		}
		s.pass()
		s.release(ctx, s.may)
	}
}

// pass takes note of what the other store had next.
func (s *stage) pass() {
	for _, key := range s.order.Passed() {
		for _, it := range s.byKey[key] {
			s.next(it)
		}
	}
}

func (s *stage) next(it *staged) {
	if !it.passed {
		it.passed = true
		s.ready = append(s.ready, it)
	}
}

// take puts an event behind those that wait, or, if it was taken over, where it
// belongs.
func (s *stage) take(ctx context.Context, it *staged) {
	switch {
	case it.taken:
		s.pass()
		s.release(ctx, func(before *staged) bool { return before.then != nil || !before.ev.at.After(it.since) })
		s.r.settleOrRetry(ctx, it.m, it.ev)
	case it.then == nil && !it.ev.keptn(): // keeps its order by itself
		s.r.settleOrRetry(ctx, it.m, it.ev)
	default:
		s.wait = append(s.wait, it)
		if it.then == nil {
			s.byKey[it.key] = append(s.byKey[it.key], it)
		}
	}
}

func (s *stage) may(it *staged) bool {
	return it.then != nil || it.passed || s.order.May(it.key, it.ev.at)
}

// release lets go on what may, up to the first that may not; what was passed
// goes in the order of that.
func (s *stage) release(ctx context.Context, may func(*staged) bool) {
	for len(s.wait) > 0 && ctx.Err() == nil {
		it := s.wait[0]
		if !it.gone && !may(it) {
			return
		}
		for it.passed && !it.gone && ctx.Err() == nil {
			first := s.ready[0]
			if s.ready = s.ready[1:]; !first.gone {
				s.goOn(ctx, first)
			}
		}
		if ctx.Err() != nil {
			return // what is left is still in RW_OUT, and what belongs before it may be
		}
		if !it.gone {
			s.goOn(ctx, it)
		}
		s.wait = s.wait[1:]
	}
	if len(s.wait) == 0 {
		s.wait, s.ready = nil, nil // lets go of their memory
	}
}

// goOn lets an event go on.
func (s *stage) goOn(ctx context.Context, it *staged) {
	it.gone = true
	if it.then != nil {
		it.then()
		return
	}
	if s.byKey[it.key] = slices.DeleteFunc(s.byKey[it.key], func(o *staged) bool { return o == it }); len(s.byKey[it.key]) == 0 {
		delete(s.byKey, it.key)
	}
	s.r.settleOrRetry(ctx, it.m, it.ev)
}
