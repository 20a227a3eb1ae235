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

// Bounds of a batch.
const (
	maxBatch      = 512
	maxBatchBytes = 256 << 10
)

// A note says that a task was given to its one target.
type note struct {
	task   *Task
	json   []byte       // of task
	ended  func() error // whether whoever gave it still waits
	stored func()
}

// A batch is notes that are stored as one message of RW_TASK. A task leaves it
// once it has a message of its own. Guarded by Tasks.mu.
type batch struct {
	id     string
	size   int              // of tasks in its message
	live   map[string]*Task // those that have no other message
	stored bool
}

// note has a task stored with others, and stored called after that.
func (ts *Tasks) note(ctx context.Context, t *Task, stored func()) error {
	ts.mu.Lock()
	if t.noted {
		ts.mu.Unlock()
		stored()
		return nil
	}
	b, err := encode(t)
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
	notes, b, body, more := ts.nextBatch()
	if len(notes) == 0 {
		return false
	}
	for warned := false; b != nil; warned = true {
		err := ts.store.writeBatch(ctx, b.id, body)
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
		for _, t := range b.live {
			t.noted = true
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
func (ts *Tasks) nextBatch() (notes []note, b *batch, body []byte, more bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	b = &batch{id: rand.Text(), live: map[string]*Task{}}
	size := 2
	for _, it := range ts.notes[:min(len(ts.notes), maxBatch)] {
		size += len(it.json) + 1
	}
	body = append(make([]byte, 0, min(size, maxBatchBytes+1)), '[')
	n := 0
	for ; n < len(ts.notes) && n < maxBatch; n++ {
		it := ts.notes[n]
		id := it.task.ID
		if b.size > 0 && len(body)+len(it.json) > maxBatchBytes {
			break
		}
		if it.task.noted || ts.batches[id] != nil {
			continue // given twice, or answered meanwhile
		}
		if b.size > 0 {
			body = append(body, ',')
		}
		body = append(body, it.json...)
		b.size++
		b.live[id], ts.batches[id] = it.task, b
	}
	notes, more = ts.notes[:n:n], n < len(ts.notes)
	ts.notes = ts.notes[n:]
	if b.size == 0 {
		return notes, nil, nil, more
	}
	return notes, b, append(body, ']'), more
}

// takeBack has notes wait again. The batch may be stored all the same; it is
// then read at the next start like any other.
func (ts *Tasks) takeBack(notes []note, b *batch) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for id := range b.live {
		delete(ts.batches, id)
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
