package task

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// linger is how long notes are collected before they are stored together. No
// event waits for it, only its removal from RW_OUT.
const linger = 10 * time.Millisecond

// A note says that a task was given to its one target.
type note struct {
	task   *Task
	json   []byte       // of task
	ended  func() error // whether whoever gave it still waits
	stored func()
}

// note has a task stored with others, and stored called after that.
func (ts *Tasks) note(ctx context.Context, t *Task, stored func()) error {
	ts.mu.Lock()
	if t.noted {
		ts.mu.Unlock()
		stored()
		return nil
	}
	b, err := ts.encoder.encode(t)
	if err == nil {
		ts.notes = append(ts.notes, note{t, b, ctx.Err, stored})
	}
	ts.mu.Unlock()
	if err != nil {
		return fmt.Errorf("store task %s: %w", t.ID, err)
	}
	select {
	case ts.noteWake <- struct{}{}:
	default:
	}
	return nil
}

// keepNotes stores notes until ctx ends. What is not stored by then is stored by
// the next run.
func (ts *Tasks) keepNotes(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-ts.noteWake:
		}
		sleep(ctx, linger)
		for ctx.Err() == nil && ts.storeNotes(ctx) {
		}
	}
}

// storeNotes stores a batch, and reports whether more had come by then than it
// takes. It does not give up before ctx ends.
func (ts *Tasks) storeNotes(ctx context.Context) (more bool) {
	notes, b, more := ts.nextBatch()
	if len(notes) == 0 {
		return false
	}
	for warned := false; b != nil; warned = true {
		err := ts.store.writeBatch(ctx, b.id, b.body)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			ts.takeBack(notes, b)
			return false
		}
		if !warned {
			ts.cfg.Log.Error("tasks not stored, their events stay in the outbox, will try again", "n", len(notes), "err", err)
		}
		sleep(ctx, attemptTimeout)
	}
	ts.mu.Lock()
	if b != nil {
		b.stored = true
		for _, n := range notes {
			if n.task.in == b {
				n.task.noted = true
				ts.sleep(n.task)
			}
		}
		ts.thin(b)
	}
	ts.mu.Unlock()
	for _, n := range notes {
		if n.ended() == nil {
			n.stored()
		}
	}
	return more
}

// nextBatch makes a batch of what waits; nil if all of it is stored already.
// more tells that not all of it went into the batch.
func (ts *Tasks) nextBatch() (notes []note, b *batch, more bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	size := 2
	for _, it := range ts.notes[:min(len(ts.notes), maxBatch)] {
		size += len(it.json) + 1
	}
	b = newBatch(rand.Text(), min(size, maxBatchBytes+1), ts.store)
	n := 0
	for ; n < len(ts.notes) && n < maxBatch; n++ {
		it := ts.notes[n]
		if b.live > 0 && len(b.body)+len(it.json) > maxBatchBytes {
			break
		}
		if it.task.noted || it.task.in != nil {
			continue // given twice, or answered meanwhile
		}
		b.note(it.task, it.json)
	}
	notes, more = ts.notes[:n:n], n < len(ts.notes)
	ts.notes = ts.notes[n:]
	if b.live == 0 {
		return notes, nil, more
	}
	b.end()
	return notes, b, more
}

// takeBack has notes wait again that were in b. It may be stored all the same; it is
// then read at the next start like any other.
func (ts *Tasks) takeBack(notes []note, b *batch) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, n := range notes {
		if n.task.in == b { // else it was given twice, and is in another one
			n.task.in = nil
		}
	}
	ts.notes = append(notes, ts.notes...)
	select {
	case ts.noteWake <- struct{}{}:
	default:
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
