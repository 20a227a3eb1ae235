package task

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/ringway/ringway/topology"
)

// Bounds of a batch.
const (
	maxBatch      = 512
	maxBatchBytes = 256 << 10
)

// A batch is tasks that are stored as one message of RW_TASK, a JSON array. A task
// leaves it once it has a message of its own. Guarded by Tasks.mu, but for body,
// which nobody changes in place.
type batch struct {
	id     string
	body   []byte // of its message
	items  []item // the tasks that were noted in it, in order; never fewer, so that a slot stays what it is
	told   int    // how many of them body tells of
	live   int    // those that have no other message
	stored bool
	by     *store // of the run that noted or read it

	nr     uint32 // among those with sleepers
	asleep int    // sleepers
	since  time.Time
	stamps []topology.StampID // that the tasks were given to
}

// An item is where one task is in the body of a batch.
type item struct {
	from, to uint32
	gone     bool // it left the batch; body may not tell of it any more
}

// newBatch makes an empty batch for a body of at most size bytes.
func newBatch(id string, size int, by *store) *batch {
	return &batch{id: id, body: make([]byte, 0, size), by: by}
}

// add adds the text of a task.
func (b *batch) add(text []byte) {
	b.items = append(b.items, b.write(text))
}

// write appends the text of a task to the body.
func (b *batch) write(text []byte) item {
	sep := byte(',')
	if b.told == 0 {
		sep = '['
	}
	b.told++
	b.body = append(append(b.body, sep), text...)
	n := uint32(len(b.body))                        //nolint:gosec // maxBatchBytes and one task, of at most what NATS takes
	return item{from: n - uint32(len(text)), to: n} //nolint:gosec // the same
}

// note adds the text of t, which is in the batch from then on.
func (b *batch) note(t *Task, text []byte) {
	t.in, t.slot = b, uint32(len(b.items)) //nolint:gosec // at most maxBatch
	b.add(text)
	b.live++
	if b.since.IsZero() || t.Asked.Before(b.since) {
		b.since = t.Asked
	}
	for _, s := range t.Seats {
		if !slices.Contains(b.stamps, s.Stamp) {
			b.stamps = append(b.stamps, s.Stamp)
		}
	}
}

// end closes the array.
func (b *batch) end() { b.body = append(b.body, ']') }

// text returns the text of one of its tasks.
func (b *batch) text(slot uint32) []byte { return b.body[b.items[slot].from:b.items[slot].to] }

// idAt returns the id of one of its tasks.
func (b *batch) idAt(slot uint32) string {
	if rest, ok := bytes.CutPrefix(b.text(slot), []byte(idFirst)); ok {
		if id, _, ok := bytes.Cut(rest, []byte{'"'}); ok && !bytes.ContainsRune(id, '\\') {
			return string(id)
		}
	}
	t, err := decode(b.text(slot))
	if err != nil {
		return ""
	}
	return t.ID
}

// idFirst is how the text of a task begins.
const idFirst = `{"id":"`

// isOf reports whether text is that of the task with an id. It is false where the
// id is not written as it is.
func isOf(text []byte, id string) bool {
	n := len(idFirst)
	return len(text) > n+len(id) && string(text[:n]) == idFirst && string(text[n:n+len(id)]) == id && text[n+len(id)] == '"' && plain(id)
}

// leave takes note that a task has a message of its own, which counts before the
// one of its batch. The caller holds mu.
func (ts *Tasks) leave(t *Task) {
	b := t.in
	if b == nil {
		return
	}
	t.in = nil
	b.items[t.slot].gone = true
	b.live--
	if b.by == ts.store { // else it was read anew, and that one tells what to keep
		ts.thin(b)
	}
}

// thin has a batch rewritten that is mostly over. The caller holds mu.
func (ts *Tasks) thin(b *batch) {
	if b.stored && b.live <= b.told/2 {
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
	b.pack()
	body, empty := b.body, b.live == 0
	ts.mu.Unlock()
	if empty {
		return ts.store.dropBatch(ctx, b.id)
	}
	return ts.store.writeBatch(ctx, b.id, body)
}

// pack drops the tasks from the body of a batch that have left it. The caller holds mu.
func (b *batch) pack() {
	old := b.body
	b.body, b.told = nil, 0
	for slot, it := range b.items {
		if it.gone {
			b.items[slot] = item{gone: true}
		} else {
			b.items[slot] = b.write(old[it.from:it.to])
		}
	}
	b.end()
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
		t, err := ts.ascertain(ctx, id)
		if err != nil {
			return // at the next tick
		}
		if t != nil {
			ts.mu.Lock()
			ts.sleep(t)
			ts.mu.Unlock()
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
	if t = ts.open[id]; own == nil {
		return t, nil
	}
	own.noted = true
	if t != nil {
		ts.leave(t)
	}
	ts.drop(id)
	if !own.Over() {
		ts.keep(own)
	}
	return own, nil
}
