package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// often makes a stamp ask its peers ten times a second.
func often(o *gateway.Options) { o.Events.CanaryInterval = 100 * time.Millisecond }

// peer waits until what a stamp knows of another satisfies is.
func peer(t *testing.T, f *fed.Fed, at, of topology.StampID, is func(gateway.PeerStatus) bool) gateway.PeerStatus {
	t.Helper()
	var last gateway.PeerStatus
	require.Eventually(t, func() bool {
		for _, p := range f.Status(at).Peers {
			if p.Stamp == of {
				last = p
				return is(p)
			}
		}
		return false
	}, fed.Patience, 5*time.Millisecond, "%+v", &last)
	return last
}

// TestCanaryTellsPeersApart: every pair that exchanges events knows that they
// get through, how long they take, and what the other one runs.
func TestCanaryTellsPeersApart(t *testing.T) {
	f := fed.New(t, world, often)
	for at, others := range map[topology.StampID][]topology.StampID{
		"control": {"hub", "tls", "wss"}, "hub": {"control"}, "tls": {"control", "wss"}, "wss": {"control", "tls"},
	} {
		for _, of := range others {
			p := peer(t, f, at, of, func(p gateway.PeerStatus) bool { return !p.Last.IsZero() })
			require.Equal(t, f.Status(of).Topology.Hash, p.Topology)
			require.NotEmpty(t, p.RTT)
			require.NotEmpty(t, p.Version)
		}
		require.Len(t, f.Status(at).Peers, len(others))
	}
	require.Contains(t, peer(t, f, "control", "hub", func(gateway.PeerStatus) bool { return true }).Via, "gateway link to hub at 127.0.0.1:")
	require.Contains(t, peer(t, f, "control", "wss", func(gateway.PeerStatus) bool { return true }).Via, "leaf-in link to wss at 127.0.0.1:")
	require.Contains(t, peer(t, f, "wss", "tls", func(gateway.PeerStatus) bool { return true }).Via, "leaf-out link to control at 127.0.0.1:")

	f.Stop("wss")
	require.Eventually(t, func() bool {
		s := f.Status("tls")
		return s.Condition == gateway.ConditionDegraded && len(s.Causes) == 1
	}, fed.Patience, 5*time.Millisecond)
	require.Regexp(t, `^stamp wss: no canary got through for .*, by leaf-out link to control at 127\.0\.0\.1:\d+: no way to the stamp`, f.Status("tls").Causes[0])
	f.Restart("wss")
	require.Eventually(t, func() bool { return f.Status("tls").Condition == gateway.ConditionOK }, fed.Patience, 5*time.Millisecond)
}

// chain has a leaf with two hubs to choose from, one more leaf, and Keptn in a
// hub of its own.
const chain = `
apiVersion: ringway/v1
kind: Topology
name: chain
geos: [eu, us]
rings: [dev]
stamps:
  - {name: control, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "control.example:7222"}}}
  - {name: one, geo: eu, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: "one.example:7222", leafnode: "one.example:7422", websocket: "one.example:443"}}}
  - {name: two, geo: us, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: "two.example:7222", leafnode: "two.example:7422", websocket: "two.example:443"}}}
  - {name: far, geo: eu, ring: dev, link: {via: [one, two]}}
  - {name: edge, geo: us, ring: dev, roles: [control, execution], link: {via: [two], transport: wss}}
controlPlanes: [{name: k, stamp: control}, {name: e, stamp: edge, projects: [edgeshop]}]
stages:
  - {name: far, ring: dev, stamps: [far]}
`

// ordered starts the hubs of a topology before the leaves, so that these have
// a choice.
func ordered(t *testing.T, text string) *fed.Fed {
	t.Helper()
	f := fed.Prepare(t, text, often)
	for _, kind := range []topology.LinkKind{topology.LinkHub, topology.LinkLeaf} {
		for _, s := range f.Stamps() {
			if s.Link.Kind == kind {
				f.Restart(s.ID)
			}
		}
	}
	f.Linked()
	return f
}

// leafLink returns the only link of a leaf stamp.
func leafLink(t *testing.T, f *fed.Fed, stamp topology.StampID) gateway.LinkStatus {
	t.Helper()
	links := f.Status(stamp).Links
	require.Len(t, links, 1, "one at a time")
	return links[0]
}

// moved waits until a leaf is connected to a hub.
func moved(t *testing.T, f *fed.Fed, stamp, hub topology.StampID) {
	t.Helper()
	require.Eventually(t, func() bool {
		l := leafLink(t, f, stamp)
		return l.Up && l.Peer == string(hub)
	}, fed.Patience, time.Millisecond)
}

