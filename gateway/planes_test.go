package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/keptn"
)

// TestNamesakesAreTwoPlanes: the same service with the same namespace and
// hostname in two stamps is registered twice, each with the filters of its
// stamp.
func TestNamesakesAreTwoPlanes(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	first, second := face(t, f, "first", 0), face(t, f, "second", 0)
	a, b := first.register(helm(deployment)), second.register(helm(deployment))
	require.NotEqual(t, a, b)
	shown := d.shown(t)
	require.Len(t, shown, 2)
	one, two := shown["keptn-exec.first/helm-service"], shown["keptn-exec.second/helm-service"]
	require.Equal(t, []string{"dev", "hardening"}, stagesOf(t, one, deployment))
	require.Equal(t, []string{"production"}, stagesOf(t, two, deployment))
	for _, i := range shown {
		require.NotNil(t, i.Subscriptions[0].Filter.Projects)
		require.NotNil(t, i.Subscriptions[0].Filter.Services)
		require.NotEmpty(t, i.Subscriptions[0].ID)
	}
	require.Equal(t, "first", one.Metadata.Location)
	require.Equal(t, "keptn-node", one.Metadata.Hostname)

	is := first.ping(a)
	require.Equal(t, "keptn-exec", is.Metadata.Kubernetes.Namespace, "the plane sees its own names")
	require.Equal(t, one.Subscriptions, is.Subscriptions)
	require.Equal(t, a, one.ID, "the id that Keptn itself gives")

	var list []keptn.Integration
	require.Equal(t, http.StatusOK, first.do(http.MethodGet, "?name=helm-service", nil, &list))
	require.Len(t, list, 1)
	require.Equal(t, a, list[0].ID)
	require.Equal(t, http.StatusTeapot, first.do(http.MethodGet, "?name=other", nil, nil), "others are asked of the control plane")

	require.Equal(t, a, first.register(helm(deployment)), "registered again")
	require.Len(t, d.shown(t), 2)
}

// TestPingsOutliveTheControlPlane: a plane gets its pings answered, and registers
// again, under the same id as long as the control plane is away.
func TestPingsOutliveTheControlPlane(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	p := face(t, f, "first", 0)
	id := p.register(helm(deployment))
	before := p.ping(id)
	d.away.Store(true)
	require.Eventually(t, func() bool { return f.Status("first").Planes.Stale == 1 }, patience, time.Millisecond)
	require.Equal(t, before.Subscriptions, p.ping(id).Subscriptions)
	require.Equal(t, id, p.register(helm(deployment)))
	other := helm(deployment)
	other.Name = "late-service"
	late := p.register(other)
	told := p.ping(late)
	require.Equal(t, []string{"dev", "hardening"}, stagesOf(t, told, deployment))

	d.away.Store(false)
	require.Eventually(t, func() bool { return f.Status("first").Planes.Fresh == 2 }, patience, time.Millisecond)
	shown := d.shown(t)
	require.Len(t, shown, 2)
	require.Equal(t, told.Subscriptions, shown["keptn-exec.first/late-service"].Subscriptions, "under the ids it was told")
	require.Equal(t, before.Subscriptions, p.ping(id).Subscriptions)
}

// TestSilentControlPlane: a control plane that takes calls and does not answer
// keeps nobody waiting for longer than a plane has patience.
func TestSilentControlPlane(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "", func(o *gateway.Options) { o.Planes.Lease = time.Minute })
	p := face(t, f, "first", 0)
	id := p.register(helm(deployment))
	d.mu.Lock()
	d.mute = make(chan struct{})
	d.mu.Unlock()
	begin := time.Now()
	p.ping(id)
	require.Less(t, time.Since(begin), time.Second)
	other := helm(deployment)
	other.Name = "late-service"
	late := p.register(other)
	require.Less(t, time.Since(begin), 10*time.Second, "clients have 30 s")
	require.Eventually(t, func() bool { return f.Status("first").Planes.Stale == 2 }, patience, time.Millisecond)
	require.Equal(t, late, p.register(other))
	p.ping(late)
	require.NotEqual(t, gateway.ConditionOK, f.Status("first").Condition)
	d.mu.Lock()
	close(d.mute)
	d.mute = nil
	d.mu.Unlock()
	require.Eventually(t, func() bool { return f.Status("first").Planes.Fresh == 2 }, patience, time.Millisecond)
}

