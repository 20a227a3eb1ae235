package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/topology"
)

// TestFindings: each thing that is wrong is found, with its code, and nothing
// else is.
func TestFindings(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	letters := uint64(9_000)
	for name, is := range map[string]struct {
		spoil func(*Status)
		look  func(*exam)
		code  string
		level Level
		says  string
	}{
		"topology":     {func(s *Status) { s.Topology.Err = "line 3" }, (*exam).configuration, CodeTopology, LevelFailure, "topology.yaml: line 3"},
		"differing":    {func(s *Status) { s.Peers[0].Topology = "other" }, (*exam).configuration, CodeDiffering, LevelWarning, "stamp b has other, we have mine"},
		"pending":      {func(s *Status) { s.Topology.Pending = []string{"leaf to hub"} }, (*exam).configuration, CodePending, LevelWarning, "leaf to hub"},
		"relink":       {func(s *Status) { s.Topology.RelinkErr = "port taken" }, (*exam).configuration, CodePending, LevelFailure, "port taken"},
		"part":         {func(s *Status) { s.Parts["inbox"] = "no quorum" }, (*exam).configuration, CodePart, LevelFailure, "inbox: no quorum"},
		"starting":     {func(s *Status) { s.Parts["inbox"] = "starting" }, (*exam).configuration, CodePart, LevelWarning, "inbox: starting"},
		"not ready":    {func(s *Status) { s.Ready = false }, (*exam).configuration, CodePart, LevelFailure, "not ready"},
		"replica":      {func(s *Status) { s.Replica = &ReplicaStatus{Reached: 2, Want: 3, Quorum: true} }, (*exam).configuration, CodeReplica, LevelWarning, "2 of 3 replicas reached"},
		"expires soon": {func(s *Status) { s.Expires[0].At = now.Add(20 * 24 * time.Hour) }, (*exam).identity, CodeExpires, LevelWarning, "in 20 days"},
		"expires now":  {func(s *Status) { s.Expires[0].At = now.Add(2 * time.Hour) }, (*exam).identity, CodeExpires, LevelFailure, "in 2h0m0s"},
		"expired":      {func(s *Status) { s.Expires[0].At = now.Add(-time.Second) }, (*exam).identity, CodeExpires, LevelFailure, "it has expired"},
		"link":         {func(s *Status) { s.Links[0].Up, s.Links[0].Err = false, "refused" }, (*exam).links, CodeLink, LevelFailure, "(side: a → b, b.example:1)"},
		"clock":        {func(s *Status) { s.Peers[0].Offset = "-2m0s" }, (*exam).clock, CodeClock, LevelWarning, "2m0s behind ours"},
		"version":      {func(s *Status) { s.Peers[0].Version = "v0" }, (*exam).versions, CodeVersion, LevelWarning, "stamp b runs v0, we run v1"},
		"planes":       {func(s *Status) { s.Planes = PlaneStatus{Stale: 2, Reason: "no answer", Since: now} }, (*exam).planes, CodeControl, LevelWarning, "2 planes are not confirmed"},
		"waiting": {func(s *Status) {
			s.Waiting = []inbox.Waiting{{Subject: "x", Count: 4, Oldest: now.Add(-time.Minute), Reason: "nobody subscribes"}}
		}, (*exam).events, CodeWaiting, LevelWarning, "4 of x wait, the oldest for 1m0s: nobody subscribes"},
		"limit": {func(s *Status) { s.DeadLetters = &letters }, (*exam).limits, CodeLimit, LevelWarning, "9000 are kept of 10000"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Status{
				Stamp: "a", Version: "v1", Ready: true, Topology: TopologyStatus{Hash: "mine"}, Parts: map[string]string{"inbox": "ok"},
				Peers:   []PeerStatus{{Stamp: "b", Topology: "mine", Version: "v1", Offset: "3ms"}},
				Links:   []LinkStatus{{Peer: "b", Kind: "leaf-out", Addr: "b.example:1", Up: true}},
				Expires: []Expiry{{File: "leaf.creds", Kind: "user", Name: "a", At: now.Add(100 * 24 * time.Hour)}},
			}
			g := &Gateway{opts: DefaultOptions()}
			well := &exam{g: g, s: s, now: now}
			is.look(well)
			require.NotEmpty(t, well.found)
			for _, x := range well.found {
				require.Equal(t, LevelOK, x.Level, x)
			}
			is.spoil(&s)
			sick := &exam{g: g, s: s, now: now}
			is.look(sick)
			var bad []Finding
			for _, x := range sick.found {
				if x.Level != LevelOK {
					bad = append(bad, x)
				}
			}
			require.Len(t, bad, 1)
			require.Equal(t, is.code, bad[0].Code)
			require.Equal(t, is.level, bad[0].Level)
			require.Contains(t, bad[0].Detail, is.says)
			require.True(t, strings.HasSuffix(bad[0].See, "#"+strings.ToLower(is.code)))
		})
	}
}

