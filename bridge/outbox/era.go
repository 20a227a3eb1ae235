package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
)

// Where an event goes is decided by the topology that is in force when it is
// read. A process that reads it again, after a restart, has to decide the same:
// a stamp may have it already. So the topologies that decided for what is still
// in RW_OUT are kept beside it, each with the last sequence that it decided for.

// eraSubject is the subject, in stream RW_STATE, of the eras.
const eraSubject = "state.routing"

// An Era is a topology that decides where events go.
type Era struct {
	// Hash tells one from another.
	Hash string `json:"hash"`
	// Document is what a Router can be made of again.
	Document []byte `json:"document"`
	// Since is when it came in force.
	Since time.Time `json:"since"`
}

// Eras tells and makes Routers. It is safe for concurrent use.
type Eras interface {
	// Of returns the era of a Router that Config.Router has returned; false if it
	// can not be made again.
	Of(r *bridge.Router) (Era, bool)
	// Router makes the Router of an era.
	Router(e Era) (*bridge.Router, error)
}

// A past era decides for events up to a sequence of RW_OUT. The last of the list
// is the one in force, whose UpTo is 0.
type past struct {
	Era
	UpTo uint64 `json:"upTo,omitempty"`
	// Until is for an era that ended with its process: clients may have published
	// in the next one before anybody read.
	Until time.Time `json:"until"`

	router *bridge.Router
}

// decides reports whether the era decides for an event captured at a time.
func (p past) decides(seq uint64, at time.Time) bool {
	return seq <= p.UpTo && (p.Until.IsZero() || at.Before(p.Until))
}

// routing says which Router decides for an event. It is safe for concurrent use.
type routing struct {
	o     *Outbox
	floor func() uint64 // everything up to here is settled

	turning chan struct{} // a place for who has the following fields; storing one may take long
	list    []past        // in order; empty: eras are not kept
	now     *bridge.Router
	last    uint64 // what was there at the start, or was read since
}

// openRouting reads which topologies decide for what is in RW_OUT, whose last
// sequence is last.
func (o *Outbox) openRouting(ctx context.Context, last uint64, floor func() uint64) (*routing, error) {
	r := &routing{o: o, floor: floor, turning: make(chan struct{}, 1), now: o.cfg.Router(), last: last}
	if o.cfg.Eras == nil {
		return r, nil
	}
	m, err := o.readEras(ctx)
	if err != nil {
		return nil, err
	}
	if m != nil {
		if err := json.Unmarshal(m.Data, &r.list); err != nil {
			o.cfg.Log.Error("earlier topologies not readable, what is under way is routed by the current one", "err", err)
		}
	}
	for i := range r.list {
		r.list[i].UpTo = min(r.list[i].UpTo, last) // the stream may have been lost
		if r.list[i].router, err = o.cfg.Eras.Router(r.list[i].Era); err != nil {
			o.cfg.Log.Error("earlier topology not usable, what it decided for is routed by the current one", "hash", r.list[i].Hash, "err", err)
			r.list[i].router = r.now
		}
	}
	e, _ := o.cfg.Eras.Of(r.now)
	return r, r.turn(ctx, r.now, last, e.Since)
}

// readEras returns what was last written; nil if nothing was.
func (o *Outbox) readEras(ctx context.Context) (*jetstream.RawStreamMsg, error) {
	m, err := jstream.AskFor(ctx, resetTime, resetTries, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		s, err := o.js.Stream(ctx, o.cfg.State)
		if err != nil {
			return nil, err //nolint:wrapcheck // see below
		}
		return s.GetLastMsgForSubject(ctx, eraSubject) //nolint:wrapcheck // see below
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil // what is written next waits for the stream
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.cfg.State, err)
	}
	return m, nil
}

// of returns the Router that decides for the event at seq, captured at a time. One
// that came in force is written down first.
func (r *routing) of(ctx context.Context, seq uint64, at time.Time) (*bridge.Router, error) {
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	defer r.give()
	if err := r.follow(ctx); err != nil {
		return nil, err
	}
	r.last = max(r.last, seq)
	for _, p := range r.list {
		if p.decides(seq, at) {
			return p.router, nil
		}
	}
	return r.now, nil
}

// take waits until nobody has the fields, or ctx ends.
func (r *routing) take(ctx context.Context) error {
	select {
	case r.turning <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("note the topology in force: %w", ctx.Err())
	}
}

func (r *routing) give() { <-r.turning }

// follow begins the era of the Router in force, if that has changed. The caller
// has taken r.
func (r *routing) follow(ctx context.Context) error {
	if now := r.o.cfg.Router(); now != r.now {
		return r.turn(ctx, now, r.last, time.Time{})
	}
	return nil
}

// turn begins the era of now behind a sequence, and for what was captured from a
// time on, and returns once that is stored. If it fails nothing has changed. The
// caller has taken r, or is alone.
func (r *routing) turn(ctx context.Context, now *bridge.Router, last uint64, until time.Time) error {
	if r.o.cfg.Eras == nil {
		r.now = now
		return nil
	}
	floor := r.floor()
	var list []past
	for _, p := range r.list {
		if p.UpTo == 0 {
			p.UpTo, p.Until = last, until
		}
		if p.UpTo > floor {
			list = append(list, p)
		}
	}
	e, ok := r.o.cfg.Eras.Of(now)
	if n := len(r.list); ok && n > 0 && r.list[n-1].UpTo == 0 && r.list[n-1].Hash == e.Hash {
		r.now, r.list[n-1].router = now, now // read again, and the same
		return nil
	}
	if ok {
		list = append(list, past{Era: e, router: now})
	}
	if err := r.write(ctx, list); err != nil {
		return err
	}
	r.now, r.list = now, list
	return nil
}

// NoteTopology notes that another topology came in force. Call it when the Router
// has changed.
func (o *Outbox) NoteTopology(ctx context.Context) error {
	o.mu.RLock()
	r := o.routing
	o.mu.RUnlock()
	if r == nil {
		return nil // the next run will
	}
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.give()
	return r.follow(ctx)
}

// write returns once list is stored, or ctx ends. It is written as a whole, so
// that doing so twice does no harm.
func (r *routing) write(ctx context.Context, list []past) error {
	b, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("write %s: %w", r.o.cfg.State, err)
	}
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		once, cancel := context.WithTimeout(ctx, askTimeout)
		_, err := r.o.js.Publish(once, eraSubject, b)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("write %s: %w", r.o.cfg.State, ctx.Err())
		}
		r.o.cfg.Log.Warn("topology in force not noted, will try again", "err", err)
		sleep(ctx, min(wait, time.Second))
	}
}
