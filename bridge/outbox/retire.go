package outbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// resendAfter is how long after a change of links an answer to what was sent
// before may still come by the old way.
const resendAfter = 100 * time.Millisecond

// Retire makes every lane look whether its target is still in the topology.
// Call it when the Router has changed. What a target that is gone has not
// stored becomes dead letters; if it comes back later, its lane goes on.
func (o *Outbox) Retire() { o.lookAgain() }

// LinksChanged tells that a link went up or down. What was on its way may be
// lost, and is sent again before its answer is overdue; a target that was away
// is tried at once.
func (o *Outbox) LinksChanged() { o.lookAgain() }

func (o *Outbox) lookAgain() {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, l := range o.lanes {
		select {
		case l.look <- struct{}{}:
		default: // it will
		}
	}
}

// gone reports whether the target is no longer in the topology.
func (l *lane) gone() bool { return !l.o.cfg.Router().Knows(l.target) }

// retired returns when the target is in the topology again, or ctx ends. Until
// then what is held for it, and what still comes, becomes dead letters.
func (l *lane) retired(ctx context.Context) {
	l.o.cfg.Log.Warn("target is no longer in the topology, its events become dead letters", "peer", l.target, "n", l.held.Load())
	for wait := firstRetry; ctx.Err() == nil && l.gone(); {
		if err := l.bury(ctx); err != nil && ctx.Err() == nil {
			l.o.cfg.Log.Error("events of a removed stamp not set aside, will try again", "peer", l.target, "err", err)
			l.park(ctx, nil) // the reader goes on: it may be what the letters wait for
			sleep(ctx, wait)
			wait = min(2*wait, 5*time.Second)
			continue
		}
		s := *l.state.Load()
		s.Holding, s.Err = false, ""
		l.state.Store(&s)
		l.o.metrics.holding.DeleteLabelValues(string(l.target))
		select {
		case <-ctx.Done():
		case <-l.look:
		case <-l.acks: // too late
		case it := <-l.in:
			l.park(ctx, []*item{it})
		}
	}
}

// bury makes dead letters of what RW_HOLD has for the target.
func (l *lane) bury(ctx context.Context) error {
	if l.held.Load() == 0 {
		l.old.Store(false)
		return nil
	}
	cons, err := l.o.hold.consumer(ctx, l.target)
	if err != nil {
		return err
	}
	for {
		batch, err := cons.FetchNoWait(readAhead)
		if err != nil {
			return fmt.Errorf("read %s: %w", StreamHold, err)
		}
		n := 0
		for m := range batch.Messages() {
			if err := l.setAside(ctx, m); err != nil {
				return err
			}
			if err := m.DoubleAck(ctx); err != nil {
				return fmt.Errorf("remove from %s: %w", StreamHold, err)
			}
			n++
			l.held.Add(-1)
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("read %s: %w", StreamHold, err)
		}
		if n > 0 {
			continue
		}
		left, err := l.o.hold.count(ctx, l.target)
		switch {
		case err != nil:
			return err
		case left > 0: // whoever led the consumer is gone
			return fmt.Errorf("read %s: %d events of %s do not come", StreamHold, left, l.target)
		default:
			l.held.Store(0)
			l.old.Store(false)
			return nil
		}
	}
}

// setAside makes a dead letter of one event that was held. Whoever follows its
// task is told: the target may be in the topology again before anybody else has
// seen that it was not, and would be waited for.
func (l *lane) setAside(ctx context.Context, m jetstream.Msg) error {
	letter := heldLetter(l, m)
	if err := l.o.cfg.DeadLetters.Put(ctx, letter); err != nil {
		return err
	}
	e, err := bridge.Parse(letter.Subject, letter.Body)
	if err != nil || e.Kind != bridge.KindTaskTriggered {
		return nil //nolint:nilerr // an event of a custom route is no task
	}
	attempt, _ := strconv.Atoi(m.Headers().Get(bridge.HeaderAttempt)) // 0 if it is no offer
	return l.o.cfg.Tasks.Unreached(ctx, e.ID, l.target, attempt)
}

func heldLetter(l *lane, m jetstream.Msg) bridge.Letter {
	h := m.Headers()
	// What cannot be read stays empty: a letter is kept as far as it goes.
	at, _ := time.Parse(time.RFC3339Nano, h.Get(bridge.HeaderCaptured))
	return bridge.Letter{
		Side: bridge.SideOut, Reason: bridge.ReasonUnknown, To: l.target, From: l.o.cfg.Me,
		Detail:  []string{fmt.Sprintf("stamp %s was removed from the topology before it had stored the event", l.target)},
		Subject: h.Get(bridge.HeaderSubject), Key: strings.TrimPrefix(m.Subject(), holdPrefix+string(l.target)+"."),
		Captured: at, Body: m.Data(),
	}
}
