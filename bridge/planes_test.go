package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

const anyStamp = `
apiVersion: ringway/v1
kind: Topology
name: any
geos: [eu, us]
rings: [control, prod]
stamps:
  - {name: control, geo: eu, ring: control, roles: [control], link: {kind: hub, advertise: {gateway: "c.example:7222", leafnode: "c.example:7422"}}}
  - {name: near, geo: eu, ring: prod}
  - {name: far, geo: us, ring: prod}
  - {name: farther, geo: us, ring: prod}
controlPlanes: [{name: keptn, stamp: control}]
stages: [{name: prod, ring: prod, deliver: any}]
`

// TestAnyPrefersWhoHasAPlane: of stamps of which any will do, the ones with a
// live plane for the event come first and those without last; the others in
// between, each kind in order of distance.
func TestAnyPrefersWhoHasAPlane(t *testing.T) {
	spec, err := topology.Load("t", []byte(anyStamp))
	require.NoError(t, err)
	mesh, err := topology.Compile(spec)
	require.NoError(t, err)
	view, _ := mesh.View("control")
	body := []byte(`{"specversion":"1.0","id":"1","source":"s","type":"sh.keptn.event.deployment.triggered","shkeptncontext":"c",` +
		`"data":{"project":"p","stage":"prod","service":"carts"}}`)
	e, err := bridge.Parse("sh.keptn.event.deployment.triggered", body)
	require.NoError(t, err)
	order := func(p *bridge.Planes) (out []topology.StampID, tried []string) {
		r := bridge.NewRouter(view)
		if p != nil {
			r = r.Knowing(p)
		}
		d := r.Route(e)
		for _, c := range d.Candidates {
			out = append(out, c.Stamp)
		}
		return out, d.Tried
	}
	got, _ := order(nil)
	require.Equal(t, []topology.StampID{"near", "far", "farther"}, got)
	takes := bridge.Subscribed{Event: "sh.keptn.event.*.triggered", Stages: []string{"prod,dev"}}
	other := bridge.Subscribed{Event: "sh.keptn.event.deployment.triggered", Stages: []string{"prod"}, Services: []string{"other"}}
	got, tried := order(bridge.NewPlanes(map[topology.StampID][]bridge.Subscribed{"near": {other}, "farther": {other, takes}}))
	require.Equal(t, []topology.StampID{"farther", "far", "near"}, got)
	require.Contains(t, tried, "stamp near: no plane there will take this")
	require.NotContains(t, tried, "stamp far: no plane there will take this", "nothing is known of it")
}
