package inbox

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// A Gate knows which answers a control plane of this stamp waits for.
type Gate interface {
	// Admit says what becomes of an answer, in order of arrival. standsFor is
	// the stamp for which this stamp wrote it itself, else empty. One that is
	// held comes again after a restart, or when the Gate says so.
	Admit(ctx context.Context, from, standsFor topology.StampID, e *bridge.Event, seq uint64) (bridge.Verdict, error)
	// Commit stores what Admit took note of. Nothing admitted is settled
	// before that.
	Commit(ctx context.Context) error
	// Wake receives when there is something to Take: sequences of answers
	// that were held.
	Wake() <-chan struct{}
	Take() []uint64
}

// admit asks the gate about an answer for a control plane of this stamp, and
// reports whether it is settled or held.
func (in *Inbox) admit(ctx context.Context, a arrival, e *bridge.Event) (done bool, err error) {
	if e == nil || e.Kind != bridge.KindTaskAnswer || !in.cfg.Router().Owns(e.Project) {
		return false, nil
	}
	v, err := in.cfg.Gate.Admit(ctx, a.from, a.standsFor, e, a.seq)
	if err != nil {
		return false, err
	}
	switch v.Do {
	case bridge.Hold:
		in.held[a.seq] = true
		return true, nil
	case bridge.Drop:
		in.fresh = append(in.fresh, a.seq)
		return true, nil
	case bridge.Refuse:
		return true, in.bury(ctx, a, v.Reason, []string{v.Detail})
	}
	return false, nil
}

// readmit takes the answers that the gate lets go. One that only an earlier run
// held comes by the stream again, or has done so; and the gate may name one as
// often as it was held.
func (in *Inbox) readmit(ctx context.Context) error {
	for _, seq := range in.cfg.Gate.Take() {
		if !in.held[seq] {
			continue
		}
		delete(in.held, seq)
		a, err := in.reread(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			in.vanished(seq)
			continue
		}
		if err == nil {
			err = in.judgeAgain(ctx, a)
		}
		if err != nil {
			return err
		}
	}
	return in.commit(ctx)
}

// judgeAgain judges an answer that was held: the topology may be another one now.
func (in *Inbox) judgeAgain(ctx context.Context, a arrival) error {
	e, why := in.accept(a)
	if why != bridge.ReasonNone {
		return in.refuse(ctx, a, e, why, time.Time{})
	}
	return in.judge(ctx, a, e)
}
