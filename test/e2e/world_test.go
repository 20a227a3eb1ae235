package e2e_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// world has two hubs, a leaf over TLS and one over WebSocket. Keptn runs in
// control.
const world = `
apiVersion: ringway/v1
kind: Topology
name: world
geos: [eu, us]
rings: [dev, prod]
stamps:
  - name: control
    geo: eu
    ring: dev
    roles: [control]
    link: {kind: hub, advertise: {gateway: "control.example:7222", leafnode: "control.example:7422", websocket: "control.example:443"}}
  - {name: hub, geo: us, ring: prod, trusted: true, link: {kind: hub, advertise: {gateway: "hub.example:7222", leafnode: "hub.example:7422"}}}
  - {name: tls, geo: eu, ring: dev, link: {via: [control]}}
  - {name: wss, geo: us, ring: prod, link: {via: [control], transport: wss}}
controlPlanes: [{name: keptn, stamp: control}]
stages:
  - {name: dev, ring: dev}
  - {name: prod, ring: prod}
  - {name: far, ring: prod, stamps: [wss]}
routes:
  - {name: orders, subject: orders.>, from: {stamps: [tls]}, to: {stamps: [wss]}}
  - {name: beats, subject: beats.>, from: {stamps: [tls]}, to: {stamps: [wss]}, mode: live}
`

const (
	triggered = "sh.keptn.event.deployment.triggered"
	started   = "sh.keptn.event.deployment.started"
	finished  = "sh.keptn.event.deployment.finished"
)

// event makes an event as shipyard-controller or a service would. An answer
// answers the .triggered of the same id.
func event(typ, id, stage, context string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"test","type":%q,"time":"2026-01-01T00:00:00Z","triggeredid":%q,`+
		`"data":{"project":"sockshop","stage":%q,"service":"carts","labels":{"a":"b"}},"shkeptncontext":%q}`, id, typ, id, stage, context)
}

// mark publishes one more event and asks that it is the next that arrives: so
// nothing else did.
func mark(t *testing.T, f *fed.Fed, tap *fed.Tap, stage string) {
	t.Helper()
	body := event(triggered, t.Name(), stage, t.Name())
	f.Publish("control", triggered, body)
	require.Equal(t, string(body), string(tap.Next().Data))
}
