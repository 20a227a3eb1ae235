package outbox

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

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
	key := of.Key
	if of.Attempt > 1 {
		// The stamp may have been asked before, and has the key.
		key += "." + strconv.Itoa(of.Attempt)
	}
	seq := hopNumber(of.Hop, of.Attempt)
	msg := nats.NewMsg(bridge.EventSubject(of.To, o.cfg.Me, key))
	msg.Reply = bridge.AckSubject(o.cfg.Me, of.To, strconv.FormatUint(seq, 10))
	msg.Data = of.Body
	msg.Header = nats.Header{
		bridge.HeaderSubject:  {of.Subject},
		bridge.HeaderOrigin:   {string(o.cfg.Me)},
		bridge.HeaderHop:      {hopID(o.cfg.Me, of.Hop)},
		bridge.HeaderCaptured: {of.At.UTC().Format(time.RFC3339Nano)},
		bridge.HeaderMode:     {bridge.ModeClaim},
		bridge.HeaderRule:     {of.Rule},
		bridge.HeaderWithin:   {of.Within.String()},
		bridge.HeaderAttempt:  {strconv.Itoa(of.Attempt)},
	}
	o.trace(msg, bridge.About{ID: of.ID, Context: of.Context}, "", of.To)
	o.metrics.routed.WithLabelValues(string(of.To), of.Rule).Inc()
	l := o.startLane(of.To, 0)
	if l == nil {
		return errNotRunning
	}
	select {
	case l.in <- &item{seq: seq, order: of.Context, id: of.ID, msg: msg, done: func() {}}:
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
