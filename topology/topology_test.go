package topology_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// small is right; the cases below replace parts of it.
const small = `apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu, us]
rings: [dev, prod]
defaults: {labels: {tier: small}}
stamps:
  - name: ctl
    geo: eu
    ring: dev
    roles: [control]
    link: {kind: hub, advertise: {gateway: "ctl.example:7222", leafnode: "ctl.example:7422"}}
  - {name: a, geo: eu, ring: dev}
  - {name: b, geo: us, ring: prod, labels: {tier: gold}}
controlPlanes: [{name: k, stamp: ctl}]
stages:
  - {name: dev, ring: dev}
  - {name: prod, ring: prod}
`

func parse(t *testing.T, text string) *topology.Mesh {
	t.Helper()
	m, err := topology.Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	return m
}

func TestDefaultsAreFilledIn(t *testing.T) {
	m := parse(t, small)
	require.Empty(t, m.Warnings)
	a, b := m.Stamp("a"), m.Stamp("b")
	require.True(t, a.Execution)
	require.Equal(t, 1, a.Replicas)
	require.Equal(t, []topology.StampID{"ctl"}, a.Link.Via)
	require.Equal(t, topology.TransportTLS, a.Link.Transport)
	require.Equal(t, map[string]string{"tier": "small"}, a.Labels)
	require.Equal(t, map[string]string{"tier": "gold"}, b.Labels)
	require.NotEmpty(t, a.Clients.Sources)
	require.Equal(t, []topology.StampID{"a"}, m.Stages[0].Stamps)
	require.Equal(t, topology.DeliverAll, m.Stages[0].Deliver)
}

func TestInheritanceGoesFromDefaultsToGeoToRingToStamp(t *testing.T) {
	m := parse(t, strings.NewReplacer(
		"geos: [eu, us]", "geos: [eu, {name: us, defaults: {replicas: 3, labels: {a: geo, b: geo}}}]",
		"rings: [dev, prod]", "rings: [dev, {name: prod, defaults: {labels: {b: ring}, link: {transport: wss}}}]",
		`leafnode: "ctl.example:7422"`, `leafnode: "ctl.example:7422", websocket: "ctl.example:443"`,
	).Replace(small))
	b := m.Stamp("b")
	require.Equal(t, 3, b.Replicas)
	require.Equal(t, map[string]string{"tier": "gold", "a": "geo", "b": "ring"}, b.Labels)
	require.Equal(t, topology.TransportWSS, b.Link.Transport)
}

