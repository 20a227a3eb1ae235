package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/plane"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/test/keptn"
	"github.com/ringway/ringway/topology"
)

// sockshop has a sequence over the three stages of planesWorld.
func sockshop() keptn.Project {
	return keptn.Project{Name: "sockshop", Stages: []keptn.Stage{
		{Name: "dev", Tasks: []string{"deployment", "test"}},
		{Name: "hardening", Tasks: []string{"deployment"}},
		{Name: "production", Tasks: []string{"deployment"}},
	}}
}

// keptnAt runs Keptn in the control stamp, with its API behind d.
func keptnAt(t *testing.T, f *fed.Fed, d *frontDoor) *keptn.ControlPlane {
	t.Helper()
	store := keptn.NewStore(keptn.Clock{Second: 200 * time.Millisecond}, sockshop())
	d.mu.Lock()
	d.store = store
	d.mu.Unlock()
	c := &keptn.ControlPlane{NATS: f.Stamp("control").URL(), Store: store}
	keptn.Start(t, c)
	return c
}

// helmPod runs a pod of helm-service in a stamp, as its chart has it.
func helmPod(t *testing.T, f *fed.Fed, p *planeFace, stamp topology.StampID) (*keptn.Pod, *keptn.Process) {
	t.Helper()
	pod := &keptn.Pod{Distributor: keptn.Distributor{
		Clock: quick, Hosts: p.hosts(), PubSubURL: f.Stamp(stamp).URL(), PubSubTopic: deployment, PubSubGroup: "helm-service",
		Name: "helm-service", Namespace: "keptn-exec",
	}}
	return pod, keptn.Start(t, pod)
}

// sdkPod runs a go-sdk service that does tests.
func sdkPod(t *testing.T, f *fed.Fed, p *planeFace, stamp topology.StampID) *keptn.Process {
	t.Helper()
	return keptn.Start(t, &keptn.SDK{
		Clock: quick, Hosts: p.hosts(), EventBroker: f.Stamp(stamp).URL(), Name: "tester", Namespace: "keptn-exec", Node: "node-1",
		PubSubTopic: "sh.keptn.event.test.triggered",
	})
}

// requireOnce waits for the end of a sequence, and wants every task of it to be
// done once.
func requireOnce(t *testing.T, c *keptn.ControlPlane, context string) {
	t.Helper()
	all := c.Ended(t, context)
	require.Len(t, all, 3)
	for _, s := range all {
		require.Equal(t, "pass", s.Result, s.String())
		for _, task := range s.Tasks {
			require.Len(t, task.Started, 1, s.String())
			require.Len(t, task.Finished, 1, s.String())
		}
	}
	require.Empty(t, c.Store.Late())
}

// TestSequencesOfRegisteredPlanes: the same service with the same namespace and
// queue group in two stamps, with a cut in the middle that is longer than any
// client lives without pings, does everything once, and nothing dies.
func TestSequencesOfRegisteredPlanes(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	c := keptnAt(t, f, d)
	first, second := face(t, f, "first", 0), face(t, f, "second", 0)
	_, a := helmPod(t, f, first, "first")
	b, bRuns := helmPod(t, f, second, "second")
	sdk := sdkPod(t, f, first, "first")
	requireOnce(t, c, c.Post(t, keptn.Trigger("sockshop", "dev", "carts", "delivery", nil)))
	require.Len(t, b.Received(), 1)

	f.Cut("second")
	d.away.Store(true)
	f.Down("second")
	context := c.Post(t, keptn.Trigger("sockshop", "dev", "carts", "delivery", nil))
	dead := time.NewTimer(3 * time.Second) // 150 s of theirs: a distributor lives for 110
	defer dead.Stop()
	select {
	case <-a.Exited():
	case <-bRuns.Exited():
	case <-sdk.Exited():
	case <-dead.C:
	}
	for _, p := range []*keptn.Process{a, bRuns, sdk} {
		p.Alive(t)
	}
	d.away.Store(false)
	f.Heal("second")
	requireOnce(t, c, context)
	require.Len(t, b.Received(), 2)
	shown := d.shown(t)
	require.Len(t, shown, 3)
	require.Equal(t, []string{"production"}, stagesOf(t, shown["keptn-exec.second/helm-service"], deployment))
}

