package task

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// shipyard-controller gives a sequence up when its task has waited for ten minutes
// and no event about it is in mongodb-datastore (contract §4.6). A stamp may be cut
// off or frozen for longer, and does its tasks when it is back. So Keptn is told that a task
// waits, with an event that its datastore takes and its logic ignores.

// kindChanged is what is written about a task that waits.
const kindChanged = ".status.changed"

// lookTell bounds how long it takes to find out that a task waits.
const lookTell = 10 * time.Second

// waits returns the stamp that a task has waited for since limit, and that nothing
// gets through to or that is frozen; empty if there is none, or if Keptn knows already that the task
// is under way.
func (t *Task) waits(limit time.Time, silent func(topology.StampID) bool) topology.StampID {
	if t.told || t.begun() || t.Asked.After(limit) {
		return ""
	}
	if t.Turn == nil {
		for _, s := range t.Seats {
			if s.State == Asked && !s.Unreached && silent(s.Stamp) {
				return s.Stamp
			}
		}
		return ""
	}
	if t.Turn.Over {
		return ""
	}
	if s := t.seat(t.Turn.Stamp); s != nil && silent(s.Stamp) {
		return s.Stamp
	}
	for _, s := range t.Seats {
		if !silent(s.Stamp) {
			return "" // that one is asked
		}
	}
	if len(t.Seats) == 0 {
		return ""
	}
	return t.Seats[0].Stamp
}

// tell writes about the tasks that wait for stamps that nothing gets through to,
// once for each.
func (ts *Tasks) tell(ctx context.Context, now time.Time) {
	if ts.cfg.TellAfter == 0 || now.Before(ts.tellAt) {
		return
	}
	ts.tellAt = now.Add(min(ts.cfg.TellAfter/10, lookTell))
	known := map[topology.StampID]bool{}
	silent := func(stamp topology.StampID) bool {
		is, ok := known[stamp]
		if !ok {
			is = ts.cfg.Silent(stamp) || ts.cfg.Frozen(stamp)
			known[stamp] = is
		}
		return is
	}
	due := map[*Task]topology.StampID{}
	ts.mu.Lock()
	for _, id := range ts.asleep.of(now.Add(-ts.cfg.TellAfter), silent) {
		ts.awake(id)
	}
	for _, t := range ts.open {
		if stamp := t.waits(now.Add(-ts.cfg.TellAfter), silent); stamp != "" {
			due[t] = stamp
		}
	}
	ts.mu.Unlock()
	for t, stamp := range due {
		if err := ts.tellOf(ctx, t, stamp, now); err != nil && ctx.Err() == nil {
			ts.cfg.Log.Warn("control plane not told that a task waits, will try again", "task", t.ID, "peer", stamp, "err", err)
		}
	}
}

// tellOf writes about one task.
func (ts *Tasks) tellOf(ctx context.Context, t *Task, stamp topology.StampID, now time.Time) error {
	sure, err := ts.find(ctx, t.ID)
	if err != nil || sure != t {
		return err // another, or over
	}
	o := Order{Stamp: stamp, Source: sourceOf(stamp), Why: fmt.Sprintf("stamp %s %s; the task waits for it", stamp, ts.why(stamp))}
	typ := strings.TrimSuffix(t.Type, ".triggered") + kindChanged
	// The id is of the task alone, so that it is stored once also if the process
	// restarts and then names another stamp.
	w, err := t.event(idOf(t.ID, typ, "", ""), typ, o, data{Status: "succeeded", Message: o.Why}, now)
	if err != nil {
		return err
	}
	if err := ts.inject(ctx, o.Stamp, w, "waiting", now); err != nil {
		return err
	}
	ts.mu.Lock()
	t.told = true
	ts.mu.Unlock()
	ts.cfg.Journal.Note(bridge.Moment{Step: bridge.StepTold, About: t.names(), Peer: stamp, Detail: o.Why})
	ts.metrics.told.WithLabelValues(string(stamp)).Inc()
	ts.cfg.Log.Info("control plane told that a task waits for a stamp", "peer", stamp, "task", t.ID, "subject", t.Type, "reason", ts.why(stamp))
	return nil
}

// why says why a task waits for a stamp.
func (ts *Tasks) why(stamp topology.StampID) string {
	if !ts.cfg.Silent(stamp) && ts.cfg.Frozen(stamp) {
		return "is frozen by an operator"
	}
	return "cannot be reached"
}
