package node_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// replicas are the nodes of one stamp.
type replicas struct {
	w     *world
	id    topology.StampID
	edits []func(*node.Config)
	nodes []*running
}

func newReplicas(w *world, id topology.StampID, n int) *replicas {
	w.t.Helper()
	w.view(id).Me.Replicas = n
	r := &replicas{w: w, id: id, nodes: make([]*running, n)}
	var peers, linkPeers []string
	for range n {
		peers, linkPeers = append(peers, natstest.Addr(w.t)), append(linkPeers, natstest.Addr(w.t))
	}
	for i := range n {
		r.edits = append(r.edits, func(c *node.Config) {
			c.Dir = filepath.Join(w.dir, string(id), fmt.Sprintf("data-%d", i))
			c.Listen = node.Listen{Routes: peers[i], LinkRoutes: linkPeers[i]}
			if i == 0 {
				at := c.View.Me.Link.Advertise
				c.Listen.Gateway, c.Listen.Leafnode, c.Listen.WebSocket = at.Gateway, at.Leafnode, at.WebSocket
			}
			c.Replica = node.Replica{Name: fmt.Sprintf("r%d", i), Peers: peers, LinkPeers: linkPeers}
		})
	}
	return r
}

func (r *replicas) start(which ...int) {
	r.w.t.Helper()
	for _, i := range which {
		r.nodes[i] = r.w.run(r.id, r.edits[i])
	}
}

// quorum waits until node i sees n replicas and can write streams.
func (r *replicas) quorum(i, n int) {
	r.w.t.Helper()
	var s node.ReplicaState
	if !assert.Eventually(r.w.t, func() bool {
		s = r.nodes[i].Replicas()
		return s.Quorum && s.Reached == n
	}, long, 5*time.Millisecond) {
		r.w.t.Fatalf("%d replicas and quorum wanted: %+v", n, s)
	}
}

// TestReplicaIsElectedInTime: three servers form a cluster, each serves the
// clients of all, and the death of any leader is made good within the bounds
// that this package sets for elections.
func TestReplicaIsElectedInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	r := newReplicas(w, "a", 3)
	r.start(0)
	alone := r.nodes[0].Replicas()
	require.Equal(t, node.ReplicaState{Name: "r0", Server: "a.r0", Want: 3, Reached: 1}, alone)
	nc := r.nodes[0].client()
	sub := subscribe(t, nc, "sh.keptn.x")
	require.NoError(t, nc.Publish("sh.keptn.x", nil))
	_, err := sub.NextMsg(long)
	require.NoError(t, err, "clients are served without quorum")

	r.start(1, 2)
	for i := range r.nodes {
		r.quorum(i, 3)
	}
	js, err := jetstream.New(r.nodes[1].connect(w.local("a", node.RELAY)))
	require.NoError(t, err)
	var s jetstream.Stream
	require.Eventually(t, func() bool {
		s, err = js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.>"}, Replicas: 3})
		return err == nil
	}, long, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		// The leader's interest takes a moment to reach the others: what comes
		// before is lost, which package catch makes good.
		require.NoError(t, nc.Publish("sh.keptn.x", nil))
		info, err := s.Info(t.Context())
		return err == nil && info.State.Msgs > 0
	}, long, 5*time.Millisecond, "captured at any replica")

	before := time.Now()
	require.NoError(t, r.nodes[0].stop())
	r.quorum(1, 2)
	_, err = js.Publish(t.Context(), "cap.sh.keptn.y", nil)
	require.NoError(t, err)
	t.Logf("a stream can be written %v after a replica stopped", time.Since(before))
	require.NoError(t, r.nodes[2].stop())
	require.Eventually(t, func() bool { return !r.nodes[1].Replicas().Quorum }, long, 5*time.Millisecond)
	r.start(0)
	r.quorum(1, 2)
}

// TestOnlyReplicasOfTheStampJoin: a certificate of another stamp is no way in.
func TestOnlyReplicasOfTheStampJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), hub(t, "b"))
	r := newReplicas(w, "a", 3)
	foreign := w.identity("b")
	own := r.edits[2]
	r.edits[2] = func(c *node.Config) {
		own(c)
		c.Identity.PeerCert, c.Identity.PeerKey = foreign.PeerCert, foreign.PeerKey
	}
	r.start(0, 1, 2)
	require.Eventually(t, func() bool { return r.nodes[0].Replicas().Reached == 2 }, long, 5*time.Millisecond)
	require.Never(t, func() bool { return r.nodes[2].Replicas().Reached > 1 }, time.Second, 10*time.Millisecond)
	require.Equal(t, 2, r.nodes[0].Replicas().Reached)
}

func TestReplicaNeedsNameAndPeers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	w.view("a").Me.Replicas = 3
	err := w.fails("a", func(*node.Config) {})
	require.ErrorContains(t, err, `replica.name: "" is not a name: stamp a has 3 replicas`)
	require.ErrorContains(t, err, "replica.peers: are missing")
	err = w.fails("a", func(c *node.Config) {
		c.Replica = node.Replica{Name: "r0", Peers: []string{"x"}}
		c.Identity.PeerCert = ""
	})
	require.ErrorContains(t, err, "read certificate for the routes of replicas")
}

// TestStoreOfOneIsNotOpenedByThree: the server would delete its streams.
func TestStoreOfOneIsNotOpenedByThree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a")
	a.capture(1)
	dir := filepath.Join(w.dir, "a", "data")
	require.NoError(t, a.stop())
	r := newReplicas(w, "a", 3)
	err := w.fails("a", func(c *node.Config) { r.edits[0](c); c.Dir = dir })
	require.ErrorIs(t, err, node.ErrOtherReplicas)
}