// TestNothingIsGivenBeforeTheFirstPing: a distributor that has registered throws
// away what it gets before its first ping is answered, so it gets nothing.
// Contract §8-2.
func TestNothingIsGivenBeforeTheFirstPing(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	c := keptnAt(t, f, d)
	first, second := face(t, f, "first", 0), face(t, f, "second", 0)
	sdkPod(t, f, first, "first")
	helmPod(t, f, second, "second")
	context := c.Post(t, keptn.Trigger("sockshop", "dev", "carts", "delivery", nil))
	helmPod(t, f, first, "first") // the task is there already, and its distributor is not ready for 200 ms
	requireOnce(t, c, context)
}

// find returns the planes called name, as a stamp knows them.
func find(t testing.TB, f *fed.Fed, stamp topology.StampID, name string) []plane.Plane {
	t.Helper()
	var all []plane.Copy
	require.Equal(t, http.StatusOK, do(t, http.MethodGet, f.Stamp(stamp).Gateway().AdminURL()+"/planes", nil, &all))
	var out []plane.Plane
	for _, c := range all {
		for _, p := range c.Planes {
			require.Equal(t, c.Stamp, p.Stamp)
			if p.Name == name {
				out = append(out, p)
			}
		}
	}
	return out
}

// TestPlanesAreRegisteredOnTheirBehalf: those that subscribe and do not register
// are registered, and taken out when they are gone; those that register
// themselves are there once.
func TestPlanesAreRegisteredOnTheirBehalf(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	p := face(t, f, "second", 0)
	f.Tap("second", "sh.keptn.event.*.triggered", "script-service")
	script := f.Tap("second", "sh.keptn.event.release.triggered", "release-service")
	helmPod(t, f, p, "second")
	keptn.Start(t, &keptn.Pod{Distributor: keptn.Distributor{ // in a group that is not called like it
		Clock: quick, Hosts: p.hosts(), PubSubURL: f.Stamp("second").URL(), PubSubTopic: "sh.keptn.event.test.triggered", PubSubGroup: "group",
		Name: "jmeter-service", Namespace: "keptn-exec",
	}})
	require.Eventually(t, func() bool { return len(d.shown(t)) == 4 }, patience, time.Millisecond)
	shown := d.shown(t)
	require.Equal(t, []string{"production"}, stagesOf(t, shown["keptn-exec.second/script-service"], "sh.keptn.event.*.triggered"))
	is := find(t, f, "second", "script-service")
	require.Len(t, is, 1)
	require.Equal(t, plane.OnBehalf, is[0].How)

	script.Close()
	require.Eventually(t, func() bool { _, has := d.shown(t)["keptn-exec.second/release-service"]; return !has }, patience, time.Millisecond)
	require.Len(t, d.shown(t), 3)
	require.Empty(t, find(t, f, "second", "release-service"))
}

// TestStampsKnowEachOthersPlanes: what runs in a stamp is known to the stamp of
// its control plane, also after a restart while the stamp is cut off.
func TestStampsKnowEachOthersPlanes(t *testing.T) {
	f := planes(t, nil, "")
	p := face(t, f, "second", 0)
	id := p.register(helm(deployment))
	require.Eventually(t, func() bool { return len(find(t, f, "control", "helm-service")) == 1 }, patience, time.Millisecond)
	is := find(t, f, "control", "helm-service")[0]
	require.Equal(t, id, is.ID)
	require.Equal(t, "keptn-exec.second", is.Namespace)
	require.Equal(t, []string{"production"}, is.Subscriptions[0].Filter.Stages)
	require.WithinDuration(t, time.Now(), is.Seen, 5*time.Second)
	require.Empty(t, find(t, f, "first", "helm-service"), "it does not concern that stamp")

	var shown []keptn.Integration
	require.Equal(t, http.StatusOK, face(t, f, "control", 0).do(http.MethodGet, "", nil, &shown))
	require.Len(t, shown, 1, "without an API of Keptn the registry is all there is")

	f.Cut("second")
	f.Stop("control")
	f.Restart("control")
	require.Eventually(t, func() bool { return len(find(t, f, "control", "helm-service")) == 1 }, patience, time.Millisecond)
}

