package outbox

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// An item is one copy of an event on its way to one target.
type item struct {
	bridge.Copy

	seq   uint64        // its number: the hop, and of an offer its attempt
	order string        // of items with the same order only one parcel is in flight
	event *bridge.Event // nil if it is none of Keptn's, or an offer
	id    string        // of an offer's event
	more  bool          // others follow at once
	done  func()        // called once, when the target or RW_HOLD has stored it

	nth    uint64  // when it was added; owned by the flight, as the following
	next   *item   // of the same order
	parcel *parcel // that it is in; nil: it waits
}

func (it *item) size() int { return len(it.Body) + 512 }

// token ends the subject of an item that travels alone.
func (it *item) token() string {
	if it.Attempt > 1 {
		// The stamp may have been asked before, and has the key.
		return it.Key + "." + strconv.Itoa(it.Attempt)
	}
	return it.Key
}

// header returns what travels with an item that travels alone, or is held.
func (it *item) header(me topology.StampID) nats.Header {
	h := nats.Header{
		bridge.HeaderSubject:  {it.Subject},
		bridge.HeaderOrigin:   {string(me)},
		bridge.HeaderHop:      {hopID(me, it.Hop)},
		bridge.HeaderCaptured: {it.Captured.UTC().Format(time.RFC3339Nano)},
		bridge.HeaderMode:     {it.Mode},
		bridge.HeaderRule:     {it.Rule},
	}
	if it.Within > 0 {
		h[bridge.HeaderWithin] = []string{it.Within.String()}
	}
	if it.Attempt > 0 {
		h[bridge.HeaderAttempt] = []string{strconv.Itoa(it.Attempt)}
	}
	if it.Trace != "" {
		h[bridge.HeaderTrace] = []string{it.Trace}
	}
	return h
}

// copyOf reads what header has written. token is that of the item.
func copyOf(token string, h nats.Header, body []byte) bridge.Copy {
	c := bridge.Copy{
		Subject: h.Get(bridge.HeaderSubject), Mode: h.Get(bridge.HeaderMode), Rule: h.Get(bridge.HeaderRule),
		Trace: h.Get(bridge.HeaderTrace), Body: body,
	}
	c.Key, _, _ = strings.Cut(token, ".")
	// What is not there is zero: only this package writes it.
	c.Captured, _ = time.Parse(time.RFC3339Nano, h.Get(bridge.HeaderCaptured))
	c.Within, _ = time.ParseDuration(h.Get(bridge.HeaderWithin))
	c.Attempt, _ = strconv.Atoi(h.Get(bridge.HeaderAttempt))
	return c
}

// message returns what is sent to the target: one event as it is, or several in
// a pack.
func (p *parcel) message(me, to topology.StampID) *nats.Msg {
	first := p.items[0]
	m := &nats.Msg{Reply: bridge.AckSubject(me, to, strconv.FormatUint(p.n, 10))}
	if len(p.items) == 1 {
		m.Subject, m.Header, m.Data = bridge.EventSubject(to, me, first.token()), first.header(me), first.Body
		return m
	}
	copies := make([]*bridge.Copy, len(p.items))
	for i, it := range p.items {
		copies[i] = &it.Copy
	}
	m.Subject, m.Data = bridge.PackSubject(to, me, copies), bridge.Pack(copies)
	return m
}