// TestNamesAndPortsAreTried: what cannot be looked up and what nobody listens on
// are told apart, by the side that tried.
func TestNamesAndPortsAreTried(t *testing.T) {
	v, ok := meshOf(t, strings.ReplaceAll(twoHubs, "one.example:7422", "127.0.0.1:1")).View("a")
	require.True(t, ok)
	e := &exam{g: &Gateway{}, f: &inForce{view: v}, s: Status{Stamp: "a"}}
	e.reachable(t.Context())
	require.Len(t, e.found, 1)
	require.Equal(t, CodePort, e.found[0].Code)
	require.Regexp(t, `^127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused \(side: a\)$`, e.found[0].Detail)

	v, ok = meshOf(t, strings.ReplaceAll(twoHubs, "one.example:7422", "hub.invalid:7422")).View("a")
	require.True(t, ok)
	e = &exam{g: &Gateway{}, f: &inForce{view: v}, s: Status{Stamp: "a"}}
	e.reachable(t.Context())
	require.Len(t, e.found, 1)
	require.Equal(t, CodeName, e.found[0].Code)
	require.Equal(t, catDNS, e.found[0].Category)
	require.Contains(t, e.found[0].Detail, "hub.invalid:7422: ")
}

// TestWhatIsDialled: hubs dial hubs, leaves their hubs or their proxy, and each
// the NATS and the control plane beside it.
func TestWhatIsDialled(t *testing.T) {
	const text = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - {name: one, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "one.example:7222", leafnode: "one.example:7422", websocket: "one.example:443"}}}
  - {name: two, geo: eu, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: "two.example:7222", leafnode: "two.example:7422"}}}
  - {name: a, geo: eu, ring: dev, link: {kind: leaf, via: [one, two]}, clients: {mode: external, url: "nats://nats.local", leafnode: "nats-leaf://nats.local"}}
  - {name: b, geo: eu, ring: dev, link: {kind: leaf, via: [one], transport: wss, proxy: {url: "http://proxy.local:3128"}}}
controlPlanes: [{name: k, stamp: one, api: {url: "https://keptn.example/api"}}]
stages: [{name: dev, ring: dev}]
`
	m := meshOf(t, text)
	for id, want := range map[topology.StampID][]string{
		"one": {"two.example:7222", "keptn.example:443"},
		"two": {"one.example:7222"},
		"a":   {"one.example:7422", "two.example:7422", "nats.local:4222", "nats.local:7422"},
		"b":   {"proxy.local:3128"},
	} {
		v, _ := m.View(id)
		var got []string
		for _, d := range (&exam{f: &inForce{view: v}}).dialled() {
			got = append(got, d.addr)
		}
		require.Equal(t, want, got, id)
	}
}

// TestPlainErrors: what changes with every attempt is not part of a cause.
func TestPlainErrors(t *testing.T) {
	require.Equal(t, "Error soliciting websocket connection: closed", plain("127.0.0.1:40671 - lid_ws:86 - Error soliciting websocket connection: closed"))
	require.Equal(t, "dial tcp 127.0.0.1:1: refused - it says: x", plain("dial tcp 127.0.0.1:1: refused - it says: x"))
}

// TestRefusedRightIsRemembered: what NATS refuses is found for a while.
func TestRefusedRightIsRemembered(t *testing.T) {
	g := &Gateway{metrics: newMetrics(nil)}
	g.noteDenied(nats.ErrSlowConsumer)
	require.Nil(t, g.denied.Load())
	g.noteDenied(nats.ErrPermissionViolation)
	e := &exam{g: g, now: time.Now(), s: Status{Stamp: "a"}}
	e.rights(t.Context())
	require.Equal(t, CodeRights, e.found[0].Code)
	require.Equal(t, LevelWarning, e.found[0].Level)
	e = &exam{g: g, now: time.Now().Add(deniedFor), s: Status{Stamp: "a"}}
	e.rights(t.Context())
	require.Equal(t, LevelOK, e.found[0].Level)
}
