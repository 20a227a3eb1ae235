package node

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// leaves returns the leafnode connections of e in account a.
func (p *plan) leaves(e *engine, a Account) []*server.LeafInfo {
	if e == nil {
		return nil
	}
	z, err := e.Leafz(&server.LeafzOptions{Account: p.creds.key(a)})
	if err != nil {
		return nil // Leafz has no way to fail
	}
	return z.Leafs
}

// seenOwn looks for the leafnode between the two servers of a hub.
func (p *plan) seenOwn(local *engine) LinkState {
	s := LinkState{Peer: p.view.Me.ID, Kind: KindOwn, Addr: p.at.leafnode.reach()}
	for _, l := range p.leaves(local, FED) {
		s.Up, s.RTT = true, duration(l.RTT)
	}
	return s
}

// seenHub looks for the leafnode of a leaf stamp to one of its hubs.
func (p *plan) seenHub(local *engine) LinkState {
	first := p.view.Me.Link.Via[0]
	s := LinkState{Peer: first, Kind: KindLeafOut}
	if u, err := p.hubURL(first); err == nil {
		s.Addr = u.Host
	}
	for _, l := range p.leaves(local, FED) {
		s.Up, s.RTT, s.Addr = true, duration(l.RTT), net.JoinHostPort(l.IP, strconv.Itoa(l.Port))
		s.Peer = stampOf(l.Name)
	}
	return s
}

// seenExternal looks for the leafnode to an external NATS.
func (p *plan) seenExternal(local *engine) LinkState {
	s := LinkState{Peer: p.view.Me.ID, Kind: KindExternal}
	if u, err := url.Parse(p.view.Me.Clients.Leafnode); err == nil {
		s.Addr = u.Host
	}
	for _, l := range p.leaves(local, APP) {
		s.Up, s.RTT = true, duration(l.RTT)
	}
	return s
}

// seenGateways looks for the connections to every other hub. A hub sends over
// the connection that it made, so one direction alone is not a link.
func (p *plan) seenGateways(link *engine) []LinkState {
	z := &server.Gatewayz{}
	if link != nil {
		if now, err := link.Gatewayz(nil); err == nil {
			z = now
		}
	}
	var all []LinkState
	for _, hub := range p.others() {
		s := LinkState{Peer: hub.ID, Kind: KindGateway, Addr: hub.Link.Advertise.Gateway}
		out, in := z.OutboundGateways[linkName(hub.ID)], z.InboundGateways[linkName(hub.ID)]
		// A hub's servers each make one connection; of several replicas the
		// others see none of it.
		s.Up = out != nil && (len(in) > 0 || p.replicated())
		if out != nil && out.Connection != nil {
			s.RTT = duration(out.Connection.RTT)
		}
		all = append(all, s)
	}
	return all
}

// seenLeaves lists the leaf stamps that are connected to this hub.
func (p *plan) seenLeaves(link *engine) []LinkState {
	var all []LinkState
	for _, l := range p.leaves(link, FED) {
		peer := stampOf(l.Name)
		if peer == p.view.Me.ID || slices.ContainsFunc(all, func(s LinkState) bool { return s.Peer == peer }) {
			continue // its own, or another replica
		}
		all = append(all, LinkState{
			Peer: peer, Kind: KindLeafIn, Up: true, RTT: duration(l.RTT),
			Addr: net.JoinHostPort(l.IP, strconv.Itoa(l.Port)),
		})
	}
	return all
}

// duration reads the server's way to write a time; 0 if it says nothing.
func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return d
}
