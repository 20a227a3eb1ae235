package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/topology"
)

// twoHubs has a leaf at each of two hubs.
const twoHubs = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu, us]
rings: [dev, prod]
stamps:
  - {name: one, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "one.example:7222", leafnode: "one.example:7422"}}}
  - {name: two, geo: us, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: "two.example:7222", leafnode: "two.example:7422"}}}
  - {name: a, geo: eu, ring: prod, link: {kind: leaf, via: [one]}}
  - {name: b, geo: us, ring: prod, link: {kind: leaf, via: [two]}}
controlPlanes: [{name: k, stamp: one}]
stages: [{name: dev, ring: dev}, {name: prod, ring: prod}]
`

func meshOf(t *testing.T, text string) *topology.Mesh {
	t.Helper()
	spec, err := topology.Load("t.yaml", []byte(text))
	require.NoError(t, err)
	m, err := topology.Compile(spec)
	require.NoError(t, err)
	return m
}

// A known is what stamp one knows; each case spoils it.
type known map[topology.StampID]heard

func allWell() known {
	peers := func(ids ...topology.StampID) []PeerStatus {
		var out []PeerStatus
		for _, id := range ids {
			out = append(out, PeerStatus{Stamp: id, Age: "1s", RTT: "2ms", Last: time.Unix(1, 0)})
		}
		return out
	}
	return known{
		"one": {status: &Status{
			Stamp: "one", Peers: peers("two", "a", "b"),
			Links: []LinkStatus{{Peer: "one", Kind: "own", Up: true}, {Peer: "two", Kind: "gateway", Addr: "10.0.0.2:7222", Up: true}, {Peer: "a", Kind: "leaf-in", Addr: "10.1.1.1:5555", Up: true}},
		}},
		"two": {status: &Status{Stamp: "two", Peers: peers("one"), Links: []LinkStatus{{Peer: "b", Kind: "leaf-in", Addr: "10.1.1.2:5555", Up: true}}}},
		"a":   {status: &Status{Stamp: "a", Peers: peers("one"), Links: []LinkStatus{{Peer: "one", Kind: "leaf-out", Addr: "one.example:7422", Up: true}}, Waiting: []inbox.Waiting{{Count: 2}, {Count: 3}}}},
		"b":   {status: &Status{Stamp: "b", Peers: peers("one"), Links: []LinkStatus{{Peer: "two", Kind: "leaf-out", Addr: "two.example:7422", Up: true}}}},
	}
}

// silent makes stamps say nothing, and canaries to them go astray.
func (k known) silent(ids ...topology.StampID) {
	for _, id := range ids {
		k[id] = heard{err: ctl.ErrNoWay}
		for i, p := range k["one"].status.Peers {
			if p.Stamp == id {
				k["one"].status.Peers[i] = PeerStatus{Stamp: id, Age: "1m0s", Stale: true, Err: "no answer in time", Last: p.Last}
			}
		}
		k["one"].status.Targets = append(k["one"].status.Targets, TargetStatus{Stamp: id, Away: true, Held: 7})
		k["one"].status.Causes = append(k["one"].status.Causes, silentPeer(id)+": x", staleCanary(id)+" for 1m")
	}
}

// TestFirstLinkThatIsDown: of whatever is wrong on the way to a stamp, the first
// link is named, once, by the side that dials.
func TestFirstLinkThatIsDown(t *testing.T) {
	m := meshOf(t, twoHubs)
	for name, is := range map[string]struct {
		spoil func(known)
		want  map[topology.StampID]string // the first cause, of those that are down
		other []string                    // the causes of stamp one
	}{
		"well": {func(known) {}, nil, nil},
		"a leaf of ours": {func(k known) {
			k.silent("a")
			k["one"].status.Links = k["one"].status.Links[:2]
		}, map[topology.StampID]string{"a": "RW-301 no leafnode connection from it: no answer in time; it dials one.example:7422 (side: a → one); 7 events wait for it"}, nil},
		"the link to the other hub": {func(k known) {
			k.silent("two", "b")
			k["one"].status.Links[1] = LinkStatus{Peer: "two", Kind: "gateway", Addr: "10.0.0.2:7222", Err: "i/o timeout"}
			k["one"].status.Causes = append(k["one"].status.Causes, "gateway link to two at 10.0.0.2:7222 is down: i/o timeout", "disk is full")
		}, map[topology.StampID]string{
			"two": "RW-301 gateway link is down: i/o timeout at 10.0.0.2:7222 (side: one → two); 7 events wait for it",
			"b":   "RW-301 gateway link is down: i/o timeout at 10.0.0.2:7222 (side: one → two); 7 events wait for it",
		}, []string{"disk is full"}},
		"a leaf of the other hub": {func(k known) {
			k.silent("b")
			k["two"].status.Links = nil
		}, map[topology.StampID]string{"b": "RW-301 no leafnode connection from it: no answer in time; it dials two.example:7422 (side: b → two); 7 events wait for it"}, nil},
		"a gateway that hangs": {
			func(k known) { k.silent("b") },
			map[topology.StampID]string{"b": "RW-302 its leafnode is connected to two, and its gateway does not answer: no answer in time at 10.1.1.2:5555; 7 events wait for it"},
			nil,
		},
		"a hub that hangs": {
			func(k known) { k.silent("two") },
			map[topology.StampID]string{"two": "RW-302 nothing gets through, though no link of one is down: no answer in time at two.example:7222 (side: one → two); 7 events wait for it"},
			nil,
		},
		"our own link server": {func(k known) {
			k.silent("a")
			k["one"].status.Links[0] = LinkStatus{Peer: "one", Kind: "own", Addr: "127.0.0.1:1"}
		}, map[topology.StampID]string{"a": "RW-301 own link is down: not connected at 127.0.0.1:1 (side: one → one); 7 events wait for it"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := allWell()
			is.spoil(k)
			got := map[topology.StampID]string{}
			for _, s := range survey(m, "one", "hash", k, time.Unix(100, 0)).Stamps {
				if s.Way == WayDown {
					got[s.Stamp] = s.Causes[0].Code + " " + s.Causes[0].String()
				}
				if s.Stamp == "one" {
					var others []string
					for _, c := range s.Causes {
						others = append(others, c.String())
					}
					require.Equal(t, is.other, others)
				}
			}
			require.Len(t, got, len(is.want))
			for id, want := range is.want {
				require.Equal(t, want, got[id])
			}
		})
	}
}

// TestWhatIsSaidOfOneThatRefuses: others are believed.
func TestWhatIsSaidOfOneThatRefuses(t *testing.T) {
	m := meshOf(t, twoHubs)
	refusal := heard{err: fmt.Errorf("%w: no", ctl.ErrRefused)}
	way := func(k known, me, of topology.StampID) string {
		for _, s := range survey(m, me, "hash", k, time.Unix(100, 0)).Stamps {
			if s.Stamp == of {
				return s.Way
			}
		}
		return ""
	}
	k := allWell()
	k["b"] = refusal
	require.Equal(t, WayUp, way(k, "a", "b"), "one says so")
	k.silent("b")
	k["b"] = refusal
	require.Equal(t, WayDown, way(k, "a", "b"), "one says so")
	k["one"] = refusal
	require.Equal(t, WayUnknown, way(k, "a", "b"))
	k["b"] = heard{err: ctl.ErrNoAnswer}
	require.Equal(t, WayDown, way(k, "a", "b"))
}

// TestSumsAndOrder: what waits is summed up, stamps are by geo, ring and name.
func TestSumsAndOrder(t *testing.T) {
	k := allWell()
	k["two"].status.Targets = []TargetStatus{{Stamp: "a", Held: 5}}
	k["b"].status.Targets = []TargetStatus{{Stamp: "a", Held: 6}}
	is := survey(meshOf(t, twoHubs), "one", "hash", k, time.Unix(100, 0))
	var order []topology.StampID
	for _, s := range is.Stamps {
		order = append(order, s.Stamp)
	}
	require.Equal(t, []topology.StampID{"one", "a", "two", "b"}, order)
	require.EqualValues(t, 11, is.Stamps[1].Outbox)
	require.Equal(t, 5, is.Stamps[1].Waiting)
	require.Equal(t, "leaf:7422", is.Stamps[1].Via)
	require.Equal(t, "gateway", is.Stamps[2].Via)
}

// TestIdlePlanes: a plane gets nothing where no rule brings what it asks for.
func TestIdlePlanes(t *testing.T) {
	v, ok := meshOf(t, twoHubs).View("a")
	require.True(t, ok)
	const triggered = "sh.keptn.event.deployment.triggered"
	require.Empty(t, idle(v, triggered, nil))
	require.Empty(t, idle(v, triggered, []string{"dev", "prod"}))
	require.Equal(t, "its filter names stage dev, and here come prod", idle(v, triggered, []string{"dev"}))
	require.Empty(t, idle(v, "sh.keptn.event.deployment.finished", []string{"dev"}))
}
