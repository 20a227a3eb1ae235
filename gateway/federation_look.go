package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

// look is what is known when a Federation is put together.
type look struct {
	mesh *topology.Mesh
	me   topology.StampID
	all  map[topology.StampID]heard
}

func (l look) report(s *topology.Stamp) StampReport {
	h := l.all[s.ID]
	r := StampReport{
		Stamp: s.ID, Geo: s.Geo, Ring: s.Ring, Via: l.via(s), Control: s.Control, Answered: h.status != nil, Took: h.took.Seconds(),
		Canary: l.canary(s.ID), Outbox: l.heldFor(s.ID), Clock: h.clock.Seconds(), Causes: []Cause{}, Status: h.status,
	}
	if h.err != nil {
		r.Err = h.err.Error()
	}
	r.Way = l.way(s.ID, r)
	if r.Way == WayDown {
		r.Causes = append(r.Causes, l.cut(s, r))
	}
	if st := h.status; st != nil {
		for _, w := range st.Waiting {
			r.Waiting += w.Count
		}
		if len(st.Expires) > 0 {
			r.Expires = &st.Expires[0]
		}
		r.Causes = append(r.Causes, ownCauses(st)...)
	}
	return r
}

// way is what canaries say, and without them whether the stamp answered.
func (l look) way(id topology.StampID, r StampReport) string {
	switch h := l.all[id]; {
	case id == l.me:
		return WayHere
	case r.Canary != nil && r.Canary.From == l.me:
		if r.Canary.Stale || !r.Answered && !errors.Is(h.err, ctl.ErrRefused) {
			return WayDown
		}
		return WayUp
	case r.Answered:
		return WayUp
	case !errors.Is(h.err, ctl.ErrRefused):
		return WayDown
	case r.Canary == nil:
		return WayUnknown
	case r.Canary.Stale:
		return WayDown
	}
	return WayUp
}

// canary returns what we know of the way to a stamp, or the best that others
// know.
func (l look) canary(id topology.StampID) *CanaryReport {
	var best *CanaryReport
	for _, from := range l.mesh.Stamps {
		st := l.all[from.ID].status
		if st == nil || from.ID == id {
			continue
		}
		for _, p := range st.Peers {
			if p.Stamp != id {
				continue
			}
			c := canaryReport(from.ID, p)
			if from.ID == l.me {
				return c
			}
			if best == nil || c.Age < best.Age {
				best = c
			}
		}
	}
	return best
}

func canaryReport(from topology.StampID, p PeerStatus) *CanaryReport {
	seconds := func(text string) float64 {
		d, _ := time.ParseDuration(text) // ours; nothing is 0
		return d.Seconds()
	}
	return &CanaryReport{
		From: from, Age: seconds(p.Age), RTT: seconds(p.RTT), Delay: seconds(p.Delay), Lost: p.Lost, Of: p.Of,
		Never: p.Last.IsZero(), Stale: p.Stale, Err: p.Err,
	}
}

// heldFor counts what stamps hold for another.
func (l look) heldFor(id topology.StampID) int64 {
	var n int64
	for _, h := range l.all {
		if h.status == nil {
			continue
		}
		for _, t := range h.status.Targets {
			if t.Stamp == id {
				n += t.Held
			}
		}
	}
	return n
}

// via says how a stamp takes part in the network.
func (l look) via(s *topology.Stamp) string {
	if s.Link.Kind == topology.LinkHub {
		return "gateway"
	}
	kind := "leaf"
	if s.Link.Transport == topology.TransportWSS {
		kind = "wss"
	}
	_, addr := l.dials(s)
	if _, port, err := net.SplitHostPort(addr); err == nil {
		return kind + ":" + port
	}
	return kind
}

// dials returns which hub a leaf dials, and where: the one it is connected to,
// if it told us, or else its first.
func (l look) dials(s *topology.Stamp) (hub topology.StampID, addr string) {
	if st := l.all[s.ID].status; st != nil {
		for _, k := range st.Links {
			if k.Kind == string(node.KindLeafOut) {
				return topology.StampID(k.Peer), k.Addr
			}
		}
	}
	for _, id := range s.Link.Via {
		if h := l.mesh.Stamp(id); h != nil {
			return id, h.Link.Advertise.For(s.Link.Transport)
		}
	}
	return "", ""
}

