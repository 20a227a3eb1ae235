package pull

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// Wants reports whether events of a subject may be answers for a control plane
// that is polled.
func (c *Client) Wants(subject string) bool {
	if !bridge.Classify(subject).FromExecution() {
		return false
	}
	view := c.cfg.View()
	for _, cp := range view.ControlPlanes {
		if cp.Poll && cp.Stamp == view.Me.ID {
			return true
		}
	}
	return false
}

// Put stores the events that have to be posted, and lets the others go. It
// waits until Run has read what earlier runs have left.
func (c *Client) Put(ctx context.Context, events []bridge.Passing) error {
	var mine []*record
	for _, p := range events {
		if r := c.answer(p); r != nil {
			mine = append(mine, r)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	t, err := c.running(ctx)
	if err != nil {
		return err
	}
	defer t.puts.Done()
	return t.put(ctx, mine)
}

// answer makes a record of an event that is for a control plane that is polled;
// nil if it is not.
func (c *Client) answer(p bridge.Passing) *record {
	if !c.Wants(p.Subject) {
		return nil
	}
	e, err := bridge.Parse(p.Subject, p.Body)
	if err != nil {
		return nil // whoever hands it over puts it aside
	}
	view := c.cfg.View()
	cp := view.ControlOf(e.Project)
	if cp == nil || !cp.Poll || cp.Stamp != view.Me.ID {
		return nil
	}
	return &record{control: cp.Name, key: e.Key(), subject: p.Subject, state: stateDue, body: p.Body, at: time.Now()}
}

// put stores records and queues those that are new.
func (t *term) put(ctx context.Context, records []*record) error {
	type try struct {
		r   *record
		ack jetstream.PubAckFuture
	}
	var tries []try
	for _, r := range records {
		if t.seen(r) {
			continue
		}
		if int64(len(r.body)+overhead) > t.cfg.Relay.MaxPayload() { // the room for headers is used up
			if err := t.bury(ctx, r, bridge.ReasonTooLarge, fmt.Sprintf("%d bytes", len(r.body))); err != nil {
				return err
			}
			continue
		}
		ack, err := t.store.js.PublishMsgAsync(r.message(), jetstream.WithExpectLastSequencePerSubject(0))
		if err != nil {
			return fmt.Errorf("store %s: %w", Stream, err)
		}
		tries = append(tries, try{r, ack})
	}
	var errs []error
	for _, y := range tries {
		select {
		case ack := <-y.ack.Ok():
			y.r.seq, y.r.number = ack.Sequence, ack.Sequence
			t.take(y.r)
		case err := <-y.ack.Err():
			if isWrongSequence(err) {
				err = t.again(ctx, y.r)
			}
			errs = append(errs, err)
		case <-ctx.Done(): // what was stored will be found when it comes again
			return fmt.Errorf("store %s: %w", Stream, ctx.Err())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("store %s: %w", Stream, err)
	}
	return nil
}

// seen reports whether an answer is known, or is no answer but an event that
// was polled.
func (t *term) seen(r *record) bool {
	polled := *r
	polled.in = true
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.out[r.name()]
	return known || t.in[polled.name()] != nil
}

// take queues an answer that is stored, unless another did so.
func (t *term) take(r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.out[r.name()]; !known {
		t.enqueue(r)
	}
}

// again takes up an answer that was stored by a try that did not hear so.
func (t *term) again(ctx context.Context, r *record) error {
	if t.seen(r) {
		return nil
	}
	got, err := t.store.get(ctx, r)
	if err != nil || got == nil || got.state == stateDone {
		return err
	}
	t.take(got)
	return nil
}
