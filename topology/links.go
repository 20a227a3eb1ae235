package topology

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// maxHubs is how many hubs a supercluster carries well: links among hubs grow
// with the square of their number, and measured full meshes form in 2 s at 50
// hubs and in 90 s at 90.
const maxHubs = 30

// links completes and checks how the stamps reach each other.
func (c *compiler) links() {
	if c.rough {
		return
	}
	hubs := c.m.Hubs()
	if len(hubs) > maxHubs {
		c.warn("stamps", "make most of them leaves of a few hubs", "%d hubs: more than %d take long to find each other", len(hubs), maxHubs)
	}
	if len(hubs) == 0 && len(c.m.Stamps) > 1 {
		c.bad("stamps", "give at least one stamp link: {kind: hub}", "no stamp is a hub, so no two can reach each other")
		return
	}
	dialled := map[StampID]map[Transport]bool{}
	for _, s := range c.m.Stamps {
		path := c.pathOf(s)
		if s.Link.Kind == LinkLeaf {
			c.leaf(path, s, hubs, dialled)
			continue
		}
		if len(hubs) > 1 && s.Link.Advertise.Gateway == "" {
			c.bad(path+".link.advertise.gateway", "write the host:port at which other hubs reach it", "is missing: hub %q cannot be reached", s.ID)
		}
		if !s.Control && !s.Trusted {
			c.warn(path+".link.kind", "make it a leaf, or write trusted: true",
				"execution stamp %q is a hub, and a hub can read and send as any stamp", s.ID)
		}
	}
	c.listeners(dialled)
}

func (c *compiler) pathOf(s *Stamp) string { return fmt.Sprintf("stamps[%d]", c.at[s.ID]) }

// leaf checks or completes the hubs of a leaf.
func (c *compiler) leaf(path string, s *Stamp, hubs []*Stamp, dialled map[StampID]map[Transport]bool) {
	if len(s.Link.Via) == 0 {
		s.Link.Via = nearestHubs(s, hubs)
	}
	seen := map[StampID]bool{}
	for i, id := range s.Link.Via {
		at := fmt.Sprintf("%s.link.via[%d]", path, i)
		hub := c.m.Stamp(id)
		switch {
		case hub == nil:
			c.bad(at, "name a hub", "there is no stamp %q", id)
		case id == s.ID:
			c.bad(at, "name a hub", "stamp %q is reached via itself", id)
		case hub.Link.Kind != LinkHub:
			c.bad(at, "name a hub, or make it one", "stamp %q is a leaf itself", id)
		case seen[id]:
			c.bad(at, "", "hub %q is there twice", id)
		default:
			if dialled[id] == nil {
				dialled[id] = map[Transport]bool{}
			}
			dialled[id][s.Link.Transport] = true
		}
		seen[id] = true
	}
}

// nearestHubs orders hubs for a leaf that names none: its own geo first, and
// only those that say where they are dialled over its transport, if any does.
// Within a geo each leaf has an order of its own, so that leaves spread over the
// hubs, and one that is added or goes moves no leaf but its own.
func nearestHubs(s *Stamp, hubs []*Stamp) []StampID {
	offers := func(h *Stamp) bool { return h.Link.Advertise.For(s.Link.Transport) != "" }
	anyOffers := slices.ContainsFunc(hubs, offers)
	var near, far []StampID
	for _, h := range hubs {
		if anyOffers && !offers(h) {
			continue
		}
		if h.Geo == s.Geo {
			near = append(near, h.ID)
		} else {
			far = append(far, h.ID)
		}
	}
	rank := func(h StampID) uint64 {
		sum := sha256.Sum256([]byte(string(s.ID) + " " + string(h)))
		return binary.BigEndian.Uint64(sum[:])
	}
	byRank := func(a, b StampID) int { return cmp.Compare(rank(a), rank(b)) }
	slices.SortStableFunc(near, byRank)
	slices.SortStableFunc(far, byRank)
	return slices.Concat(near, far)
}

// listeners checks that every hub that leaves dial says where.
func (c *compiler) listeners(dialled map[StampID]map[Transport]bool) {
	for _, s := range c.m.Stamps {
		for _, t := range []Transport{TransportTLS, TransportWSS} {
			if !dialled[s.ID][t] {
				continue
			}
			key, addr := "leafnode", s.Link.Advertise.Leafnode
			if t == TransportWSS {
				key, addr = "websocket", s.Link.Advertise.WebSocket
			}
			if addr == "" {
				c.bad(c.pathOf(s)+".link.advertise."+key, "write the host:port at which leaves reach it",
					"is missing: leaves dial hub %q over %s", s.ID, t)
			}
		}
	}
}
