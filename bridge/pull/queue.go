package pull

import (
	"context"
	"errors"

	"github.com/ringway/ringway/bridge"
)

// A queueID names the answers that are posted in order: those of a
// shkeptncontext. One without is for itself.
type queueID struct{ control, context string }

// A queue is what is to be posted of a context, in order.
type queue struct {
	records []*record
	running bool
}

// postState is how posting to a control plane goes.
type postState struct{ err string }

// enqueue adds an answer. mu is held.
func (t *term) enqueue(r *record) {
	t.out[r.name()] = answered{}
	id := queueID{r.control, r.key}
	if e, err := bridge.Parse(r.subject, r.body); err == nil {
		r.print = printOf(e, r.body)
		if e.Context != "" {
			id.context = e.Context
		}
	}
	q := t.queues[id]
	if q == nil {
		q = &queue{}
		t.queues[id] = q
	}
	q.records = append(q.records, r)
	t.metrics.waiting.WithLabelValues(r.control).Inc()
	t.run(id, q)
}

// run posts a queue, unless that is done already or the term has not begun. mu
// is held.
func (t *term) run(id queueID, q *queue) {
	if q.running || t.ctx == nil || t.ctx.Err() != nil {
		return
	}
	q.running = true
	ctx := t.ctx
	t.wg.Go(func() { t.drain(ctx, id, q) })
}

// drain posts one answer after the other, until there is none or ctx ends.
func (t *term) drain(ctx context.Context, id queueID, q *queue) {
	for {
		t.mu.Lock()
		if len(q.records) == 0 {
			delete(t.queues, id)
			t.mu.Unlock()
			return
		}
		r := q.records[0]
		t.mu.Unlock()
		err := t.settle(ctx, r)
		if errors.Is(err, errFenced) {
			t.fail(err)
		}
		if err != nil {
			return // the term ends
		}
		t.mu.Lock()
		q.records = q.records[1:]
		t.mu.Unlock()
		t.metrics.waiting.WithLabelValues(r.control).Dec()
	}
}