func TestProblemsHavePlaceAndAdvice(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, want string }{
		"unknown key":        {"geo: us", "goe: us", `test.yaml:14:15: stamps[2].goe: is not a known key (did you mean geo?)`},
		"duplicate key":      {"kind: Topology", "kind: Topology\nkind: Topology", "test.yaml:3:1: kind: is given twice, first on line 2"},
		"wrong type":         {"geos: [eu, us]", "geos: eu", `is "eu", not a list`},
		"alias":              {"name: test", "name: &x test\ndefaults2: *x", "is an alias"},
		"two documents":      {"name: test", "name: test\n---\n", "more than one document"},
		"not YAML":           {"name: test", "name: [", "is not YAML"},
		"bad version":        {"ringway/v1", "ringway/v9", "write ringway/v1"},
		"not a token":        {"name: a,", "name: a.b,", "is not a NATS token"},
		"duplicate stamp":    {"name: b,", "name: a,", `"a" is there twice`},
		"duplicate geo":      {"[eu, us]", "[eu, us, us]", `"us" is there twice`},
		"dangling geo":       {"geo: us", "geo: mars", `there is no geo "mars"`},
		"dangling ring":      {"{name: prod, ring: prod}", "{name: prod, ring: qa}", `there is no ring "qa"`},
		"dangling control":   {"stamp: ctl}]", "stamp: x}]", `there is no stamp "x"`},
		"no control role":    {"stamp: ctl}]", "stamp: a}]", "has no role control"},
		"two owners":         {"stamp: ctl}]", "stamp: ctl}, {name: l, stamp: ctl}]", "owns every other project"},
		"owned twice":        {"stamp: ctl}]", "stamp: ctl, projects: [p]}, {name: l, stamp: ctl, projects: [p]}]", `project "p" belongs to "k"`},
		"no ring":            {"{name: dev, ring: dev}", "{name: dev}", "name the ring"},
		"chooses nothing":    {"{name: dev, ring: dev}", "{name: dev, ring: dev, labels: {tier: gold}}", "chooses no execution stamp"},
		"unreachable rule":   {"  - {name: prod, ring: prod}", "  - {name: dev, ring: prod}", "can never take an event: stages[0] takes all of them before"},
		"bad expression":     {"{name: dev, ring: dev}", "{name: dev, ring: dev, when: 'data.x ='}", "stages[0].when: does not compile"},
		"loop":               {"{name: dev, ring: dev}", "{name: dev, ring: dev, when: 'any(1..9, # > 1)'}", "does not compile"},
		"not a condition":    {"{name: dev, ring: dev}", "{name: dev, ring: dev, when: 'project'}", "does not compile"},
		"bad duration":       {"{name: dev, ring: dev}", "{name: dev, ring: dev, deadline: soon}", "is not a duration"},
		"bad word":           {"{name: dev, ring: dev}", "{name: dev, ring: dev, deliver: some}", "write one of [all any first]"},
		"no order":           {"{name: dev, ring: dev}", "{name: dev, ring: dev, deliver: first}", "list the stamps, best first"},
		"leaf via leaf":      {"{name: b, geo: us", "{name: b, link: {via: [a]}, geo: us", `stamp "a" is a leaf itself`},
		"via itself":         {"{name: b, geo: us", "{name: b, link: {via: [b]}, geo: us", "via itself"},
		"no hub":             {"kind: hub, advertise", "kind: leaf, advertise", "no stamp is a hub"},
		"no leaf address":    {`, leafnode: "ctl.example:7422"`, "", "leaves dial hub \"ctl\" over tls"},
		"no gateway address": {"{name: b, geo: us", "{name: b, trusted: true, link: {kind: hub}, geo: us", `hub "b" cannot be reached`},
		"bad address":        {"ctl.example:7422", "ctl.example", "is not an address"},
		"replicas":           {"{name: b, geo: us", "{name: b, replicas: 2, geo: us", "write 1, 3 or 5"},
		"bad CIDR":           {"{name: b, geo: us", "{name: b, clients: {sources: [x]}, geo: us", "is not a CIDR"},
		"external URL":       {"{name: b, geo: us", "{name: b, clients: {mode: external}, geo: us", "clients.url: is missing"},
		"secret in URL":      {"{name: b, geo: us", "{name: b, clients: {mode: external, url: \"nats://u:p@h:1\"}, geo: us", "holds credentials"},
		"route on Keptn's":   {"stages:", "routes: [{name: r, subject: sh.keptn.>}]\nstages:", "overlaps sh.keptn.>"},
		"route on ours":      {"stages:", "routes: [{name: r, subject: '>'}]\nstages:", "which is not for routes"},
		"ambiguous routes":   {"stages:", "routes: [{name: r, subject: o.>}, {name: s, subject: o.a, mode: live}]\nstages:", "another mode"},
		"overlapping":        {"stages:", "routes: [{name: r, subject: o.*.b}, {name: s, subject: o.a.*}]\nstages:", "overlaps route"},
		"hidden policy":      {"stages:", "policies: [{name: p, effect: deny}, {name: q, effect: allow, projects: [x]}]\nstages:", "changes nothing"},
		"target path":        {"stages:", "targets: [{name: t, stamp: a, url: 'http://x', paths: [x]}]\nstages:", "start it with /"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, tc.old, tc.new, 1)
			require.NotEqual(t, small, text)
			_, err := topology.Parse("test.yaml", []byte(text))
			require.ErrorContains(t, err, tc.want)
			for _, p := range topology.AsProblems(err) {
				require.Positive(t, p.Line, p)
				require.Positive(t, p.Col, p)
			}
		})
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	text := strings.NewReplacer("geo: us", "geo: mars", "ring: dev}", "ring: qa}", "stamp: ctl}", "stamp: x}").Replace(small)
	_, err := topology.Parse("test.yaml", []byte(text))
	require.Greater(t, len(topology.AsProblems(err)), 3)
}

