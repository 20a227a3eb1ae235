package gateway

import (
	"cmp"
	"fmt"
	"time"

	"github.com/ringway/ringway/bridge/canary"
	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

const (
	// staleAfter is after how many intervals without a canary a peer counts as
	// out of reach.
	staleAfter = 3
	// maxOffset is how far apart two clocks may be before the status says so:
	// deadlines and certificates depend on them.
	maxOffset = 30 * time.Second
)

// A PeerStatus is the way to a stamp that this one exchanges events with, and
// back, as canaries find it.
type PeerStatus struct {
	Stamp    topology.StampID `json:"stamp"`
	Via      string           `json:"via"`             // kind, peer and address of the link that leads there
	Last     time.Time        `json:"last,omitzero"`   // when one last got through, by our clock
	Age      string           `json:"age"`             // for how long none has
	RTT      string           `json:"rtt,omitempty"`   // there and back
	Delay    string           `json:"delay,omitempty"` // there
	Offset   string           `json:"offset"`          // its clock minus ours
	Lost     int              `json:"lost"`            // of the last Of
	Of       int              `json:"of"`
	Topology string           `json:"topology,omitempty"` // hash in force there
	Version  string           `json:"version,omitempty"`  // of the program there
	Hold     string           `json:"hold,omitempty"`     // why it holds what begins something new: frozen or draining
	Err      string           `json:"err,omitempty"`      // why the last one failed
	Stale    bool             `json:"stale,omitempty"`    // none got through for three intervals

	causes []string
}

// peerStatus puts what the canaries found in words.
func (g *Gateway) peerStatus(v *topology.View, peers []canary.Peer, links []LinkStatus, now time.Time) []PeerStatus {
	out := make([]PeerStatus, 0, len(peers))
	for _, p := range peers {
		age := p.Age(now)
		s := PeerStatus{
			Stamp: p.Stamp, Via: way(v, p.Stamp, links), Last: p.Last, Age: age.Round(time.Millisecond).String(),
			Offset: p.Offset.Round(time.Microsecond).String(), Lost: p.Lost, Of: p.Of,
			Topology: p.Hash, Version: p.Version, Hold: p.Hold, Err: p.Err,
		}
		if p.RTT > 0 {
			s.RTT, s.Delay = p.RTT.Round(time.Microsecond).String(), p.Delay.Round(time.Microsecond).String()
		}
		if s.Stale = age > staleAfter*g.opts.Events.CanaryInterval; s.Stale {
			s.causes = append(s.causes, fmt.Sprintf("%s for %s, by %s: %s",
				staleCanary(p.Stamp), age.Round(time.Second), s.Via, cmp.Or(p.Err, "no answer")))
		}
		if p.Offset.Abs() > maxOffset {
			s.causes = append(s.causes, fmt.Sprintf("clock of stamp %s is %s %s ours", p.Stamp, p.Offset.Abs().Round(time.Second), side(p.Offset)))
		}
		out = append(out, s)
	}
	return out
}

func side(offset time.Duration) string {
	if offset > 0 {
		return "ahead of"
	}
	return "behind"
}

// way names the link that leads to a peer: its own, that of the hubs it may be
// connected to, or the only one there is.
func way(v *topology.View, to topology.StampID, links []LinkStatus) string {
	var hubs []topology.StampID
	if s := v.Stamp(to); s != nil {
		hubs = s.Link.Via
	}
	var best *LinkStatus
	rank := 0
	for i := range links {
		l := &links[i]
		r := 0
		switch {
		case l.Kind == string(node.KindOwn) || l.Kind == string(node.KindExternal):
		case l.Peer == string(to):
			r = 4 + 2*len(hubs)
		case l.Kind == string(node.KindLeafOut):
			r = 1
		default:
			for n, h := range hubs {
				if l.Peer == string(h) && l.Kind == string(node.KindGateway) {
					r = 2 + len(hubs) - n
				}
			}
		}
		if l.Up {
			r *= 2
		}
		if r > rank {
			best, rank = l, r
		}
	}
	if best == nil {
		return "no link"
	}
	return fmt.Sprintf("%s link to %s at %s", best.Kind, best.Peer, best.Addr)
}

// frozen reports whether a stamp said last that an operator has it hold tasks.
func frozen(asker *canary.Asker, id topology.StampID) bool {
	if asker == nil {
		return false
	}
	for _, p := range asker.Peers() {
		if p.Stamp == id {
			return p.Hold != ""
		}
	}
	return false
}

// unheard reports whether no canary has come back from a stamp for too long.
func (g *Gateway) unheard(asker *canary.Asker, id topology.StampID) bool {
	if asker == nil {
		return false
	}
	now := time.Now()
	for _, p := range asker.Peers() {
		if p.Stamp == id {
			return p.Age(now) > staleAfter*g.opts.Events.CanaryInterval
		}
	}
	return false
}
