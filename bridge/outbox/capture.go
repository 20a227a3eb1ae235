package outbox

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// overhead is room for the headers that an event travels with. A client may
// publish what is as big as NATS takes, and that could never be sent on.
const overhead = 4 << 10

// captured is one event of RW_OUT and where it goes.
type captured struct {
	seq      uint64
	at       time.Time
	subject  string        // the client's
	event    *bridge.Event // nil if it is none of Keptn's
	key      bridge.Key
	order    string // events with the same order are kept in order
	decision bridge.Decision
	trace    string // the header that it came with; empty if nothing is traced
	more     bool   // others follow at once
}

// capture reads one message of RW_OUT, and routes it by router.
func (o *Outbox) capture(m jetstream.Msg, router *bridge.Router, seq uint64, at time.Time) *captured {
	c := &captured{seq: seq, at: at, subject: strings.TrimPrefix(m.Subject(), bridge.CapturePrefix)}
	if o.cfg.Trace != nil {
		c.trace = m.Headers().Get(bridge.HeaderTrace)
	}
	if !c.keptn() {
		c.key = bridge.KeyOf(o.customID(m, seq), "", c.subject)
		c.order = c.subject
		c.decision = router.Custom(c.subject, topology.RouteDurable)
		return c
	}
	e, err := bridge.Parse(c.subject, m.Data())
	if err != nil {
		c.decision = bridge.Decision{Refused: bridge.ReasonInvalid, Tried: []string{err.Error()}}
		return c
	}
	c.event = e
	c.key = e.Key()
	c.order = e.Context
	if e.Unaddressed() && o.cfg.GivenBy != nil {
		if key, ok := e.About(); ok {
			e.GivenBy = o.cfg.GivenBy(key)
		}
	}
	c.decision = router.Route(e)
	return c
}

// keptn reports whether it was published under sh.keptn., event or not.
func (c *captured) keptn() bool { return strings.HasPrefix(c.subject, "sh.keptn.") }

// fits refuses an event that is to be sent and could never be.
func (c *captured) fits(size int, limit int64) {
	over := int64(size+overhead) - limit
	if over > 0 && len(c.decision.Targets)+len(c.decision.Candidates) > 0 {
		c.decision = bridge.Decision{
			Refused: bridge.ReasonInvalid, Tried: []string{fmt.Sprintf("%d bytes too big to be sent with its headers", over)},
		}
	}
}

// customID is the identity of a message that is no CloudEvent: what its
// publisher says, else its place in RW_OUT.
func (o *Outbox) customID(m jetstream.Msg, seq uint64) string {
	if id := m.Headers().Get(nats.MsgIdHdr); id != "" {
		return id
	}
	return hopID(o.cfg.Me, seq)
}

func hopID(me topology.StampID, seq uint64) string {
	return string(me) + ":" + strconv.FormatUint(seq, 10)
}

// given returns the event as a task given to other stamps; nil if it is none.
func (c *captured) given(body []byte) *bridge.Given {
	if c.decision.Rule == nil || len(c.decision.Targets)+len(c.decision.Candidates) == 0 {
		return nil
	}
	return &bridge.Given{Event: c.event, Subject: c.subject, Body: body, Seq: c.seq, At: c.at, Decision: c.decision}
}

// item makes the copy for one target. done is called once the copy is stored
// elsewhere.
func (c *captured) item(t bridge.Target, body []byte, done func()) *item {
	it := &item{seq: c.seq, order: c.order, event: c.event, more: c.more, done: done, Copy: bridge.Copy{
		Key: c.key, Subject: c.subject, Hop: c.seq, Captured: c.at, Mode: bridge.ModeWait, Rule: t.Rule, Body: body,
	}}
	if c.decision.Offer {
		it.Mode = bridge.ModeOffer
	}
	if rule := c.decision.Rule; rule != nil && len(c.decision.Targets) > 1 {
		it.Within = rule.StartWithin
	}
	return it
}
