package node

import (
	"time"

	"github.com/ringway/ringway/topology"
)

// A LinkKind says what a link is made of.
type LinkKind string

// The kinds of link.
const (
	KindOwn      LinkKind = "own"      // hub: between the two servers of the stamp
	KindGateway  LinkKind = "gateway"  // hub: to another hub; up when both directions are
	KindLeafOut  LinkKind = "leaf-out" // leaf stamp: to a hub
	KindLeafIn   LinkKind = "leaf-in"  // hub: from a leaf stamp; there only while it is up
	KindExternal LinkKind = "external" // to the NATS that was there before
)

// A LinkState is one connection to another server as it is now.
type LinkState struct {
	Peer  topology.StampID // the other stamp; for KindOwn and KindExternal the stamp itself
	Kind  LinkKind
	Addr  string // host:port that is dialled; for KindLeafIn where the peer comes from
	Up    bool
	Since time.Time     // when it was seen to go up or down
	RTT   time.Duration // round trip at the last ping; 0 if not known
	Err   string        // why it is down, as far as the server said
}

// id tells a link from the others of the same Node.
func (l LinkState) id() string { return string(l.Kind) + " " + string(l.Peer) }

// Links returns every link there should be, and every leaf that is connected.
func (n *Node) Links() []LinkState { return n.links.list() }

// observe asks the servers for their connections and returns the links, in
// order, without Since and Err.
func (n *Node) observe() []LinkState {
	n.mu.RLock()
	p, local, link := n.plan, n.local, n.link
	n.mu.RUnlock()
	var all []LinkState
	if p.hub() {
		all = append(all, p.seenOwn(local))
		all = append(all, p.seenGateways(link)...)
		all = append(all, p.seenLeaves(link)...)
	} else {
		all = append(all, p.seenHub(local))
	}
	if p.view.Me.Clients.Mode == topology.ClientsExternal {
		all = append(all, p.seenExternal(local))
	}
	return all
}