// TestUniformAPIWithoutKeptn: by Keptn's rules for what is the same plane.
func TestUniformAPIWithoutKeptn(t *testing.T) {
	f := planes(t, nil, "")
	p := face(t, f, "first", 0)
	var out struct{ ID string }
	require.Equal(t, http.StatusCreated, p.do(http.MethodPost, "", helm(deployment), &out))
	id := out.ID
	require.Equal(t, http.StatusOK, p.do(http.MethodPost, "", helm("sh.keptn.event.test.triggered"), &out))
	require.Equal(t, id, out.ID)
	subs := p.ping(id).Subscriptions
	require.Len(t, subs, 1, "what it says the second time is passed over")
	require.Equal(t, http.StatusCreated, p.do(http.MethodPost, "/"+id+"/subscription", keptn.Subscription{Event: "sh.keptn.event.x.triggered"}, &out))
	var one keptn.Subscription
	require.Equal(t, http.StatusOK, p.do(http.MethodGet, "/"+id+"/subscription/"+out.ID, nil, &one))
	require.Equal(t, []string{"dev", "hardening"}, one.Filter.Stages)
	require.Equal(t, http.StatusOK, p.do(http.MethodDelete, "/"+id+"/subscription/"+subs[0].ID, nil, nil))
	require.Len(t, p.ping(id).Subscriptions, 1)
	require.Equal(t, http.StatusOK, p.do(http.MethodDelete, "/"+id, nil, nil))
	require.Equal(t, http.StatusOK, p.do(http.MethodDelete, "/"+id, nil, nil), "also when it is gone")
	require.Equal(t, http.StatusNotFound, p.do(http.MethodPut, "/"+id+"/ping", nil, nil))
	require.Equal(t, id, p.register(helm(deployment)))
	p.ping(id)
}

// TestLogsWaitForTheControlPlane: what a plane reports is passed on when that is
// possible, under the id that the control plane knows.
func TestLogsWaitForTheControlPlane(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	p := face(t, f, "first", 0)
	id := p.register(helm(deployment))
	d.away.Store(true)
	entry := map[string]any{"logs": []map[string]any{{"integrationid": id, "message": "boom", "task": "deployment"}}}
	require.Equal(t, http.StatusOK, do(t, http.MethodPost, p.URL+"/v1/log", entry, nil))
	require.Equal(t, http.StatusBadRequest, do(t, http.MethodPost, p.URL+"/v1/log", `{"logs"`, nil))
	require.Equal(t, http.StatusOK, do(t, http.MethodPost, p.URL+"/v1/log", `{"logs":[null]}`, nil))
	f.Stop("first")
	f.Restart("first")
	require.Empty(t, d.store.Logs())
	d.away.Store(false)
	require.Eventually(t, func() bool { return len(d.store.Logs()) == 1 }, patience, time.Millisecond)
	is := d.store.Logs()[0]
	require.Equal(t, "boom", is.Message)
	require.Equal(t, d.shown(t)["keptn-exec.first/helm-service"].ID, is.IntegrationID)
	require.WithinDuration(t, time.Now(), is.Time, time.Minute)
}

