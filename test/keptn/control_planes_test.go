package keptn

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// pair is two control planes, one of them in a leaf, and two stamps of which one
// has the same stages for both.
const pair = `
apiVersion: ringway/v1
kind: Topology
name: pair
geos: [eu]
rings: [control, dev, prod]
stamps:
  - name: control
    geo: eu
    ring: control
    roles: [control]
    link: {kind: hub, advertise: {gateway: "control.example:7222", leafnode: "control.example:7422"}}
  - {name: other, geo: eu, ring: control, roles: [control], link: {via: [control]}}
  - {name: first, geo: eu, ring: dev, link: {via: [control]}}
  - {name: second, geo: eu, ring: prod, link: {via: [control]}}
controlPlanes:
  - {name: keptn, stamp: control, projects: [sockshop]}
  - {name: theirs, stamp: other, projects: [bookshop]}
stages:
  - {name: dev, ring: dev}
  - {name: hardening, ring: dev}
  - {name: production, ring: prod}
`

// bookshop is shop under another name.
func bookshop() Project {
	p := shop()
	p.Name = "bookshop"
	return p
}

// projects returns how many events of each project stream keptn of a stamp has.
func projects(t *testing.T, f *fed.Fed, stamp topology.StampID) map[string]int {
	t.Helper()
	js, err := jetstream.New(f.Client(stamp))
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), "keptn")
	require.NoError(t, err)
	out := map[string]int{}
	for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		out[must2(must(ParseEvent(m.Data)).Of()).Project]++
	}
	return out
}

// TestTwoControlPlanes: two of them, with the same stages, services and planes,
// in one federation. Every sequence of each completes, and neither sees anything
// of the other.
func TestTwoControlPlanes(t *testing.T) {
	f := fed.New(t, pair)
	clock := Clock{Second: 200 * time.Millisecond}
	ours := &ControlPlane{NATS: f.Stamp("control").URL(), Store: NewStore(clock, shop())}
	theirs := &ControlPlane{NATS: f.Stamp("other").URL(), Store: NewStore(clock, bookshop())}
	Start(t, ours)
	Start(t, theirs)
	first := pod(t, f, "first", nil)
	second := pod(t, f, "second", nil)
	const n = 4
	var mine, others []string
	for i := range n {
		service := fmt.Sprintf("carts-%d", i)
		mine = append(mine, ours.Post(t, Trigger("sockshop", "dev", service, "delivery", nil)))
		others = append(others, theirs.Post(t, Trigger("bookshop", "dev", service, "delivery", nil)))
	}
	for i := range n {
		requireOnce(t, ours, shop(), mine[i])
		requireOnce(t, theirs, bookshop(), others[i])
	}
	require.Equal(t, map[string]int{"dev": 4 * n, "hardening": 4 * n}, stages(first))
	require.Equal(t, map[string]int{"production": 2 * n}, stages(second))
	require.Len(t, ours.Store.Sequences(), n*len(shop().Stages))
	require.Len(t, theirs.Store.Sequences(), n*len(shop().Stages))
	require.Equal(t, []string{"sockshop"}, slices.Collect(maps.Keys(projects(t, f, "control"))))
	require.Equal(t, []string{"bookshop"}, slices.Collect(maps.Keys(projects(t, f, "other"))))

	// A task that one gives in a project of the other reaches nobody.
	before := len(second.Received())
	f.Publish("control", triggered, fmt.Appendf(nil, `{"specversion":"1.0","id":"stray","source":"x","type":%q,"shkeptncontext":"s",`+
		`"data":{"project":"bookshop","stage":"production","service":"carts"}}`, triggered))
	requireOnce(t, ours, shop(), ours.Post(t, Trigger("sockshop", "dev", "last", "delivery", nil)))
	require.Len(t, second.Received(), before+1)
}

