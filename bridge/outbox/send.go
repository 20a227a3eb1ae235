package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// An Offer is a task for one stamp of several, which that stamp gives to its
// planes with leave of this one only.
type Offer struct {
	To      topology.StampID
	Subject string // of the event
	Key     bridge.Key
	Context string // shkeptncontext, for the order
	Hop     uint64 // sequence in RW_OUT
	At      time.Time
	Body    []byte
	Rule    string
	Within  time.Duration
	Attempt int    // from 1
	ID      string // of the event
}

// errNotRunning reports an offer while nothing is forwarded.
var errNotRunning = errors.New("outbox does not run")

// attemptBits is where the attempt lies in the number that an answer to an
// offer carries: two offers of one event are told apart.
const attemptBits = 44

// hopNumber tells the offers of one event apart in flight.
func hopNumber(hop uint64, attempt int) uint64 {
	return hop | uint64(attempt)<<attemptBits //nolint:gosec // small and positive
}

// Send puts an offer on its way, behind what is on the way to the same stamp.
// It does not wait for the stamp.
func (o *Outbox) Send(ctx context.Context, of Offer) error {
	it := &item{seq: hopNumber(of.Hop, of.Attempt), order: of.Context, id: of.ID, done: func() {}, Copy: bridge.Copy{
		Key: of.Key, Subject: of.Subject, Hop: of.Hop, Captured: of.At, Mode: bridge.ModeClaim, Rule: of.Rule,
		Within: of.Within, Attempt: of.Attempt, Body: of.Body,
	}}
	o.trace(it, bridge.About{ID: of.ID, Context: of.Context}, "", of.To)
	o.metrics.routed.WithLabelValues(string(of.To), of.Rule).Inc()
	l := o.startLane(of.To, 0)
	if l == nil {
		return errNotRunning
	}
	select {
	case l.in <- it:
	case <-ctx.Done():
	}
	return nil
}

// Away reports whether a stamp does not answer.
func (o *Outbox) Away(stamp topology.StampID) bool {
	o.mu.RLock()
	l := o.lanes[stamp]
	o.mu.RUnlock()
	return l != nil && l.state.Load().Holding
}
