package inbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// An arrival is one event of RW_IN.
type arrival struct {
	seq      place
	from     topology.StampID // as the link's permissions vouch for
	key      bridge.Key
	subject  string // to deliver on
	captured time.Time
	offer    bool
	body     []byte

	origin    topology.StampID // as its header says
	standsFor topology.StampID // a stamp that missed its deadline; empty for a real event
	within    time.Duration    // how long to look for a plane; 0 is as long as it takes
	claim     bool             // deliver with leave of the origin only
	attempt   int              // of a claim
	id        string           // of the event, once it was read
	context   string           // shkeptncontext, once it was read
	hop       string           // where its origin had it, unless it came with others
	nth       uint64           // then: its sequence in RW_OUT of its origin
	trace     string           // its header traceparent
	again     bool             // it was delivered before
	packed    bool             // it came with others
	broken    error            // a pack that cannot be read
}

// readMessage returns the events of a stored message. A pack that cannot be read
// is one arrival, to be put aside.
func readMessage(subject string, h nats.Header, body []byte, seq uint64) []arrival {
	_, from, rest, _ := bridge.Address(subject)
	keys, packed := bridge.PackKeys(rest)
	if !packed {
		return []arrival{read(subject, h, body, seq)}
	}
	from = topology.StampID(strings.Clone(string(from))) // else what waits would keep the subject
	copies, err := bridge.Unpack(keys, body)
	if err != nil {
		return []arrival{{
			seq: placeOf(seq, 0, 1), from: from, origin: from, key: bridge.KeyOf(subject, "", ""), body: bridge.Inflated(body), broken: err,
			subject: subject[:strings.LastIndexByte(subject, '.')], // the rest are keys
		}}
	}
	out := make([]arrival, len(copies))
	for i, c := range copies {
		out[i] = arrival{
			seq: placeOf(seq, i, len(copies)), from: from, origin: from, key: c.Key, subject: c.Subject, captured: c.Captured,
			offer: c.Mode == bridge.ModeOffer, body: c.Body, within: c.Within, nth: c.Hop,
			trace: c.Trace, packed: true,
		}
	}
	return out
}

// read makes an arrival of a message that is one event.
func read(subject string, h nats.Header, body []byte, seq uint64) arrival {
	_, from, rest, _ := bridge.Address(subject)
	key, _, _ := strings.Cut(rest, ".") // a second offer of a task has its number behind the key
	a := arrival{
		seq: placeOf(seq, 0, 1), from: from, key: key, subject: h.Get(bridge.HeaderSubject),
		offer: h.Get(bridge.HeaderMode) == bridge.ModeOffer, body: body,
		origin: topology.StampID(h.Get(bridge.HeaderOrigin)), standsFor: topology.StampID(h.Get(bridge.HeaderFor)),
		claim: h.Get(bridge.HeaderMode) == bridge.ModeClaim, hop: h.Get(bridge.HeaderHop),
		trace: h.Get(bridge.HeaderTrace),
	}
	a.within, _ = time.ParseDuration(h.Get(bridge.HeaderWithin)) // 0 if there is none
	a.attempt, _ = strconv.Atoi(h.Get(bridge.HeaderAttempt))
	if t, err := time.Parse(time.RFC3339Nano, h.Get(bridge.HeaderCaptured)); err == nil {
		a.captured = t
	}
	return a
}

// event reads an arrival, and checks that it is the event that the stamp which sent
// it calls it: whatever the topology is, then or now. The event is nil if it is none
// of Keptn's, or refused.
func (a *arrival) event() (*bridge.Event, bridge.Reason) {
	switch {
	case a.broken != nil:
		return nil, bridge.ReasonInvalid
	case a.origin != a.from:
		return nil, bridge.ReasonForged
	case !isKeptns(a.subject):
		return nil, bridge.ReasonNone
	}
	e, err := bridge.Parse(a.subject, a.body)
	if err != nil {
		return nil, bridge.ReasonInvalid
	}
	if !e.Has(a.key) {
		return nil, bridge.ReasonForged
	}
	return e, bridge.ReasonNone
}

// A pack is the events of one message.
type pack struct {
	seq uint64
	all []arrival
}

// reread returns an event that waited, as it came.
func (in *Inbox) reread(ctx context.Context, at place) (arrival, error) {
	if a, kept := in.bodies.take(at); kept {
		return a, nil
	}
	if in.lastPack.seq != seqOf(at) {
		all, err := in.readAll(ctx, seqOf(at))
		if err != nil {
			return arrival{}, err
		}
		in.lastPack = pack{}
		if len(all) > 1 { // the next one that waits is mostly in the same
			in.lastPack = pack{seqOf(at), all}
		}
		if i := indexOf(at); i < len(all) {
			return all[i], nil
		}
		return arrival{}, fmt.Errorf("read %s: %w", StreamIn, jetstream.ErrMsgNotFound)
	}
	return in.lastPack.all[indexOf(at)], nil
}

// readAll reads the events of a message again.
func (in *Inbox) readAll(ctx context.Context, seq uint64) ([]arrival, error) {
	m, err := jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return in.stream.GetMsg(ctx, seq) })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", StreamIn, err)
	}
	return readMessage(m.Subject, m.Header, m.Data, m.Sequence), nil
}