// TestLeafFailsOverBothWays: the first hub of the list is used, then the next,
// then the first again; the time is measured from the cut to the first event.
func TestLeafFailsOverBothWays(t *testing.T) {
	for _, transport := range []string{"tls", "wss"} {
		t.Run(transport, func(t *testing.T) {
			f := ordered(t, strings.Replace(chain, "via: [one, two]", "via: [one, two], transport: "+transport, 1))
			moved(t, f, "far", "one")
			tap, keptn := f.Tap("far", triggered, ""), f.Tap("control", sequence, "")
			n := 0
			for _, hubs := range [][2]topology.StampID{{"one", "two"}, {"two", "one"}, {"one", "two"}} {
				f.Cut(hubs[0])
				start := time.Now()
				n++
				there, back := event(triggered, fmt.Sprint(n), "far", "k"), event(sequence, fmt.Sprint(n), "far", "k")
				f.Publish("control", triggered, there)
				f.Publish("far", sequence, back)
				require.Equal(t, string(there), string(tap.Next().Data))
				down := time.Since(start)
				require.Equal(t, string(back), string(keptn.Next().Data))
				t.Logf("%s to %s: an event to the leaf after %s, one from it after %s", hubs[0], hubs[1], down, time.Since(start))
				require.Less(t, time.Since(start), 5*time.Second)
				moved(t, f, "far", hubs[1])
				f.Heal(hubs[0])
				f.Linked()
			}
			require.Equal(t, "two", leafLink(t, f, "far").Peer, "it stays where it is")
		})
	}
}

// TestLeafToLeafOverTwoHubs: leaf, hub, hub, leaf, measured by events and by
// canaries.
func TestLeafToLeafOverTwoHubs(t *testing.T) {
	f := ordered(t, chain)
	moved(t, f, "far", "one")
	moved(t, f, "edge", "two")
	tap, keptn := f.Tap("far", triggered, ""), f.Tap("edge", finished, "")
	shop := func(typ string, i int) []byte {
		return []byte(strings.Replace(string(event(typ, fmt.Sprint(i), "far", fmt.Sprint(i))), "sockshop", "edgeshop", 1))
	}
	out, in := f.Client("edge"), f.Client("far")
	const n = 400
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		body := shop(triggered, i)
		require.NoError(t, out.Publish(triggered, body))
		require.Equal(t, string(body), string(tap.Next().Data))
		took[i] = time.Since(start)
		require.NoError(t, in.Publish(finished, shop(finished, i)))
		require.Equal(t, string(shop(finished, i)), string(keptn.Next().Data))
	}
	slices.Sort(took)
	p := peer(t, f, "edge", "far", func(p gateway.PeerStatus) bool { return p.Of > 3 })
	t.Logf("durable event, leaf to leaf over two hubs: p50 %s, p99 %s; canary there and back %s", took[n/2], took[n*99/100], p.RTT)
}

// TestLeafThroughProxy: an HTTP CONNECT proxy that wants a password. A wrong
// one is named in the status; the right one is read without a restart.
func TestLeafThroughProxy(t *testing.T) {
	for _, transport := range []string{"tls", "wss"} {
		t.Run(transport, func(t *testing.T) {
			proxy := fed.NewProxy(t, "me", "right")
			creds := filepath.Join(t.TempDir(), "proxy")
			require.NoError(t, os.WriteFile(creds, []byte("me:wrong"), 0o600))
			f := fed.Prepare(t, strings.Replace(chain, "via: [one, two]",
				fmt.Sprintf("via: [one, two], transport: %s, proxy: {url: %q, credentialsFile: %q}", transport, proxy.URL(), creds), 1), often)
			require.NoError(t, f.Start(t.Context()))
			require.Eventually(t, func() bool {
				s := f.Status("far")
				return s.Condition == gateway.ConditionDegraded && strings.Contains(strings.Join(s.Causes, "\n"), "407 Proxy Authentication Required")
			}, fed.Patience, 5*time.Millisecond, "%v", f.Status("far").Causes)
			tunnels, refused := proxy.Count()
			require.Zero(t, tunnels)
			require.Positive(t, refused)

			tap := f.Tap("far", triggered, "")
			body := event(triggered, "1", "far", "k")
			f.Publish("control", triggered, body)
			require.NoError(t, os.WriteFile(creds, []byte("me:right\n"), 0o600))
			require.Equal(t, string(body), string(tap.Next().Data))
			moved(t, f, "far", "one")
			tunnels, _ = proxy.Count()
			require.Positive(t, tunnels)
			require.Eventually(t, func() bool { return f.Status("far").Condition == gateway.ConditionOK }, fed.Patience, 5*time.Millisecond, "%v", f.Status("far").Causes)

			// Over the proxy as well: one hub after the other.
			f.Cut("one")
			start := time.Now()
			body = event(triggered, "2", "far", "k")
			f.Publish("control", triggered, body)
			require.Equal(t, string(body), string(tap.Next().Data))
			t.Logf("fail-over through the proxy: %s", time.Since(start))
			moved(t, f, "far", "two")
		})
	}
}
