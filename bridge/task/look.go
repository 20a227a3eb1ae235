package task

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// rewrite is how long after an answer was written in a stamp's name it is
// written again, if it has not come back through RW_IN.
const rewrite = 5 * time.Second

// removed has every task looked at that a stamp has which is no longer in the
// topology, after each change of it and at a start. A stamp may come back before
// that; if the event for it is a dead letter by then, Unreached was told. The caller holds mu.
func (ts *Tasks) removed(now time.Time) {
	router := ts.cfg.Router()
	if router == ts.router {
		return
	}
	ts.router = router
	for _, id := range ts.asleep.of(time.Time{}, func(s topology.StampID) bool { return !router.Knows(s) }) {
		ts.awake(id)
	}
	for id, t := range ts.open {
		for _, s := range t.Seats {
			if !s.State.settled() && (s.missed() || !router.Knows(s.Stamp)) {
				ts.watch(id, now)
			}
		}
	}
}

// left moves a task on that waits for a stamp which is no longer in the topology.
func (ts *Tasks) left(ctx context.Context, t *Task, now time.Time) error {
	ts.mu.Lock()
	orders, changed := t.Left(ts.cfg.Router().Knows)
	ts.mu.Unlock()
	if changed {
		if err := ts.save(ctx, []*Task{t}); err != nil {
			return err
		}
		ts.freeHeld(t, now)
	}
	return ts.fulfil(ctx, t, orders, now)
}

// look does what time asks for: answers that waited, deadlines, the next offer.
func (ts *Tasks) look(ctx context.Context, now time.Time) {
	ts.mu.Lock()
	ts.removed(now)
	due := make([]*Task, 0, 8)
	for id, at := range ts.watched {
		if t := ts.open[id]; t != nil && !now.Before(at) {
			due = append(due, t)
		}
	}
	ts.mu.Unlock()
	for _, t := range due {
		sure, err := ts.find(ctx, t.ID)
		if err == nil && sure != t {
			continue // another, or over: it is looked at next time
		}
		if err == nil {
			err = ts.lookAt(ctx, t, now)
		}
		if err != nil && ctx.Err() == nil {
			ts.cfg.Log.Warn("task not moved on, will try again", "task", t.ID, "err", err)
		}
	}
}

func (ts *Tasks) lookAt(ctx context.Context, t *Task, now time.Time) error {
	ts.freeHeld(t, now)
	if err := ts.left(ctx, t, now); err != nil {
		return err
	}
	ts.mu.Lock()
	half := t.Half()
	ts.mu.Unlock()
	if len(half) > 0 {
		return ts.fulfil(ctx, t, half, now) // it is watched as before
	}
	if t.Turn != nil {
		return ts.turn(ctx, t, now)
	}
	ts.mu.Lock()
	orders, changed := t.Due(now)
	ts.watch(t.ID, ts.next(t, now))
	ts.mu.Unlock()
	if changed {
		if err := ts.save(ctx, []*Task{t}); err != nil {
			return err
		}
		ts.freeHeld(t, now)
	}
	return ts.fulfil(ctx, t, orders, now)
}

// next says when to look at a task again: soon while answers wait for it, else
// once in a while. The caller holds mu.
func (ts *Tasks) next(t *Task, now time.Time) time.Time {
	switch {
	case len(t.held) > 0:
		return now
	case t.Deadline > 0:
		return now.Add(min(t.Deadline/20, time.Second))
	}
	delete(ts.watched, t.ID)
	return now.Add(time.Hour)
}

// freeHeld releases the answers that waited for the barrier, if it is open.
func (ts *Tasks) freeHeld(t *Task, now time.Time) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if len(t.held) == 0 || !t.Open(now) {
		return
	}
	seqs := slices.Sorted(maps.Keys(t.held))
	t.held = nil
	ts.release(seqs...)
	ts.nHeld -= len(seqs)
	ts.metrics.held.Set(float64(ts.nHeld))
}

// turn moves a task on for which one of several stamps is looked for.
func (ts *Tasks) turn(ctx context.Context, t *Task, now time.Time) error {
	ts.mu.Lock()
	was := *t.Turn
	order, dead := t.Expire(now, ts.cfg.MaxWait)
	var to topology.StampID
	offered := false
	if order == nil {
		to, offered = t.Offer(now, func(s topology.StampID) bool { return ts.cfg.Away(s) || ts.cfg.Frozen(s) })
	}
	attempt := t.Turn.Attempt
	late, overdue := t.Overdue(now)
	ts.watch(t.ID, now)
	if t.Turn.Over {
		delete(ts.watched, t.ID)
	}
	ts.mu.Unlock()
	switch {
	case dead:
		err := ts.bury(ctx, t)
		if err != nil { // not over before that is done
			ts.mu.Lock()
			t.Turn.Over, t.Turn.Stamp = false, was.Stamp
			ts.watch(t.ID, now)
			ts.mu.Unlock()
		}
		return err
	case order != nil:
		return ts.fulfil(ctx, t, []Order{*order}, now)
	case overdue:
		return ts.askRelease(t.ID, late, attempt, now)
	case !offered:
		return nil
	}
	// Stored first: after a crash it must be known who may have it.
	if err := ts.save(ctx, []*Task{t}); err != nil {
		return err
	}
	body, err := ts.store.body(ctx, t.ID)
	if err != nil {
		return err
	}
	ts.metrics.offers.WithLabelValues(string(to)).Inc()
	ts.cfg.Journal.Note(bridge.Moment{Step: bridge.StepOffered, About: t.names(), Peer: to, N: attempt, Until: now.Add(t.StartWithin)})
	return ts.cfg.Send(ctx, Offer{
		To: to, Subject: t.Type, Key: bridge.KeyOf(t.ID, t.Type, t.Type), Context: t.Context, Hop: t.Hop, At: t.Asked,
		Body: body, Rule: t.Rule, Within: t.StartWithin, Attempt: attempt, ID: t.ID,
	})
}