// cut says why nothing gets through to a stamp: the first link on the way that
// is down, seen from here.
func (l look) cut(s *topology.Stamp, r StampReport) Cause {
	c := Cause{Code: CodeLink, Waits: r.Outbox}
	c.Since = l.silentSince(s.ID)
	if own := l.all[l.me].status; own != nil {
		for _, k := range own.Links {
			switch {
			case k.Up || k.Kind == string(node.KindExternal):
			case k.Kind == string(node.KindLeafOut), k.Kind == string(node.KindOwn), k.Kind == string(node.KindGateway) && l.leads(k.Peer, s):
				c.Side, c.Addr, c.Since = string(l.me)+" → "+k.Peer, k.Addr, k.Since
				c.Reason = fmt.Sprintf("%s link is down: %s", k.Kind, cmp.Or(k.Err, "not connected"))
				return c
			}
		}
	}
	if s.Link.Kind == topology.LinkHub {
		c.Side, c.Addr = string(l.me)+" → "+string(s.ID), s.Link.Advertise.Gateway
		c.Code = CodeSilent
		c.Reason = "nothing gets through, though no link of " + string(l.me) + " is down: " + l.silence(r)
		return c
	}
	if hub, addr := l.connected(s.ID); hub != "" {
		c.Code, c.Side, c.Addr = CodeSilent, string(s.ID), addr
		c.Reason = fmt.Sprintf("its leafnode is connected to %s, and its gateway does not answer: %s", hub, l.silence(r))
		return c
	}
	hub, addr := l.dials(s)
	c.Side, c.Addr = string(s.ID)+" → "+string(hub), addr
	c.Reason = "no leafnode connection from it: " + l.silence(r) + "; it dials " + addr
	return c
}

// leads reports whether the way to s may go by a hub.
func (l look) leads(hub string, s *topology.Stamp) bool {
	if string(s.ID) == hub {
		return true
	}
	at, _ := l.connected(s.ID)
	if at == "" && len(s.Link.Via) > 0 {
		at = s.Link.Via[0]
	}
	return string(at) == hub
}

// connected returns the hub that has a leafnode connection from a stamp, as the
// hub says, and from where it comes.
func (l look) connected(leaf topology.StampID) (hub topology.StampID, addr string) {
	for id, h := range l.all {
		if h.status == nil {
			continue
		}
		for _, k := range h.status.Links {
			if k.Kind == string(node.KindLeafIn) && k.Peer == string(leaf) && k.Up {
				return id, k.Addr
			}
		}
	}
	return "", ""
}

// silence says what became of the last try to reach a stamp.
func (l look) silence(r StampReport) string {
	if r.Canary != nil && r.Canary.Err != "" {
		return r.Canary.Err
	}
	return cmp.Or(r.Err, "no answer")
}

// silentSince returns when something last got through to a stamp from here.
func (l look) silentSince(id topology.StampID) time.Time {
	if own := l.all[l.me].status; own != nil {
		for _, p := range own.Peers {
			if p.Stamp == id {
				return p.Last
			}
		}
	}
	return time.Time{}
}

// ownCauses is what a stamp says is wrong with it.
func ownCauses(s *Status) []Cause {
	out := make([]Cause, 0, len(s.Causes))
	for _, text := range s.Causes {
		c := Cause{Side: string(s.Stamp), Reason: text}
		if h := s.Hold.causes(); len(h) > 0 && h[0] == text {
			c.Code, c.Since = CodeHeld, s.Hold.Since
		}
		out = append(out, c)
	}
	return out
}

// once takes out what a stamp says of others that are down, and of the link that
// is the cause: it stands there already, with more.
func once(all []StampReport) {
	var cuts []Cause
	var said []string // how what is left out begins
	for _, r := range all {
		if r.Way == WayDown {
			cuts = append(cuts, r.Causes[0])
			said = append(said, silentPeer(r.Stamp), staleCanary(r.Stamp))
		}
	}
	for i := range all {
		me := string(all[i].Stamp)
		all[i].Causes = slices.DeleteFunc(all[i].Causes, func(c Cause) bool {
			if c.Side != me || c.Code != "" {
				return false
			}
			return slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(c.Reason, s) }) ||
				slices.ContainsFunc(cuts, func(k Cause) bool {
					return strings.HasPrefix(k.Side, me+" → ") && strings.Contains(c.Reason, " link to ") && strings.Contains(c.Reason, k.Addr)
				})
		})
	}
}