// TestPlanesOutliveAReplica: every replica answers every plane, and when the one
// that speaks for the stamp is gone another does.
func TestPlanesOutliveAReplica(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, ", replicas: 3", func(o *gateway.Options) { o.Planes.Lease = 10 * time.Second })
	faces := []*planeFace{face(t, f, "second", 0), face(t, f, "second", 1), face(t, f, "second", 2)}
	active := f.Active("second")
	other := faces[(active+1)%3]
	id := other.register(helm(deployment))
	before := other.ping(id)
	for _, p := range faces {
		require.Equal(t, before.Subscriptions, p.ping(id).Subscriptions)
		require.Equal(t, id, p.register(helm(deployment)))
	}
	require.Len(t, d.shown(t), 1)
	d.away.Store(true)
	f.StopReplica("second", active)
	rest := slices.Delete(slices.Clone(faces), active, active+1)
	for _, p := range rest {
		require.Equal(t, before.Subscriptions, p.ping(id).Subscriptions)
	}
	f.Active("second")
	d.forget()
	d.away.Store(false)
	require.Eventually(t, func() bool { return len(d.shown(t)) == 1 }, patience, time.Millisecond)
	require.Eventually(t, func() bool {
		return slices.EqualFunc(before.Subscriptions, d.shown(t)["keptn-exec.second/helm-service"].Subscriptions, func(a, b keptn.Subscription) bool { return a.ID == b.ID })
	}, patience, time.Millisecond)
}

// TestAnyGoesWhereAPlaneIs: a task for any stamp goes at once to the one that has
// a plane for it, and its dead letter says where there is none.
func TestAnyGoesWhereAPlaneIs(t *testing.T) {
	text := strings.Replace(fmt.Sprintf(planesWorld, "", ""), "{name: production, ring: prod}", "{name: production, ring: prod, deliver: any, startWithin: 5s}", 1)
	text = strings.Replace(text, "{name: second, geo: eu, ring: prod", "{name: nearer, geo: eu, ring: prod, link: {via: [control]}}\n  - {name: second, geo: eu, ring: prod", 1)
	f := fed.New(t, text, quickly)
	p := face(t, f, "second", 0)
	p.register(helm(deployment))
	tap := f.Tap("second", deployment, "helm-service")
	require.Eventually(t, func() bool {
		is := find(t, f, "control", "helm-service")
		return len(is) == 1 && is[0].State == plane.Fresh
	}, patience, time.Millisecond)
	p.ping(find(t, f, "second", "helm-service")[0].ID)
	body := []byte(`{"specversion":"1.0","id":"1","source":"shipyard-controller","type":"` + deployment + `","shkeptncontext":"c",` +
		`"time":"2026-01-02T03:04:05Z","data":{"project":"p","stage":"production","service":"carts"}}`)
	e, err := bridge.Parse(deployment, body)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return f.Stamp("control").Gateway().Router().Route(e).Candidates[0].Stamp == "second"
	}, patience, time.Millisecond)
	begin := time.Now()
	f.Publish("control", deployment, body)
	tap.Next()
	require.Less(t, time.Since(begin), 4*time.Second, "nobody was asked before")
	require.Eventually(t, func() bool {
		return slices.Contains(f.Stamp("control").Gateway().Router().Route(e).Tried, "stamp nearer: no plane there will take this")
	}, patience, time.Millisecond)
}

// TestPlanesOfAllReplicas: who subscribes is found at whichever replica it is.
func TestPlanesOfAllReplicas(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, ", replicas: 3", func(o *gateway.Options) { o.Planes.Behalf = 600 * time.Millisecond })
	f.Active("second")
	for i := range 3 {
		nc, err := nats.Connect(f.Replica("second", i).URL())
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		_, err = nc.QueueSubscribeSync(deployment, fmt.Sprintf("service-%d", i))
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
	}
	require.Eventually(t, func() bool { return len(d.shown(t)) == 3 }, patience, 5*time.Millisecond)
	for i := range 3 {
		require.Equal(t, plane.OnBehalf, find(t, f, "second", fmt.Sprintf("service-%d", i))[0].How)
	}
}
