package task

import (
	"context"
	"encoding/json"
)

// leave takes note that a task has a message of its own, which counts before the
// one of its batch. The caller holds mu.
func (ts *Tasks) leave(id string) {
	delete(ts.unsure, id)
	b := ts.batches[id]
	if b == nil {
		return
	}
	delete(ts.batches, id)
	delete(b.live, id)
	ts.thin(b)
}

// thin has a batch rewritten that is mostly over. The caller holds mu.
func (ts *Tasks) thin(b *batch) {
	if b.stored && len(b.live) <= b.size/2 {
		ts.thinned[b] = struct{}{}
	}
}

// compact rewrites the batches that are mostly over, and removes those that are
// over altogether. A batch that is not, because the process died, is as good:
// what it says is compared with the tasks' own messages after a start.
func (ts *Tasks) compact(ctx context.Context) {
	ts.mu.Lock()
	thinned := make([]*batch, 0, len(ts.thinned))
	for b := range ts.thinned {
		thinned = append(thinned, b)
	}
	clear(ts.thinned)
	ts.mu.Unlock()
	for _, b := range thinned {
		err := ts.rewriteBatch(ctx, b)
		if err == nil {
			continue
		}
		ts.mu.Lock()
		ts.thinned[b] = struct{}{}
		ts.mu.Unlock()
		if ctx.Err() == nil {
			ts.cfg.Log.Debug("tasks that are over not removed, will try again", "err", err)
		}
	}
}

func (ts *Tasks) rewriteBatch(ctx context.Context, b *batch) error {
	ts.mu.Lock()
	live := make([]*Task, 0, len(b.live))
	for _, t := range b.live {
		live = append(live, t)
	}
	body, err := json.Marshal(live)
	b.size = len(live)
	ts.mu.Unlock()
	switch {
	case err != nil:
		return err
	case len(live) == 0:
		return ts.store.dropBatch(ctx, b.id)
	}
	return ts.store.writeBatch(ctx, b.id, body)
}

// maxCheck bounds the tasks that are checked in one tick.
const maxCheck = 64

// check compares what the batches of an earlier process say with the tasks' own
// messages, some at a time.
func (ts *Tasks) check(ctx context.Context) {
	ts.mu.Lock()
	ids := make([]string, 0, maxCheck)
	for id := range ts.unsure {
		if ids = append(ids, id); len(ids) == maxCheck {
			break
		}
	}
	ts.mu.Unlock()
	for _, id := range ids {
		if _, err := ts.find(ctx, id); err != nil {
			return // at the next tick
		}
	}
}

// ascertain looks whether a task that a batch of an earlier process names has
// got a message of its own since, which counts. t may be over.
func (ts *Tasks) ascertain(ctx context.Context, id string) (t *Task, err error) {
	own, err := ts.store.read(ctx, id)
	if err != nil {
		return nil, err
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if _, still := ts.unsure[id]; !still { // somebody else has looked
		if t := ts.known(id); t != nil || own == nil {
			return t, nil
		}
		return own, nil
	}
	delete(ts.unsure, id)
	if own == nil {
		return ts.open[id], nil
	}
	own.noted = true
	ts.leave(id)
	ts.drop(id)
	if !own.Over() {
		ts.keep(own)
	}
	return own, nil
}
