package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/topology"
)

// A Federation is how all stamps are, as the gateway of one sees them and as
// they say themselves. It is what /federation shows. Times are RFC 3339,
// durations seconds.
type Federation struct {
	APIVersion string           `json:"apiVersion"` // ringway/v1
	Kind       string           `json:"kind"`       // Federation
	Name       string           `json:"name"`
	Hash       string           `json:"hash"`  // of the topology in force here
	Asked      topology.StampID `json:"asked"` // whose gateway says all this
	At         time.Time        `json:"at"`
	Stamps     []StampReport    `json:"stamps"` // by geo, ring and name
}

// The states of the way to a stamp.
const (
	WayHere    = "here"    // it is the stamp that was asked
	WayUp      = "up"      // events get through
	WayDown    = "down"    // they do not
	WayUnknown = "unknown" // it does not tell us, and nobody else says
)

// A StampReport is one stamp of a Federation.
type StampReport struct {
	Stamp    topology.StampID `json:"stamp"`
	Geo      topology.Geo     `json:"geo"`
	Ring     topology.Ring    `json:"ring"`
	Way      string           `json:"way"`               // here, up, down or unknown
	Via      string           `json:"via"`               // how it takes part: hub, gateway, leaf:7422 or wss:443
	Control  bool             `json:"control,omitempty"` // it has a control plane
	Answered bool             `json:"answered"`          // the status below is its own, of now
	Err      string           `json:"err,omitempty"`     // why it did not answer
	Took     float64          `json:"took,omitempty"`

	// Canary is how events last got through to it: from us, or from a stamp
	// that exchanges events with it.
	Canary *CanaryReport `json:"canary,omitempty"`
	// Clock is its clock minus ours; zero if it did not answer.
	Clock float64 `json:"clock,omitempty"`

	Outbox  int64 `json:"outbox"`  // events that stamps which answered hold for it
	Waiting int   `json:"waiting"` // events in it that wait for somebody to take them
	// Expires is what of its identity and certificates expires first.
	Expires *Expiry `json:"expires,omitempty"`
	Causes  []Cause `json:"causes"` // what is wrong, the way to it first
	Status  *Status `json:"status,omitempty"`
}

// A CanaryReport is what a stamp's canaries found of the way to another.
type CanaryReport struct {
	From  topology.StampID `json:"from"`
	Age   float64          `json:"age"`             // since one got through, or since the first was sent
	RTT   float64          `json:"rtt,omitempty"`   // there and back
	Delay float64          `json:"delay,omitempty"` // there
	Lost  int              `json:"lost"`            // of the last Of
	Of    int              `json:"of"`
	Never bool             `json:"never,omitempty"` // none got through yet
	Stale bool             `json:"stale,omitempty"` // none for too long
	Err   string           `json:"err,omitempty"`
}

// A Cause is one thing that is wrong.
type Cause struct {
	Code   string    `json:"code,omitempty"` // in docs/errors.md
	Side   string    `json:"side"`           // the stamp, or "dialler → dialled"
	Addr   string    `json:"addr,omitempty"` // host:port that is dialled
	Reason string    `json:"reason"`
	Since  time.Time `json:"since,omitzero"`
	Waits  int64     `json:"waits,omitempty"` // events that are held because of it
}

// String says it in a line.
func (c Cause) String() string {
	s := c.Reason
	if c.Addr != "" && !strings.Contains(s, c.Addr) {
		s += " at " + c.Addr
	}
	if strings.Contains(c.Side, " → ") {
		s += " (side: " + c.Side + ")"
	}
	if c.Waits > 0 {
		s += fmt.Sprintf("; %d events wait for it", c.Waits)
	}
	return s
}

// askLimit is how long other stamps are waited for, unless the one who asks us
// says otherwise.
const askLimit = 3 * time.Second

// Federation asks all stamps how they are. It returns when all have answered, or
// when ctx ends or three seconds have passed; those that have not answered then
// are reported as such.
func (g *Gateway) Federation(ctx context.Context) Federation {
	f := g.force.Load()
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	me := f.view.Me.ID
	own := g.fullStatus(ctx)
	// Of several replicas the active one knows more.
	standby := own.Replica != nil && !own.Replica.Active
	var ask []topology.StampID
	for _, s := range f.view.Stamps {
		if s.ID != me || standby {
			ask = append(ask, s.ID)
		}
	}
	said := map[topology.StampID]heard{}
	for _, a := range g.asker(ctx, bridge.ShowStatus, ask) {
		said[a.Stamp] = hear(a)
	}
	if h, ok := said[me]; !ok || h.status == nil {
		said[me] = hearOwn(own)
	}
	return survey(f.declared(), me, f.view.Hash, said, time.Now())
}

// asker puts a question to stamps. Before the bridge is connected nobody is
// asked.
func (g *Gateway) asker(ctx context.Context, what string, stamps []topology.StampID) []ctl.Answer {
	if a := g.ctl.Load(); a != nil {
		return a.Ask(ctx, what, stamps)
	}
	out := make([]ctl.Answer, 0, len(stamps))
	for _, s := range stamps {
		out = append(out, ctl.Answer{Stamp: s, Err: errNotConnected})
	}
	return out
}

var errNotConnected = errors.New("not asked: the bridge of this gateway is not connected yet")

// heard is what one stamp said, or why it did not.
type heard struct {
	status *Status
	took   time.Duration
	clock  time.Duration // its clock minus ours
	err    error
}

func hear(a ctl.Answer) heard {
	h := heard{took: a.Took, err: a.Err}
	if a.Err != nil {
		return h
	}
	s := &Status{}
	if err := json.Unmarshal(a.Body, s); err != nil {
		h.err = fmt.Errorf("answer unreadable: %w", err)
		return h
	}
	h.status = s
	if !s.At.IsZero() {
		h.clock = s.At.Sub(a.Asked.Add(a.Took / 2))
	}
	return h
}

func hearOwn(s Status) heard { return heard{status: &s} }

// survey puts together what was heard.
func survey(m *topology.Mesh, me topology.StampID, hash string, all map[topology.StampID]heard, now time.Time) Federation {
	out := Federation{APIVersion: "ringway/v1", Kind: "Federation", Name: m.Name, Hash: hash, Asked: me, At: now.UTC(), Stamps: []StampReport{}}
	l := look{mesh: m, me: me, all: all}
	for _, s := range m.Stamps {
		out.Stamps = append(out.Stamps, l.report(s))
	}
	once(out.Stamps)
	rings := func(r topology.Ring) int { return slices.Index(m.Rings, r) }
	slices.SortStableFunc(out.Stamps, func(a, b StampReport) int {
		return cmp.Or(cmp.Compare(a.Geo, b.Geo), cmp.Compare(rings(a.Ring), rings(b.Ring)), cmp.Compare(a.Stamp, b.Stamp))
	})
	return out
}

// declared returns the mesh as the file says it, with the addresses that others
// dial and not those at which this process reaches hubs.
func (f *inForce) declared() *topology.Mesh {
	if spec, err := topology.Load("topology", f.document); err == nil {
		if m, err := topology.Compile(spec); err == nil {
			return m
		}
	}
	return f.view.Mesh // it was in order when it was put in force
}