// bury sets aside a task that no stamp took.
func (ts *Tasks) bury(ctx context.Context, t *Task) error {
	body, err := ts.store.body(ctx, t.ID)
	if err != nil {
		return err
	}
	e, _ := bridge.Parse(t.Type, body) // it was read when it was given
	detail := []string{fmt.Sprintf("rule %s: no plane took the task in %d rounds", t.Rule, t.Turn.Round+1)}
	for _, s := range t.Seats {
		fate := ts.fate(s)
		if e != nil && ts.cfg.Router().Nobody(s.Stamp, e) {
			fate += "; no plane there will take this"
		}
		detail = append(detail, fmt.Sprintf("stamp %s: %s", s.Stamp, fate))
	}
	err = ts.cfg.DeadLetters.Put(ctx, bridge.Letter{
		Side: bridge.SideOut, Reason: bridge.ReasonNoPlane, Detail: detail, Subject: t.Type, From: ts.cfg.Me,
		Key: bridge.KeyOf(t.ID, t.Type, t.Type), Captured: t.Asked, Body: body,
	})
	if err != nil {
		return err
	}
	ts.metrics.deadlines.WithLabelValues("dead-letter").Inc()
	return ts.save(ctx, []*Task{t})
}

func (ts *Tasks) fate(s *Seat) string {
	switch {
	case s.Granted:
		return "its plane did not start"
	case ts.cfg.Away(s.Stamp):
		return "does not answer"
	case ts.cfg.Frozen(s.Stamp):
		return "is frozen by an operator"
	}
	return "has no plane"
}

// fulfil writes answers in the name of stamps into RW_IN, from where they take
// the way of every other answer, exactly once.
func (ts *Tasks) fulfil(ctx context.Context, t *Task, orders []Order, now time.Time) error {
	for _, o := range orders {
		all, err := t.write(o, now)
		if err != nil {
			return err
		}
		for _, w := range all {
			if err := ts.put(ctx, t, o, w, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ts *Tasks) put(ctx context.Context, t *Task, o Order, w written, now time.Time) error {
	ts.mu.Lock()
	recent := now.Sub(ts.orders[w.ID]) < rewrite
	ts.mu.Unlock()
	if recent {
		return nil
	}
	if err := ts.inject(ctx, o.Stamp, w, "deadline", now); err != nil {
		return err
	}
	action := "warning"
	if o.Errored {
		action = "errored"
	}
	ts.mu.Lock()
	first := ts.orders[w.ID].IsZero()
	ts.orders[w.ID] = now
	ts.mu.Unlock()
	if first {
		ts.cfg.Journal.Note(bridge.Moment{Step: bridge.StepDeadline, About: t.names(), Peer: o.Stamp, Detail: o.Why})
		ts.metrics.deadlines.WithLabelValues(action).Inc()
		ts.cfg.Log.Warn("answered for a stamp that missed its deadline", "peer", o.Stamp, "task", t.ID, "subject", w.Type, "reason", o.Why)
	}
	return nil
}

// inject stores an event about a stamp's task in RW_IN, once.
func (ts *Tasks) inject(ctx context.Context, stamp topology.StampID, w written, rule string, now time.Time) error {
	me := ts.cfg.Me
	m := nats.NewMsg(bridge.EventSubject(me, me, bridge.KeyOf(w.ID, w.Type, w.Type)))
	m.Data = w.Body
	m.Header = nats.Header{
		bridge.HeaderSubject: {w.Type}, bridge.HeaderOrigin: {string(me)}, bridge.HeaderFor: {string(stamp)},
		bridge.HeaderHop: {string(me) + ":0"}, bridge.HeaderCaptured: {now.UTC().Format(time.RFC3339Nano)},
		bridge.HeaderMode: {bridge.ModeWait}, bridge.HeaderRule: {rule},
	}
	js, err := jetstream.New(ts.cfg.Fed, jetstream.WithDefaultTimeout(2*attemptTimeout))
	if err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	_, err = js.PublishMsg(ctx, m)
	var api *jetstream.APIError
	if errors.As(err, &api) && strings.Contains(api.Description, "maximum messages per subject") {
		err = nil // written before
	}
	if err != nil {
		return fmt.Errorf("answer for stamp %s: %w", stamp, err)
	}
	return nil
}
