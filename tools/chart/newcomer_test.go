package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newcomerTopology is the two stamps of docs/install.md, "In ten minutes". The
// API of the control plane is at %s.
const newcomerTopology = `apiVersion: ringway/v1
kind: Topology
name: first
geos: [eu]
rings: [dev]
stamps:
  - name: control
    geo: eu
    ring: dev
    roles: [control]
    link: { kind: hub, advertise: { leafnode: "10.233.0.10:7422" } }
  - { name: plane, geo: eu, ring: dev }
controlPlanes: [{ name: keptn, stamp: control, api: { services: { shipyard-controller: "%s" } } }]
stages: [{ name: dev, ring: dev }]
`

// The pods of a newcomer, in the network of their clients.
var newcomerPods = map[string]string{"control": "10.233.1.10", "plane": "10.233.2.10"}

// limits are what was promised: two stamps with an event crossing, and to find
// out what a broken link is.
const (
	toFirstEvent = 10 * time.Minute
	toCause      = time.Minute
)

// TestNewcomer follows docs/install.md with the chart's pods, from keys to an
// event that crosses; then a link is cut, and status, doctor and console have to say
// which side, where, why, what waits and what to do, within a minute.
func TestNewcomer(t *testing.T) {
	c := startContainers(t)
	for i, name := range []string{"ringway-links", "ringway-control", "ringway-plane"} {
		c.network(t, name, fmt.Sprintf("10.233.%d.0/24", i))
	}
	began := time.Now()
	n := &newcomer{containers: c, top: c.dir + "/topology.yaml", keys: c.dir + "/keys", tests: map[string][][]string{}}
	n.ringway = filepath.Join(filepath.Dir(os.Getenv("RINGWAY_IMAGE")), "root", "ringway")
	writeFile(t, n.top, fmt.Sprintf(newcomerTopology, keptnAPI(t)))
	n.run(t, "auth", "init", "--topology", n.top, "--store", n.keys)
	pods := map[string]string{"control": n.install(t, "control"), "plane": n.install(t, "plane")}
	steady(t, "10.233.1.1")
	cross(t, newcomerPods["control"], newcomerPods["plane"], "event-1")
	t.Logf("an event crosses %s after the first command", time.Since(began).Round(100*time.Millisecond))
	require.Less(t, time.Since(began), toFirstEvent)
	for _, stamp := range []string{"control", "plane"} {
		out := n.helmTest(t, stamp)
		require.Contains(t, out, "√ bridge")
		require.Contains(t, out, "√ tunnel")
	}

	n.breakLink(t, pods["plane"])
	publish(t, newcomerPods["control"], "event-2")
	cut := time.Now()
	n.within(t, cut, "control", `(?s)plane +DOWN.*\nplane: no leafnode connection from it: .*it dials 10\.233\.0\.10:7422 \(side: plane → control\); 1 events wait for it +see https`, "status")
	n.within(t, cut, "control", `(?s)× .*plane.*see https`, "doctor")
	n.shows(t, cut, "control", "plane", "plane → control", "10.233.0.10:7422", "no leafnode connection from it", "errors.md#rw-301")
	n.within(t, cut, "plane", `(?s)control +DOWN.*\ncontrol: .*10\.233\.0\.10:7422.*side: plane → control`, "status")
	n.within(t, cut, "plane", `(?s)× .*10\.233\.0\.10:7422.*see https`, "doctor")
	n.shows(t, cut, "plane", "control", "plane → control", "10.233.0.10:7422", "errors.md#rw-301")
	n.healLink(t, pods["plane"])
	hear(t, listen(t, newcomerPods["plane"]), "event-2")
	t.Logf("the link is whole again, and what waited has arrived")
}
