package topology_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

const (
	one  = "  - {name: one, subject: one.>, from: {geos: [eu]}}\n"
	two  = "  - {name: two, subject: two.>, from: {geos: [eu]}}\n"
	p    = "  - {name: p, effect: deny, projects: [x]}\n"
	q    = "  - {name: q, effect: deny, projects: [y]}\n"
	k8s  = "  - {name: k8s, stamp: eu-dev, url: \"https://k:443\"}\n"
	logs = "  - {name: logs, stamp: eu-dev, url: \"https://l:443\"}\n"

	everything = base + "routes:\n" + one + two + "policies:\n" + p + q + "targets:\n" + k8s + logs
)

// TestPlanNamesEveryChange: whatever changes the hash is a step.
func TestPlanNamesEveryChange(t *testing.T) {
	t.Parallel()
	const stamp, prod = "{name: eu-dev, geo: eu, ring: dev}", "  - {name: us-prod, geo: us, ring: prod}\n"
	for want, edits := range map[string][]string{
		"rename federation test to other, which needs a store of identities of its own": {"name: test", "name: other"},
		"change the lists of geos or rings":                                             {"geos: [eu, us]", "geos: [eu, us, asia]"},
		"move stamp eu-dev from eu/dev to us/dev":                                       {stamp, "{name: eu-dev, geo: us, ring: dev}"},
		"change labels of stamp eu-dev":                                                 {stamp, "{name: eu-dev, geo: eu, ring: dev, labels: {a: b}}"},
		"change roles of stamp hub":                                                     {"roles: [control]", "roles: [control, execution]"},
		"change whether stamp eu-dev is trusted as a hub":                               {stamp, "{name: eu-dev, geo: eu, ring: dev, trusted: true}"},
		"change replicas of stamp eu-dev from 1 to 3":                                   {stamp, "{name: eu-dev, geo: eu, ring: dev, replicas: 3}"},
		"change from where clients of stamp eu-dev may connect":                         {stamp, "{name: eu-dev, geo: eu, ring: dev, clients: {sources: [10.0.0.0/8]}}"},
		"change the clients' NATS of stamp eu-dev to external":                          {stamp, "{name: eu-dev, geo: eu, ring: dev, clients: {mode: external, url: nats://n:4222}}"},
		"change the hubs, transport or compression of leaf eu-dev":                      {stamp, "{name: eu-dev, geo: eu, ring: dev, link: {proxy: {url: http://p:3128}}}"},
		"make stamp eu-dev a hub":                                                       {stamp, "{name: eu-dev, geo: eu, ring: dev, link: {kind: hub, advertise: {gateway: e:7222}}}"},
		"change the gateway address of hub hub to other:7222":                           {"hub:7222", "other:7222"},
		"change the addresses for leaves of hub hub":                                    {"hub:7422", "other:7422"},
		"change control plane keptn":                                                    {"stamp: hub}", "stamp: hub, api: {url: http://keptn/api}}"},
		"change rule dev":                                                               {"{name: dev, ring: dev}", "{name: dev, ring: dev, when: 'service == \"a\"'}"},
		"change rule prod":                                                              {"{name: prod, ring: prod}", "{name: prod, ring: prod, deadline: 3m}"},
		"change the order of the rules":                                                 {"  - {name: dev, ring: dev}\n  - {name: prod, ring: prod}\n", "  - {name: prod, ring: prod}\n  - {name: dev, ring: dev}\n"},
		"change the order of the stamps":                                                {prod, "", "  - {name: eu-dev", prod + "  - {name: eu-dev"},
		"change route one":                                                              {"one.>", "three.>"},
		"change the order of the routes":                                                {one, "", two, two + one},
		"change policy p":                                                               {"projects: [x]", "projects: [z]"},
		"change the order of the policies":                                              {p, "", q, q + p},
		"change target eu-dev/k8s":                                                      {"https://k:443", "https://k:6443"},
		"change the order of the targets":                                               {k8s, "", logs, logs + k8s},
		"remove policy q":                                                               {"  - {name: q, effect: deny, projects: [y]}\n", ""},
		"add leaf stamp eu-2 in geo eu, ring dev":                                       {stamp, stamp + "\n  - {name: eu-2, geo: eu, ring: dev}"},
		"remove leaf stamp us-prod":                                                     {prod, ""},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			from, to := mesh(t, everything), mesh(t, edit(t, everything, edits...))
			require.NotEqual(t, from.Hash, to.Hash)
			var whats []string
			for _, s := range topology.Plan(from, to) {
				whats = append(whats, s.String())
			}
			require.Contains(t, whats, want)
		})
	}
}

func TestPlanSaysWhomARestartCutsOff(t *testing.T) {
	t.Parallel()
	hubs := edit(t, base, "  - {name: us-prod, geo: us, ring: prod}\n",
		"  - {name: us-hub, geo: us, ring: prod, trusted: true, link: {kind: hub, advertise: {gateway: \"us:7222\", leafnode: \"us:7422\"}}}\n"+
			"  - {name: us-prod, geo: us, ring: prod, link: {via: [us-hub]}}\n")
	step := func(from, to string) topology.Step {
		t.Helper()
		steps := topology.Plan(mesh(t, from), mesh(t, to))
		require.NotEmpty(t, steps)
		return steps[0]
	}

	s := step(base, edit(t, base, "hub:7222", "other:7222"))
	require.Equal(t, []topology.StampID{"hub"}, s.Link)
	require.Equal(t, []topology.StampID{"hub", "eu-dev", "eu-prod", "us-prod"}, s.CutsOff, "the only hub takes all its leaves along")

	s = step(hubs, edit(t, hubs, "  - {name: eu-dev", "  - {name: x-hub, geo: eu, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: \"x:7222\"}}}\n  - {name: eu-dev"))
	require.Equal(t, "add hub stamp x-hub in geo eu, ring dev", s.What)
	require.ElementsMatch(t, []topology.StampID{"hub", "us-hub"}, s.Link)
	require.Equal(t, []topology.StampID{"hub", "eu-dev", "eu-prod", "us-hub", "us-prod"}, s.CutsOff)

	s = step(base, edit(t, base, "{name: eu-dev, geo: eu", "{name: eu-dev, trusted: true, link: {kind: hub, advertise: {gateway: \"e:7222\"}}, geo: eu"))
	require.Equal(t, []topology.StampID{"eu-dev"}, s.Process)
	require.Contains(t, s.CutsOff, topology.StampID("us-prod"))

	s = step(base, edit(t, base, "  - {name: dev, ring: dev}\n", "  - {name: dev, ring: dev, deliver: any}\n"))
	require.True(t, s.Live)
	require.Empty(t, s.CutsOff)
}
