package pull

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// overhead is room for the headers of a stored event, in bytes.
const overhead = 4 << 10

// newIn makes a record of an open event. One without an id, which Keptn does
// not have, is known by what it says.
func newIn(control, typ string, e *listed) (*record, error) {
	body, err := e.body()
	if err != nil {
		return nil, fmt.Errorf("read open event of control plane %s: %w", control, err)
	}
	id := e.ID
	if id == "" {
		id = string(body)
	}
	return &record{in: true, control: control, key: bridge.KeyOf(id, typ, typ), subject: typ, state: stateDue, body: body, at: time.Now()}, nil
}

// learn notes an event that is new, and puts it in. It does so in this order,
// and both the stream of what goes out and those of the stamps it goes to
// refuse a second copy: so it is put in once, whenever this process dies.
func (t *term) learn(ctx context.Context, r *record) error {
	tooLarge := int64(len(r.body)+overhead) > t.cfg.Relay.MaxPayload()
	if tooLarge { // for every server on the way
		if err := t.bury(ctx, r, bridge.ReasonTooLarge, fmt.Sprintf("%d bytes", len(r.body))); err != nil {
			return err
		}
		r.state, r.body = stateDone, nil
	}
	known, err := t.store.create(ctx, r)
	if err != nil {
		return err
	}
	if known { // stored by a try that did not hear so
		if r, err = t.store.get(ctx, r); r == nil || err != nil {
			return err
		}
	}
	t.adopt(r)
	if r.state == stateDone {
		return nil
	}
	return t.inject(ctx, r)
}

// injectDue puts in what was noted and not put in, in the order of the notes.
func (t *term) injectDue(ctx context.Context, control string) error {
	t.mu.Lock()
	var due []*record
	for _, k := range t.in {
		if k.rec.control == control && k.rec.state != stateDone {
			due = append(due, k.rec)
		}
	}
	t.mu.Unlock()
	slices.SortFunc(due, func(a, b *record) int { return int(a.number) - int(b.number) }) //nolint:gosec // sequences
	for _, r := range due {
		if err := t.inject(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// inject puts an event in and notes that.
func (t *term) inject(ctx context.Context, r *record) error {
	e, err := bridge.Parse(r.subject, r.body)
	if err != nil {
		if err := t.bury(ctx, r, bridge.ReasonInvalid, err.Error()); err != nil {
			return err
		}
		return t.injected(ctx, r)
	}
	if cp := t.cfg.View().ControlOf(e.Project); cp == nil || cp.Name != r.control {
		t.cfg.Log.Debug("open event left alone: the project is not of this control plane", "control", r.control, "subject", r.subject)
		return t.injected(ctx, r)
	}
	if err := t.capture(ctx, r); err != nil {
		return err
	}
	if err := t.toPlanes(ctx, r, e); err != nil {
		return err
	}
	t.metrics.injected.WithLabelValues(r.control).Inc()
	return t.injected(ctx, r)
}

func (t *term) injected(ctx context.Context, r *record) error {
	done := *r
	done.state, done.body = stateDone, nil
	if err := t.store.note(ctx, &done); err != nil {
		return err
	}
	t.mu.Lock()
	*r = done
	t.mu.Unlock()
	return nil
}

// capture stores an event where the server stores what the stamp's clients
// publish.
func (t *term) capture(ctx context.Context, r *record) error {
	prefix := bridge.CapturePrefix
	if t.cfg.Replicas > 1 {
		prefix = bridge.StorePrefix
	}
	m := nats.NewMsg(prefix + r.subject)
	m.Data = r.body
	if _, err := t.relay.PublishMsg(ctx, m, jetstream.WithMsgID("pull:"+r.name())); err != nil {
		return fmt.Errorf("put in %s: %w", r.subject, err)
	}
	return nil
}

// toPlanes gives an event to the stamp's own planes, if it is for them, as if
// another stamp had sent it: so it waits until one can take it, and is
// delivered once.
func (t *term) toPlanes(ctx context.Context, r *record, e *bridge.Event) error {
	d := t.cfg.Router().Route(e)
	if d.Refused != bridge.ReasonNone || !d.Local {
		return nil
	}
	mode := bridge.ModeOffer
	if d.Rule != nil {
		mode = bridge.ModeWait
	}
	me := t.cfg.View().Me.ID
	m := nats.NewMsg(bridge.EventSubject(me, me, r.key))
	m.Data = r.body
	m.Header = nats.Header{
		bridge.HeaderSubject: {r.subject}, bridge.HeaderOrigin: {string(me)}, bridge.HeaderHop: {string(me) + ":0"},
		bridge.HeaderCaptured: {r.at.UTC().Format(time.RFC3339Nano)}, bridge.HeaderMode: {mode}, bridge.HeaderRule: {"pull"},
	}
	_, err := t.fed.PublishMsg(ctx, m)
	var api *jetstream.APIError
	if errors.As(err, &api) && strings.Contains(api.Description, "maximum messages per subject") {
		return nil // given before
	}
	if err != nil {
		return fmt.Errorf("give %s to the planes of this stamp: %w", r.subject, err)
	}
	return nil
}

// bury sets an event aside.
func (t *term) bury(ctx context.Context, r *record, why bridge.Reason, detail string) error {
	t.metrics.dead.WithLabelValues(r.control, string(why)).Inc()
	side := bridge.SideOut
	if r.in {
		side = bridge.SideIn
	}
	me := t.cfg.View().Me.ID
	return t.cfg.DeadLetters.Put(ctx, bridge.Letter{
		Side: side, Reason: why, Detail: []string{"control plane " + r.control + ": " + detail}, Subject: r.subject,
		From: me, To: me, Key: r.key, Captured: r.at, Body: r.body,
	})
}