// TestReportsReachTheirControlPlane: sh.keptn.log.error names no project. It goes
// to the control plane that gave the task it is about, and to all that have
// tasks for the stamp if it is about none.
func TestReportsReachTheirControlPlane(t *testing.T) {
	f := fed.New(t, pair)
	const report = "sh.keptn.log.error"
	at := map[topology.StampID]*fed.Tap{"control": f.Tap("control", report, ""), "other": f.Tap("other", report, "")}
	plane := f.Tap("first", triggered, "")
	about := func(id, task, triggeredID string) {
		f.Publish("first", report, fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"helm-service","type":%q,"triggeredid":%q,"shkeptncontext":"k",`+
			`"data":{"message":"boom","integrationid":"i","task":%q}}`, id, report, triggeredID, task))
	}
	next := func(stamp topology.StampID) string { return must(ParseEvent(at[stamp].Next().Data)).ID }
	for stamp, project := range map[topology.StampID]string{"control": "sockshop", "other": "bookshop"} {
		id := "task of " + project
		f.Publish(stamp, triggered, fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"x","type":%q,"shkeptncontext":"k",`+
			`"data":{"project":%q,"stage":"dev","service":"carts"}}`, id, triggered, project))
		require.Contains(t, string(plane.Next().Data), id)
		about("about "+project, "deployment", id)
		require.Equal(t, "about "+project, next(stamp))
	}
	about("about none", "", "")
	require.Equal(t, "about none", next("control"))
	require.Equal(t, "about none", next("other"))
}

// TestLifeCycleReachesWhoSubscribes: project.* and service.* events of a control
// plane reach planes that subscribe; from an execution stamp they never come.
func TestLifeCycleReachesWhoSubscribes(t *testing.T) {
	f := fed.New(t, pair)
	life := []string{
		"sh.keptn.event.project.create.finished", "sh.keptn.event.project.delete.finished",
		"sh.keptn.event.service.create.finished", "sh.keptn.event.service.delete.finished",
	}
	plane := f.Tap("first", "sh.keptn.event.service.delete.finished", "helm-service")
	all := f.Tap("second", "sh.keptn.>", "")
	control, other := f.Tap("control", "sh.keptn.>", ""), f.Tap("other", "sh.keptn.>", "")
	publish := func(stamp topology.StampID, typ, id string) {
		f.Publish(stamp, typ, fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"shipyard-controller","type":%q,"shkeptncontext":"k",`+
			`"data":{"project":"sockshop","service":"carts"}}`, id, typ))
	}
	id := func(m *nats.Msg) string { return must(ParseEvent(m.Data)).ID }
	for _, typ := range life {
		publish("control", typ, "real "+typ)
		require.Equal(t, "real "+typ, id(all.Next()))
		require.Equal(t, "real "+typ, id(control.Next()), "its own")
	}
	require.Equal(t, "real "+life[3], id(plane.Next()))
	const monitor = "sh.keptn.event.monitoring.configure"
	publish("control", monitor, "monitor")
	require.Equal(t, "monitor", id(all.Next()), "it asks the planes, and has no stage")
	require.Equal(t, "monitor", id(control.Next()), "its own")
	publish("first", monitor, "from a plane")
	require.Equal(t, "from a plane", id(control.Next()))
	for _, typ := range life {
		publish("first", typ, "forged")
	}
	publish("second", "sh.keptn.events.problem", "problem")
	require.Equal(t, "problem", id(all.Next()), "its own")
	require.Equal(t, "problem", id(control.Next()), "nothing before it")
	f.Publish("other", triggered, fmt.Appendf(nil, `{"specversion":"1.0","id":"end","source":"x","type":%q,"shkeptncontext":"k",`+
		`"data":{"project":"bookshop","stage":"production","service":"carts"}}`, triggered))
	require.Equal(t, "end", id(other.Next()), "nothing of the other control plane")
	require.Equal(t, "end", id(all.Next()))
	require.Equal(t, "forged", id(plane.Next()), "in its own stamp only")
}