// TestForgottenPlanesComeBack: when the control plane has forgotten a plane it is
// registered again, with what was made in the Bridge, and the plane notices
// nothing.
func TestForgottenPlanesComeBack(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	p := face(t, f, "first", 0)
	id := p.register(helm(deployment))
	there := d.shown(t)["keptn-exec.first/helm-service"].ID
	const made = "sh.keptn.event.release.triggered"
	require.Equal(t, http.StatusCreated, d.do(t, http.MethodPost, "/"+there+"/subscription", keptn.Subscription{
		Event: made, Filter: keptn.Filter{Stages: []string{"dev", "production"}},
	}, nil))
	require.Eventually(t, func() bool { return len(p.ping(id).Subscriptions) == 2 }, patience, time.Millisecond, "the plane hears of it")
	require.Equal(t, []string{"dev"}, stagesOf(t, p.ping(id), made), "no more than reaches the stamp")
	require.Equal(t, []string{"dev"}, stagesOf(t, d.shown(t)["keptn-exec.first/helm-service"], made))

	before := p.ping(id)
	d.forget()
	require.Eventually(t, func() bool { return len(d.shown(t)["keptn-exec.first/helm-service"].Subscriptions) == 2 }, patience, time.Millisecond)
	require.ElementsMatch(t, before.Subscriptions, d.shown(t)["keptn-exec.first/helm-service"].Subscriptions)
	require.Equal(t, before.Subscriptions, p.ping(id).Subscriptions)

	require.Equal(t, http.StatusOK, d.do(t, http.MethodDelete, "/"+there+"/subscription/"+before.Subscriptions[0].ID, nil, nil))
	require.Eventually(t, func() bool { return len(p.ping(id).Subscriptions) == 1 }, patience, time.Millisecond)
	require.Equal(t, id, p.register(helm(deployment)))
	require.Len(t, p.ping(id).Subscriptions, 1, "what was taken out in the Bridge stays out")
}

// TestRegistrationsAreRefused: what would take over other planes, or is none.
func TestRegistrationsAreRefused(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	p := face(t, f, "first", 0)
	nameless, homeless := helm(deployment), helm(deployment)
	nameless.Name, homeless.Metadata.Kubernetes.Namespace = "", ""
	for _, i := range []keptn.Integration{nameless, homeless} {
		var text string
		require.Equal(t, http.StatusBadRequest, p.do(http.MethodPost, "", i, &text))
		require.JSONEq(t, `{"code":400,"message":"incomplete integration ID. At least 'name','namespace' and 'nodename' must be set"}`, text)
	}
	var text string
	require.Equal(t, http.StatusBadRequest, p.do(http.MethodPost, "", `{"name":"x"`, &text))
	require.JSONEq(t, `{"code":400,"message":"unexpected EOF"}`, text)
	require.Equal(t, http.StatusNotFound, p.do(http.MethodPut, "/nobody/ping", nil, &text))
	require.JSONEq(t, `{"code":404,"message":"uniform integration not found"}`, text)
	require.Empty(t, d.shown(t))

	hostless := helm(deployment)
	hostless.Metadata.Hostname = ""
	p.register(hostless)
	require.Equal(t, "first-gw", d.shown(t)["keptn-exec.first/helm-service"].Metadata.Hostname)
}

// TestPlanesOutliveTheGateway: a restart changes nothing for a plane, also while
// the control plane is away.
func TestPlanesOutliveTheGateway(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	p := face(t, f, "first", 0)
	id := p.register(helm(deployment))
	before := p.ping(id)
	d.away.Store(true)
	f.Stop("first")
	f.Restart("first")
	require.Equal(t, before.Subscriptions, p.ping(id).Subscriptions)
	require.Equal(t, id, p.register(helm(deployment)))
}
