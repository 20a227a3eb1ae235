package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// Give takes note of a task that a control plane of this stamp gives out.
//
// With targets it returns before the note is stored if there is one target,
// and after it if there are several; the caller sends the event, and lets go of
// it only after stored was called as well. With candidates the task is ours
// from then on, and the caller sends nothing.
//
// A task that is read a second time, after a restart, goes to the stamps that it
// was given to, whatever the topology says by now: Give puts them into g.
func (ts *Tasks) Give(ctx context.Context, g *bridge.Given, stored func()) error {
	t := newTask(g)
	was, err := ts.given(ctx, t)
	if err != nil {
		return err
	}
	if was != nil {
		g.Decision.Targets, g.Decision.Candidates = was.targets(), nil
		if was.Turn != nil || ts.endsWith(was) {
			stored()
			return nil
		}
		t = was
	}
	ts.mu.Lock()
	if ts.store == nil {
		ts.mu.Unlock()
		return errors.New("tasks are not followed yet")
	}
	if other := ts.awake(t.ID); other != nil {
		t = other // it was read, or given, while the stream was asked
		g.Decision.Targets, g.Decision.Candidates = t.targets(), nil
	} else {
		ts.keep(t)
	}
	store := ts.store
	ts.mu.Unlock()
	if len(t.Seats) == 1 && t.Turn == nil {
		return ts.note(ctx, t, stored)
	}
	if t.Turn != nil {
		if err := store.writeBody(ctx, g); err != nil {
			return err
		}
	}
	f, err := ts.write(store, t)
	if err != nil {
		return err
	}
	if err := ts.persist(ctx, t, f); err != nil {
		return fmt.Errorf("store task %s: %w", t.ID, err)
	}
	stored()
	if t.Turn == nil {
		return nil
	}
	if err := ts.lookAt(ctx, t, time.Now()); err != nil && ctx.Err() == nil {
		ts.cfg.Log.Warn("task not moved on, will try again", "task", t.ID, "err", err)
	}
	return nil
}

// given returns what is known of a task that may have been given out before,
// or nil. The stream is asked where that can be: at a start, and where the task
// needs it anyway.
func (ts *Tasks) given(ctx context.Context, t *Task) (*Task, error) {
	ts.mu.Lock()
	was, ask := ts.awake(t.ID), !ts.caughtUp || t.Deadline > 0
	if _, over := ts.over[t.ID]; over {
		ask = true
	}
	_, unsure := ts.unsure[t.ID]
	ts.mu.Unlock()
	if !unsure && (was != nil || !ask && t.Turn == nil) {
		return was, nil
	}
	return ts.find(ctx, t.ID)
}

// persist returns when t is stored. f is the first attempt; the leader of the
// stream may be gone, so there are more.
func (ts *Tasks) persist(ctx context.Context, t *Task, f jetstream.PubAckFuture) error {
	deadline := time.Now().Add(storeTimeout)
	for {
		err := wait(ctx, f)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		if f, err = ts.write(ts.store, t); err != nil {
			return err
		}
	}
}

// write starts to store t.
func (ts *Tasks) write(s *store, t *Task) (jetstream.PubAckFuture, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.dirty, t.ID)
	t.own = t.own || !t.Over()
	return s.write(t)
}

func wait(ctx context.Context, f jetstream.PubAckFuture) error {
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
