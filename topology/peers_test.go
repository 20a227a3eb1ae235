package topology_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

const peers = `
apiVersion: ringway/v1
kind: Topology
name: peers
geos: [eu]
rings: [dev, prod]
stamps:
  - {name: hub, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "hub:7222", leafnode: "hub:7422"}}}
  - {name: two, geo: eu, ring: dev, roles: [control], link: {via: [hub]}}
  - {name: a, geo: eu, ring: dev, link: {via: [hub]}}
  - {name: b, geo: eu, ring: prod, link: {via: [hub]}}
  - {name: c, geo: eu, ring: prod, link: {via: [hub]}}
  - {name: idle, geo: eu, ring: prod, link: {via: [hub]}}
controlPlanes: [{name: k, stamp: hub}, {name: l, stamp: two, projects: [shop]}]
stages:
  - {name: dev, ring: dev, stamps: [a]}
  - {name: prod, ring: prod, stamps: [b], projects: [shop]}
routes: [{name: r, subject: orders.>, from: {stamps: [b, c]}, to: {stamps: [c, a]}}]
policies: [{name: p, effect: deny, from: {stamps: [c]}, to: {stamps: [a]}}]
`

// TestPeers: who exchanges events with whom follows from rules and routes, and
// a way that a policy closes makes no peers.
func TestPeers(t *testing.T) {
	t.Parallel()
	m := mesh(t, peers)
	for id, want := range map[topology.StampID][]topology.StampID{
		"hub":  {"a"},
		"two":  {"a", "b"}, // project shop has the stage dev, too
		"a":    {"hub", "two", "b"},
		"b":    {"two", "a", "c"},
		"c":    {"b"},
		"idle": nil,
	} {
		v, ok := m.View(id)
		require.True(t, ok)
		require.Equal(t, want, v.Peers(), id)
	}
}
