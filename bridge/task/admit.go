package task

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// Admit says what becomes of an answer that has arrived in RW_IN with sequence
// seq. standsFor is the stamp for which this gateway wrote it, else empty.
// Answers come in order of arrival. What Admit took note of is stored by the
// next Commit.
func (ts *Tasks) Admit(ctx context.Context, from, standsFor topology.StampID, e *bridge.Event, seq uint64) (bridge.Verdict, error) {
	a := Answer{Stamp: from, Source: e.Source, Kind: kindOf(e.Type), Key: e.Key(), Seq: seq}
	bridge.Detach(&a.Source) // the task keeps it
	if from == ts.cfg.Me && standsFor != "" {
		a.Stamp, a.Ours = standsFor, true
	}
	t, err := ts.find(ctx, e.TriggeredID)
	if err != nil {
		return bridge.Verdict{}, err
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t == nil {
		if a.Ours && a.Kind == KindOther {
			return bridge.Verdict{Do: bridge.Drop}, nil // it waits no more
		}
		return ts.stray(a, e), nil
	}
	now, before := time.Now(), len(t.held)
	v := t.Answer(a, now)
	ts.noteAnswer(t, &a, e, v.Do, now)
	ts.nHeld += len(t.held) - before
	switch v.Do {
	case bridge.Hold:
		ts.watch(t.ID, now)
	case bridge.Refuse:
		ts.metrics.refused.WithLabelValues(string(a.Stamp), string(v.Reason)).Inc()
		return v, nil
	}
	ts.metrics.held.Set(float64(ts.nHeld))
	ts.dirty[t.ID] = t
	if ts.open[t.ID] == nil && !t.Over() {
		ts.keep(t) // it was over, and a plane of which nothing was known has started
	}
	return v, nil
}

// stray is an answer to a task that is not known. The caller holds mu.
func (ts *Tasks) stray(a Answer, e *bridge.Event) bridge.Verdict {
	if !ts.caughtUp {
		ts.strays = append(ts.strays, a.Seq)
		return bridge.Verdict{Do: bridge.Hold}
	}
	ts.metrics.refused.WithLabelValues(string(a.Stamp), string(bridge.ReasonNotAsked)).Inc()
	return refuse(bridge.ReasonNotAsked, "no task %s was given out", e.TriggeredID)
}

// find returns a task that is known here or in the stream.
func (ts *Tasks) find(ctx context.Context, id string) (*Task, error) {
	ts.mu.Lock()
	t, s := ts.known(id), ts.store
	_, unsure := ts.unsure[id]
	ts.mu.Unlock()
	switch {
	case t != nil && !unsure:
		return t, nil
	case s == nil:
		return nil, errors.New("tasks are not followed yet")
	case t != nil:
		return ts.ascertain(ctx, id)
	}
	return s.read(ctx, id)
}

// known returns a task that is known here. The caller holds mu.
func (ts *Tasks) known(id string) *Task {
	if t := ts.awake(id); t != nil {
		return t
	}
	return ts.dirty[id]
}

// Commit stores what Admit took note of. What was admitted is not settled
// before that.
func (ts *Tasks) Commit(ctx context.Context) error {
	ts.mu.Lock()
	changed := make([]*Task, 0, len(ts.dirty))
	for _, t := range ts.dirty {
		changed = append(changed, t)
	}
	ts.mu.Unlock()
	return ts.save(ctx, changed)
}

// save stores tasks, and returns when they are stored.
func (ts *Tasks) save(ctx context.Context, tasks []*Task) error {
	if len(tasks) == 0 {
		return nil
	}
	var errs []error
	var over []*Task
	waits := make([]func() error, 0, len(tasks))
	for _, t := range tasks {
		f, err := ts.write(ts.store, t)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if ts.endsWith(t) {
			over = append(over, t)
		}
		waits = append(waits, func() error { return ts.persist(ctx, t, f) })
	}
	for _, w := range waits {
		errs = append(errs, w())
	}
	if err := errors.Join(errs...); err != nil {
		ts.mark(tasks)
		return fmt.Errorf("store tasks: %w", err)
	}
	ts.mu.Lock()
	for _, t := range tasks {
		t.noted = true
		delete(ts.unsure, t.ID)
		ts.leave(t)
		if other := ts.awake(t.ID); other != nil && other != t && other.in != nil {
			ts.leave(other) // a run that began meanwhile read it from its batch
			ts.open[t.ID] = t
		}
	}
	for _, t := range over {
		ts.drop(t.ID)
	}
	ts.mu.Unlock()
	for _, t := range over {
		if err := ts.store.forget(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (ts *Tasks) endsWith(t *Task) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return t.Over()
}

// mark notes that tasks are to be stored.
func (ts *Tasks) mark(tasks []*Task) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range tasks {
		ts.dirty[t.ID] = t
	}
}

// List returns the tasks under way, oldest first, at most n.
func (ts *Tasks) List(n int) []Task {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	var out []Task
	for _, t := range ts.open {
		out = append(out, t.clone())
	}
	for _, t := range ts.asleep.find("", n) {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b Task) int { return a.Asked.Compare(b.Asked) })
	return out[:min(n, len(out))]
}
