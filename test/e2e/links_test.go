package e2e_test

import (
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
