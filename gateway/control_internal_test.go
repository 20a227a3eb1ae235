package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/topology"
)

const controlled = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [control, dev, prod]
stamps:
  - {name: one, geo: eu, ring: control, roles: [control], link: {kind: hub, advertise: {gateway: "one:1", leafnode: "one:2"}}}
  - {name: two, geo: eu, ring: control, roles: [control]}
  - {name: dev, geo: eu, ring: dev}
  - {name: prod, geo: eu, ring: prod}
controlPlanes:
  - {name: shop, stamp: one, projects: [shop, a b], api: {url: "http://one/api"}}
  - {name: rest, stamp: two, api: {services: {api-service: "http://api:8080"}}}
stages:
  - {name: dev, ring: dev, projects: [shop]}
  - {name: prod, ring: prod, projects: [other]}
targets:
  - {name: k8s, stamp: dev, url: "https://k8s", callers: {stamps: [prod]}, methods: [GET], paths: [/api/v1, /version/], deny: [/api/v1/namespaces/*/secrets]}
  - {name: open, stamp: dev, url: "http://open"}
`

func seenFrom(t *testing.T, id topology.StampID) *topology.View {
	t.Helper()
	m, err := topology.Parse("test.yaml", []byte(controlled))
	require.NoError(t, err)
	v, ok := m.View(id)
	require.True(t, ok)
	return v
}

func TestControlPlaneOfACall(t *testing.T) {
	for _, c := range []struct {
		stamp           topology.StampID
		target, project string
		want            string
	}{
		{"dev", "/v1/uniform/registration?name=x", "", "shop"}, // the first that sends events here
		{"prod", "/v1/uniform/registration", "", "rest"},
		{"two", "/v1/event", "", "rest"}, // its own
		{"dev", "/v1/project/other/stage/x", "other", "rest"},
		{"prod", "/v1/project/a%20b/resource/x%2Fy", "a b", "shop"},
		{"prod", "//v1//sequence/shop/ctx/control", "shop", "shop"},
		{"prod", "/event?project=shop&x", "shop", "shop"},
		{"prod", "/v1/event/triggered/x?project=shop", "shop", "shop"},
		{"prod", "/event/type/x?filter=source:y%20AND%20data.project:shop%20AND%20data.stage:dev&limit=1", "shop", "shop"},
		{"prod", "/event/type/x?filter=data.stage:dev", "", "rest"},
		{"dev", "/v1/project", "", "shop"},
		{"dev", "/v1/project/%zz?%zz", "", "shop"},
	} {
		require.Equal(t, c.project, projectOf(c.target), c.target)
		require.Equal(t, c.want, controlOf(seenFrom(t, c.stamp), c.project).Name, c)
	}
}

func TestPublicForm(t *testing.T) {
	for _, c := range []struct {
		service, target string
		public          bool
		want            string
	}{
		{call.API, "/v1/event?", false, "/v1/event?"},
		{call.Shipyard, "/v1/x%2Fy", false, "/controlPlane/v1/x%2Fy"},
		{call.Resource, "/v1/project/p%2F/resource/a%2Fb%2fc%20d?x=%2F", false, "/resource-service/v1/project/p%2F/resource/a%252Fb%252fc%20d?x=%2F"},
		{call.Resource, "/v1/project/p/resource/a%2Fb", true, "/resource-service/v1/project/p/resource/a%2Fb"},
		{call.Resource, "/v1/project/p/resource/a%252Fb", false, "/resource-service/v1/project/p/resource/a%252Fb"},
		{call.Secret, "/v1/secret", true, "/secrets/v1/secret"},
	} {
		require.Equal(t, c.want, publicForm(c.service, c.target, c.public), c)
	}
}

func TestTargetsOfTheTopology(t *testing.T) {
	g := &Gateway{opts: DefaultOptions()}
	g.opts.Targets = map[string]TargetFiles{"k8s": {CA: "ca"}, "keptn-rest-api-service": {ServerName: "x"}, "keptn-rest": {}}
	names := func(ts []tunnel.Target) (out []string) {
		for _, x := range ts {
			out = append(out, x.Name+" "+x.CA+x.ServerName)
		}
		return out
	}
	require.Equal(t, []string{"keptn-shop "}, names(g.targets(seenFrom(t, "one"))))
	require.Equal(t, []string{"keptn-rest-api-service x"}, names(g.targets(seenFrom(t, "two"))))
	dev := g.targets(seenFrom(t, "dev"))
	require.Equal(t, []string{"k8s ca", "open "}, names(dev))
	require.True(t, dev[0].NoUpgrade)
	for _, c := range []struct {
		from           topology.StampID
		method, target string
		want           bool
	}{
		{"prod", "GET", "/api/v1", true},
		{"prod", "GET", "/api/v1/pods?x", true},
		{"prod", "GET", "/version", true},
		{"dev", "GET", "/api/v1", false},
		{"prod", "PUT", "/api/v1", false},
		{"prod", "GET", "/api/v11", false},
		{"prod", "GET", "/api/v1/namespaces/n/secrets/s", false},
		{"prod", "GET", "/api/v1/namespaces/n/%73ecrets", false},
		{"prod", "GET", "/api/v1/../../metrics", false},
		{"prod", "GET", "/api/v1/namespaces/n/pods", true},
	} {
		require.Equal(t, c.want, dev[0].Rules.Allow(c.from, c.method, c.target), c)
	}
	require.True(t, dev[1].Rules.Allow("one", "PATCH", "/anything"))
	require.ErrorContains(t, g.unknownTargets(seenFrom(t, "two")), "target k8s,")
	require.ErrorContains(t, g.unknownTargets(seenFrom(t, "two")), "target keptn-rest,") // only a service has an API
	require.NotContains(t, g.unknownTargets(seenFrom(t, "two")).Error(), "api-service")
}

// TestAccessOfAControlPlane: one token does for polling and for calls, and a
// target may have another.
func TestAccessOfAControlPlane(t *testing.T) {
	g := &Gateway{opts: DefaultOptions()}
	g.opts.ControlPlanes = map[string]ControlPlane{"rest": {TokenFile: "token", CA: "ca", Cert: "cert", Key: "key"}}
	one := func() tunnel.Target {
		ts := g.targets(seenFrom(t, "two"))
		require.Len(t, ts, 1)
		return ts[0]
	}
	require.Equal(t, map[string]string{"x-token": "token"}, one().Credentials)
	require.Equal(t, []string{"ca", "cert", "key"}, []string{one().CA, one().Cert, one().Key})
	other := map[string]string{"x-token": "other"}
	g.opts.Targets = map[string]TargetFiles{"keptn-rest-api-service": {Credentials: other, CA: "mine"}}
	require.Equal(t, other, one().Credentials)
	require.Equal(t, "mine", one().CA)
	require.Empty(t, g.targets(seenFrom(t, "one"))[0].Credentials, "another control plane")
	g.opts.Targets = nil
	require.NoError(t, g.unknownTargets(seenFrom(t, "two")))
	require.ErrorContains(t, g.unknownTargets(seenFrom(t, "one")), "control plane rest,")
}

// answers is a call.Handler.
type answers struct{ plane string }

func (a answers) ServeCall(w http.ResponseWriter, _ *http.Request, c call.Call) bool {
	if c.Plane != a.plane {
		return false
	}
	fmt.Fprint(w, a.plane)
	return true
}

// TestCallsAreAnsweredInOrder: handlers may come and go while calls do.
func TestCallsAreAnsweredInOrder(t *testing.T) {
	g := &Gateway{}
	require.Empty(t, g.calls())
	g.setCalls(answers{"a"}, answers{"b"})
	w := httptest.NewRecorder()
	require.True(t, slices.ContainsFunc(g.calls(), func(h call.Handler) bool { return h.ServeCall(w, nil, call.Call{Plane: "b"}) }))
	require.Equal(t, "b", w.Body.String())
	g.setCalls()
	require.Empty(t, g.calls())
}
