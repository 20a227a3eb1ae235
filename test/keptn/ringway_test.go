package keptn

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// world is a control plane and two stamps without anything else in their rings.
const world = `
apiVersion: ringway/v1
kind: Topology
name: world
geos: [eu]
rings: [control, dev, prod]
stamps:
  - name: control
    geo: eu
    ring: control
    roles: [control]
    link: {kind: hub, advertise: {gateway: "control.example:7222", leafnode: "control.example:7422"}}
  - {name: first, geo: eu, ring: dev, link: {via: [control]}}
  - {name: second, geo: eu, ring: prod, link: {via: [control]}}
controlPlanes: [{name: keptn, stamp: control}]
stages:
  - {name: dev, ring: dev}
  - {name: hardening, ring: dev}
  - {name: production, ring: prod}
`

// federation runs the world with Keptn in its control stamp.
func federation(t *testing.T) (*fed.Fed, *ControlPlane) {
	t.Helper()
	f := fed.New(t, world)
	c := &ControlPlane{NATS: f.Stamp("control").URL(), Store: NewStore(Clock{Second: 200 * time.Millisecond}, shop())}
	Start(t, c)
	return f, c
}

// pod runs a pod that does all tasks, without registration, in the queue group
// that all stamps have.
func pod(t *testing.T, f *fed.Fed, stamp topology.StampID, work func(context.Context, Event) map[string]any) *Pod {
	t.Helper()
	return topicPod(t, f, stamp, "sh.keptn.event.*.triggered", work)
}

// topicPod is pod with topics.
func topicPod(t *testing.T, f *fed.Fed, stamp topology.StampID, topic string, work func(context.Context, Event) map[string]any) *Pod {
	t.Helper()
	p := &Pod{Work: work, Distributor: Distributor{
		Clock: quick, PubSubURL: f.Stamp(stamp).URL(), PubSubTopic: topic, PubSubGroup: "helm-service",
		DisableRegistration: true,
	}}
	Start(t, p)
	return p
}

// stages returns how many tasks of each stage a pod was given.
func stages(p *Pod) map[string]int {
	out := map[string]int{}
	for _, e := range p.Received() {
		out[must2(e.Of()).Stage]++
	}
	return out
}

// TestSequencesComplete: the same service in the same queue group in two
// stamps, without any filter of its own, does each task once and where it
// belongs. TestPlainSuperclusterLosesTasks is the contrast.
func TestSequencesComplete(t *testing.T) {
	f, c := federation(t)
	first, second := pod(t, f, "first", nil), pod(t, f, "second", nil)
	const n = 5
	var contexts []string
	for i := range n {
		contexts = append(contexts, c.Post(t, Trigger("sockshop", "dev", fmt.Sprintf("carts-%d", i), "delivery", nil)))
	}
	for _, context := range contexts {
		requireOnce(t, c, shop(), context)
	}
	require.Equal(t, map[string]int{"dev": 2 * n, "hardening": 2 * n}, stages(first))
	require.Equal(t, map[string]int{"production": n}, stages(second))
}

// TestFinishedOutlivesACut: the answer to a task that ends while the stamp is
// cut off arrives when it is back. TestPlainLeafLosesAnswers is the contrast.
func TestFinishedOutlivesACut(t *testing.T) {
	f, c := federation(t)
	at, done := make(chan struct{}), make(chan struct{})
	pod(t, f, "first", nil)
	pod(t, f, "second", func(context.Context, Event) map[string]any { close(at); <-done; return nil })
	context := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	<-at
	f.Cut("second")
	f.Down("second")
	answers := f.Tap("second", finished, "")
	close(done)
	answers.Next()
	f.Heal("second")
	requireOnce(t, c, shop(), context)
}

// TestTriggeredOutlivesACut: a task that is triggered while its stamp is cut
// off is done when it is back, and no sooner given up.
func TestTriggeredOutlivesACut(t *testing.T) {
	f, c := federation(t)
	pod(t, f, "first", nil)
	second := pod(t, f, "second", nil)
	f.Cut("second")
	f.Down("second")
	context := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	require.Eventually(t, func() bool {
		all := c.Store.Sequences()
		return len(all) == 3 && len(all[2].Tasks) == 1
	}, patience, time.Millisecond)
	require.Empty(t, second.Received())
	f.Heal("second")
	requireOnce(t, c, shop(), context)
	require.Len(t, second.Received(), 1)
}

// TestControlPlaneRestarts: while shipyard-controller is away its stream keeps
// what comes, and on its start it sets the stream back without disturbing what
// crosses.
func TestControlPlaneRestarts(t *testing.T) {
	f := fed.New(t, world)
	at, done := make(chan struct{}), make(chan struct{})
	pod(t, f, "first", nil)
	pod(t, f, "second", func(context.Context, Event) map[string]any { close(at); <-done; return nil })
	store := NewStore(Clock{Second: 200 * time.Millisecond}, shop())
	before := &ControlPlane{NATS: f.Stamp("control").URL(), Store: store}
	run := Start(t, before)
	context := before.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	<-at
	require.Eventually(t, func() bool { // what it has taken and not acknowledged would come again after 30 s
		all := store.Sequences()
		return len(all) == 3 && len(all[2].Tasks) == 1 && len(all[2].Tasks[0].Started) == 1
	}, patience, time.Millisecond)
	run.Stop()
	answers := f.Tap("control", finished, "")
	close(done)
	answers.Next()
	after := &ControlPlane{NATS: f.Stamp("control").URL(), Store: store}
	Start(t, after)
	requireOnce(t, after, shop(), context)
}

// TestCopiesAreDoneOnce: what a control plane or a plane sends twice reaches
// the other side once; go-sdk would do it twice, and a second .started would
// hang the sequence.
func TestCopiesAreDoneOnce(t *testing.T) {
	f, c := federation(t)
	at, done := make(chan struct{}), make(chan struct{})
	first := pod(t, f, "first", nil)
	pod(t, f, "second", func(context.Context, Event) map[string]any { close(at); <-done; return nil })
	starts := f.Tap("second", "sh.keptn.event.deployment.started", "")
	tasks := f.Tap("control", triggered, "")
	context := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	<-at
	f.Publish("second", "sh.keptn.event.deployment.started", starts.Next().Data)
	f.Publish("control", triggered, tasks.Next().Data)
	close(done)
	requireOnce(t, c, shop(), context)
	require.Equal(t, map[string]int{"dev": 2, "hardening": 2}, stages(first))
}