func TestWarnings(t *testing.T) {
	text := strings.Replace(small, "{name: b, geo: us, ring: prod, labels: {tier: gold}}",
		`{name: b, geo: us, ring: prod, link: {kind: hub, advertise: {gateway: "b.example:7222"}}}`, 1)
	m := parse(t, text)
	require.Len(t, m.Warnings, 1)
	require.Contains(t, m.Warnings[0].Error(), "a hub can read and send as any stamp")

	m = parse(t, strings.Replace(small, "roles: [control]", "roles: [control, execution]", 1))
	require.NotEmpty(t, m.Warnings)
	require.Contains(t, m.Warnings[0].Error(), "the planes there answer beside the gateway")

	var hubs strings.Builder
	for i := range 31 {
		fmt.Fprintf(&hubs, "  - {name: h%d, geo: eu, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: \"h:1\", leafnode: \"h:2\"}}}\n", i)
	}
	m = parse(t, strings.Replace(small, "controlPlanes", hubs.String()+"controlPlanes", 1))
	require.Contains(t, m.Warnings[0].Error(), "32 hubs")
}

func TestPlanSaysWhatRestarts(t *testing.T) {
	from := parse(t, small)
	hub := `  - {name: c, geo: us, ring: prod, trusted: true, link: {kind: hub, advertise: {gateway: "c.example:7222"}}}` + "\n"
	for name, tc := range map[string]struct {
		old, new, what string
		live           bool
	}{
		"a leaf comes":    {"controlPlanes", "  - {name: c, geo: us, ring: prod}\ncontrolPlanes", "add leaf stamp c", true},
		"a hub comes":     {"controlPlanes", hub + "controlPlanes", "add hub stamp c", false},
		"a leaf goes":     {"  - {name: b, geo: us, ring: prod, labels: {tier: gold}}\n", "  - {name: c, geo: us, ring: prod}\n", "remove leaf stamp b", true},
		"a rule changes":  {"{name: dev, ring: dev}", "{name: dev, ring: dev, deliver: any}", "change rule dev", true},
		"labels change":   {"tier: gold", "tier: silver", "change labels of stamp b", true},
		"a hub moves":     {"ctl.example:7222", "other.example:7222", "change the gateway address of hub ctl", false},
		"replicas change": {"{name: b, geo", "{name: b, replicas: 3, geo", "change replicas of stamp b", false},
	} {
		t.Run(name, func(t *testing.T) {
			var found *topology.Step
			for _, s := range topology.Plan(from, parse(t, strings.Replace(small, tc.old, tc.new, 1))) {
				if strings.HasPrefix(s.What, tc.what) {
					found = &s
				}
			}
			require.NotNil(t, found)
			require.Equal(t, tc.live, found.Live, found.Describe())
		})
	}
	require.Empty(t, topology.Plan(from, from))
}

// TestExamplesArePlanned: from nothing like it to each example, every stamp is
// added, and from an example to itself nothing changes.
func TestExamplesArePlanned(t *testing.T) {
	files, err := filepath.Glob("../examples/*/topology.yaml")
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // of this repository
		require.NoError(t, err)
		m, err := topology.Parse(file, data)
		require.NoError(t, err)
		require.Empty(t, topology.Plan(m, m), file)
		added := 0
		for _, s := range topology.Plan(parse(t, small), m) {
			if strings.HasPrefix(s.What, "add ") && strings.Contains(s.What, " stamp ") {
				added++
				require.NotEmpty(t, s.Issues, s.What)
			}
		}
		require.Equal(t, len(m.Stamps), added, file)
	}
}

func TestReachingKeepsTheHash(t *testing.T) {
	m := parse(t, small)
	r := m.Reaching(map[topology.StampID]topology.Advertise{"ctl": {Leafnode: "10.0.0.1:7422"}})
	require.Equal(t, "10.0.0.1:7422", r.Stamp("ctl").Link.Advertise.Leafnode)
	require.Equal(t, "ctl.example:7222", r.Stamp("ctl").Link.Advertise.Gateway)
	require.Equal(t, "ctl.example:7422", m.Stamp("ctl").Link.Advertise.Leafnode)
	require.Equal(t, m.Hash, r.Hash)
}

func BenchmarkParse1000Stamps(b *testing.B) {
	var all strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&all, "  - {name: s%d, geo: us, ring: prod}\n", i)
	}
	text := []byte(strings.Replace(small, "controlPlanes", all.String()+"controlPlanes", 1))
	for b.Loop() {
		if _, err := topology.Parse("b.yaml", text); err != nil {
			b.Fatal(err)
		}
	}
}
