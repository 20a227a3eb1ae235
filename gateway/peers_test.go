package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/canary"
	"github.com/ringway/ringway/topology"
)

const peersTopology = `
apiVersion: ringway/v1
kind: Topology
name: peers
geos: [eu]
rings: [dev]
stamps:
  - {name: a, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "a:7222", leafnode: "a:7422"}}}
  - {name: b, geo: eu, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: "b:7222", leafnode: "b:7422"}}}
  - {name: c, geo: eu, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: "c:7222", leafnode: "c:7422"}}}
  - {name: x, geo: eu, ring: dev, link: {via: [b, c]}}
controlPlanes: [{name: k, stamp: a}]
stages: [{name: dev, ring: dev}]
`

func viewOf(t *testing.T, id topology.StampID) *topology.View {
	t.Helper()
	m, err := topology.Parse("x", []byte(peersTopology))
	require.NoError(t, err)
	v, ok := m.View(id)
	require.True(t, ok)
	return v
}

func TestPeersInTheStatus(t *testing.T) {
	t.Parallel()
	g := &Gateway{opts: DefaultOptions()}
	now := time.Now()
	links := []LinkStatus{
		{Peer: "a", Kind: "own", Addr: "own:1", Up: true},
		{Peer: "b", Kind: "gateway", Addr: "b:7222", Up: true},
		{Peer: "c", Kind: "gateway", Addr: "c:7222", Up: true},
	}
	last := func(ago time.Duration) canary.Peer {
		return canary.Peer{Stamp: "x", Since: now.Add(-time.Hour), Last: now.Add(-ago), RTT: time.Millisecond}
	}
	for name, tc := range map[string]struct {
		peer   canary.Peer
		causes string
	}{
		"heard":    {last(14 * time.Second), ""},
		"starting": {canary.Peer{Stamp: "x", Since: now.Add(-14 * time.Second), Err: "no way"}, ""},
		"silent":   {last(16 * time.Second), "stamp x: no canary got through for 16s, by gateway link to b at b:7222: no answer"},
		"never":    {canary.Peer{Stamp: "x", Since: now.Add(-20 * time.Second), Err: "no way"}, "stamp x: no canary got through for 20s, by gateway link to b at b:7222: no way"},
		"ahead":    {canary.Peer{Stamp: "x", Last: now, Offset: time.Hour}, "clock of stamp x is 1h0m0s ahead of ours"},
		"behind":   {canary.Peer{Stamp: "x", Last: now, Offset: -31 * time.Second}, "clock of stamp x is 31s behind ours"},
		"nearly":   {canary.Peer{Stamp: "x", Last: now, Offset: -29 * time.Second}, ""},
	} {
		got := g.peerStatus(viewOf(t, "a"), []canary.Peer{tc.peer}, links, now)
		require.Len(t, got, 1)
		require.Equal(t, tc.causes, strings.Join(got[0].causes, "; "), name)
	}
}

func TestWayToAPeer(t *testing.T) {
	t.Parallel()
	up := func(peer, kind string, up bool) LinkStatus {
		return LinkStatus{Peer: peer, Kind: kind, Addr: peer + ":1", Up: up}
	}
	for name, tc := range map[string]struct {
		me, to topology.StampID
		links  []LinkStatus
		want   string
	}{
		"a hub itself":         {"a", "b", []LinkStatus{up("a", "own", true), up("b", "gateway", false), up("c", "gateway", true)}, "gateway link to b at b:1"},
		"its first hub":        {"a", "x", []LinkStatus{up("b", "gateway", true), up("c", "gateway", true)}, "gateway link to b at b:1"},
		"its second hub":       {"a", "x", []LinkStatus{up("b", "gateway", false), up("c", "gateway", true)}, "gateway link to c at c:1"},
		"connected right here": {"b", "x", []LinkStatus{up("c", "gateway", true), up("x", "leaf-in", true)}, "leaf-in link to x at x:1"},
		"from a leaf":          {"x", "a", []LinkStatus{up("c", "leaf-out", true)}, "leaf-out link to c at c:1"},
		"none":                 {"x", "a", nil, "no link"},
	} {
		require.Equal(t, tc.want, way(viewOf(t, tc.me), tc.to, tc.links), name)
	}
}

// TestHubsTakeTurns: no two hubs restart their link servers at once, and all
// of them have within a bound.
func TestHubsTakeTurns(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Duration(0), turn(viewOf(t, "a"), ""))
	require.Equal(t, 2*time.Second, turn(viewOf(t, "b"), ""))
	require.Equal(t, 4*time.Second, turn(viewOf(t, "c"), ""))
	require.Equal(t, time.Duration(0), turn(viewOf(t, "x"), ""))
	require.Equal(t, 2*time.Second+800*time.Millisecond, turn(viewOf(t, "b"), "ringway-2"), "replicas, too")
	require.NotEqual(t, turn(viewOf(t, "b"), "blue"), turn(viewOf(t, "b"), "green"))
	many := &topology.Mesh{}
	seen := map[time.Duration]bool{}
	for range 100 {
		many.Stamps = append(many.Stamps, &topology.Stamp{ID: topology.StampID(strings.Repeat("h", len(many.Stamps)+1)), Link: topology.Link{Kind: topology.LinkHub}})
	}
	for _, s := range many.Stamps {
		d := turn(&topology.View{Mesh: many, Me: s}, "")
		require.False(t, seen[d])
		seen[d] = true
		require.Less(t, d, linkTurns)
	}
}
