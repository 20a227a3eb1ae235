package topology

// Bounds beyond which a topology is doubtful, by the model in capacity.go;
// docs/scale.md says why these.
const (
	// maxMeshConnections among hubs is the largest full mesh that was measured
	// to form in seconds: 50 hubs of one replica.
	maxMeshConnections = 50 * 49
	// A process may open 1024 files on many systems unless told otherwise.
	maxHubDescriptors = 1024
	maxHubMemory      = 512.0 // MB
	// maxIdlePerSecond bounds the canaries of a stamp, in messages a second.
	maxIdlePerSecond = 1000.0
)

// size warns of a federation that is too large in some place.
func (c *compiler) size() {
	if c.rough || len(c.problems) > 0 {
		return
	}
	hubs := c.m.Hubs()
	servers := 0
	for _, h := range hubs {
		servers += max(h.Replicas, 1)
	}
	mesh := servers * (len(hubs) - 1)
	if len(hubs) <= maxHubs && mesh > maxMeshConnections {
		c.warn("stamps", "lessen the replicas of hubs, or make some of them leaves",
			"%d servers of %d hubs hold %d connections among each other: more than %d take long to form", servers, len(hubs), mesh, maxMeshConnections)
	}
	for _, h := range hubs {
		c.leavesOf(h, len(hubs))
	}
	c.canaries()
}

// canaries warns of a control plane whose stages have very many stamps. Routes
// and policies are left out: with them it would take minutes at worst.
func (c *compiler) canaries() {
	if IdlePerSecond(len(c.m.Stamps)) <= maxIdlePerSecond {
		return
	}
	peers := map[StampID]map[StampID]bool{}
	for _, r := range c.m.Stages {
		for _, owner := range c.m.ownersOf(r) {
			if peers[owner] == nil {
				peers[owner] = map[StampID]bool{}
			}
			for _, s := range r.Stamps {
				peers[owner][s] = true
			}
			delete(peers[owner], owner)
		}
	}
	for _, s := range c.m.Stamps {
		n := len(peers[s.ID])
		if rate := IdlePerSecond(n); rate > maxIdlePerSecond {
			c.warn(c.pathOf(s), "spread the stages over several control planes, or lengthen events.canaryInterval",
				"stamp %q exchanges events with %d others: canaries alone are %.0f messages a second, more than %.0f", s.ID, n, rate, maxIdlePerSecond)
		}
	}
}

// leavesOf warns of a hub with more leaves than it carries when the worst other
// hub for it is lost.
func (c *compiler) leavesOf(hub *Stamp, hubs int) {
	own, worst, from := 0, 0, map[StampID]int{}
	for _, s := range c.m.Stamps {
		switch via := s.Link.Via; {
		case len(via) > 0 && via[0] == hub.ID:
			own += max(s.Replicas, 1)
		case len(via) > 1 && via[1] == hub.ID:
			from[via[0]] += max(s.Replicas, 1)
			worst = max(worst, from[via[0]])
		}
	}
	u := OneHub(hubs, own+worst, len(c.m.Stamps))
	if u.Descriptors <= maxHubDescriptors && u.Memory <= maxHubMemory {
		return
	}
	c.warn(c.pathOf(hub)+".link", "spread the leaves over more hubs, by link.via",
		"hub %q has %d leaf connections, and %d when another hub is lost: about %.0f descriptors (%d) and %.0f MB (%.0f)",
		hub.ID, own, own+worst, u.Descriptors, maxHubDescriptors, u.Memory, maxHubMemory)
}
