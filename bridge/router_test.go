package bridge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

const routed = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu, apac]
rings: [dev, prod]
defaults: {link: {kind: leaf, via: [ctl]}}
stamps:
  - {name: ctl, geo: eu, ring: prod, roles: [control], link: {kind: hub, advertise: {leafnode: "ctl.example:7422", gateway: "ctl.example:7222"}}}
  - {name: other, geo: apac, ring: prod, roles: [control]}
  - {name: eu-dev, geo: eu, ring: dev}
  - {name: apac-dev, geo: apac, ring: dev}
  - {name: eu-prod, geo: eu, ring: prod, labels: {tier: gold}}
  - {name: apac-prod, geo: apac, ring: prod}
controlPlanes:
  - {name: main, stamp: ctl}
  - {name: second, stamp: other, projects: [theirs]}
stages:
  - {name: dev, ring: dev, geos: [eu], when: 'data.sayhello.location == "EU"'}
  - {name: dev, ring: dev, geos: [apac], when: 'data.sayhello.location == "APAC"'}
  - {name: prod, ring: prod, stamps: [eu-prod, apac-prod]}
  - {name: one, ring: prod, stamps: [apac-prod, eu-prod], deliver: any}
  - {name: ordered, ring: prod, stamps: [eu-prod, apac-prod], deliver: first, order: [apac-prod, eu-prod]}
routes:
  - {name: orders, subject: orders.>, from: {rings: [dev]}, to: {stamps: [eu-prod]}}
policies:
  - {name: no-secrets, effect: deny, to: {geos: [apac]}, projects: [secret]}
`

func routerOf(t *testing.T, me topology.StampID) *bridge.Router {
	t.Helper()
	spec, err := topology.Load("test.yaml", []byte(routed))
	require.NoError(t, err)
	mesh, err := topology.Compile(spec)
	require.NoError(t, err)
	view, ok := mesh.View(me)
	require.True(t, ok)
	return bridge.NewRouter(view)
}

func keptn(t *testing.T, typ, project, stage, data string) *bridge.Event {
	t.Helper()
	if data != "" {
		data = "," + data
	}
	b := fmt.Sprintf(`{"specversion":"1.0","id":"1","source":"s","type":%q,"shkeptncontext":"k","triggeredid":"t",`+
		`"data":{"project":%q,"stage":%q,"service":"c"%s}}`, typ, project, stage, data)
	e, err := bridge.Parse(typ, []byte(b))
	require.NoError(t, err)
	return e
}

func stampsOf(d bridge.Decision) string {
	var out []string
	for _, t := range d.Targets {
		out = append(out, string(t.Stamp))
	}
	for _, c := range d.Candidates {
		out = append(out, "or "+string(c.Stamp))
	}
	return strings.Join(out, " ")
}

func TestRoute(t *testing.T) {
	const (
		triggered = "sh.keptn.event.deployment.triggered"
		started   = "sh.keptn.event.deployment.started"
		deleted   = "sh.keptn.event.project.delete.finished"
	)
	for name, tc := range map[string]struct {
		me                  topology.StampID
		typ, project, stage string
		data                string
		want                string
		refused             bridge.Reason
		offer               bool
	}{
		"by location":                    {me: "ctl", typ: triggered, project: "p", stage: "dev", data: `"sayhello":{"location":"EU"}`, want: "eu-dev"},
		"by other location":              {me: "ctl", typ: triggered, project: "p", stage: "dev", data: `"sayhello":{"location":"APAC"}`, want: "apac-dev"},
		"no location":                    {me: "ctl", typ: triggered, project: "p", stage: "dev", refused: bridge.ReasonNoRule},
		"unknown stage":                  {me: "ctl", typ: triggered, project: "p", stage: "x", refused: bridge.ReasonNoRule},
		"all":                            {me: "ctl", typ: triggered, project: "p", stage: "prod", want: "eu-prod apac-prod"},
		"any takes the nearest":          {me: "ctl", typ: triggered, project: "p", stage: "one", want: "or eu-prod or apac-prod"},
		"first takes the order":          {me: "ctl", typ: triggered, project: "p", stage: "ordered", want: "or apac-prod or eu-prod"},
		"policy denies one":              {me: "ctl", typ: triggered, project: "secret", stage: "prod", want: "eu-prod"},
		"first goes on after a denial":   {me: "ctl", typ: triggered, project: "secret", stage: "ordered", want: "or eu-prod"},
		"not the owner":                  {me: "other", typ: triggered, project: "p", stage: "prod", refused: bridge.ReasonNotOwner},
		"the other owner":                {me: "other", typ: triggered, project: "theirs", stage: "prod", want: "eu-prod apac-prod"},
		"task from an execution stamp":   {me: "eu-dev", typ: triggered, project: "p", stage: "prod", refused: bridge.ReasonDirection},
		"project deletion from one":      {me: "eu-dev", typ: deleted, project: "p", refused: bridge.ReasonDirection},
		"answer":                         {me: "eu-dev", typ: started, project: "p", stage: "dev", want: "ctl"},
		"answer to the other owner":      {me: "eu-dev", typ: started, project: "theirs", stage: "dev", want: "other"},
		"status":                         {me: "eu-dev", typ: "sh.keptn.event.deployment.status.changed", project: "p", stage: "dev", want: "ctl"},
		"sequence from one":              {me: "eu-dev", typ: "sh.keptn.event.prod.delivery.triggered", project: "p", stage: "prod", want: "ctl"},
		"problem":                        {me: "apac-dev", typ: "sh.keptn.events.problem", project: "p", want: "ctl"},
		"sequence informs":               {me: "ctl", typ: "sh.keptn.event.prod.delivery.finished", project: "p", stage: "prod", want: "eu-prod apac-prod", offer: true},
		"project deletion informs all":   {me: "ctl", typ: deleted, project: "p", want: "eu-dev apac-dev eu-prod apac-prod", offer: true},
		"local answer informs the stage": {me: "ctl", typ: started, project: "p", stage: "prod", want: "eu-prod apac-prod", offer: true},
		"report at home":                 {me: "ctl", typ: "sh.keptn.log.error", project: "p"},
		"report at home, no project":     {me: "ctl", typ: "sh.keptn.log.error"},
		"report, no project":             {me: "eu-dev", typ: "sh.keptn.log.error", want: "ctl other"},
		"another control plane answers":  {me: "other", typ: started, project: "p", stage: "prod", want: "ctl"},
	} {
		t.Run(name, func(t *testing.T) {
			d := routerOf(t, tc.me).Route(keptn(t, tc.typ, tc.project, tc.stage, tc.data))
			require.Equal(t, tc.refused, d.Refused, d.Tried)
			require.Equal(t, tc.want, stampsOf(d), d.Tried)
			require.Equal(t, tc.offer, d.Offer)
			if tc.refused != bridge.ReasonNone {
				require.NotEmpty(t, d.Tried)
			}
		})
	}
}

// TestDirection: the rules of contract §1.6 hold on arrival too, whatever the
// sender's gateway did.
func TestDirection(t *testing.T) {
	for _, tc := range []struct {
		me, from topology.StampID
		typ      string
		want     bridge.Reason
	}{
		{"eu-dev", "ctl", "sh.keptn.event.deployment.triggered", bridge.ReasonNone},
		{"eu-dev", "other", "sh.keptn.event.deployment.triggered", bridge.ReasonNotOwner},
		{"eu-dev", "apac-dev", "sh.keptn.event.deployment.triggered", bridge.ReasonNotOwner},
		{"eu-dev", "apac-dev", "sh.keptn.event.deployment.finished", bridge.ReasonNotOwner},
		{"eu-dev", "ctl", "sh.keptn.log.error", bridge.ReasonDirection},
		{"ctl", "eu-dev", "sh.keptn.event.deployment.finished", bridge.ReasonNone},
		{"ctl", "eu-dev", "sh.keptn.event.deployment.triggered", bridge.ReasonDirection},
		{"ctl", "eu-dev", "sh.keptn.event.project.delete.finished", bridge.ReasonDirection},
		{"ctl", "eu-dev", "sh.keptn.event.service.create.finished", bridge.ReasonDirection},
		{"ctl", "eu-dev", "sh.keptn.event.prod.delivery.finished", bridge.ReasonDirection},
		{"ctl", "eu-dev", "sh.keptn.event.prod.delivery.triggered", bridge.ReasonNone},
		{"ctl", "stranger", "sh.keptn.event.deployment.finished", bridge.ReasonUnknown},
	} {
		got := routerOf(t, tc.me).Accept(tc.from, keptn(t, tc.typ, "p", "prod", ""))
		require.Equal(t, tc.want, got, "%s → %s: %s", tc.from, tc.me, tc.typ)
	}
}

func TestCustomRoute(t *testing.T) {
	r := routerOf(t, "eu-dev")
	require.Equal(t, "eu-prod", stampsOf(r.Custom("orders.new", topology.RouteDurable)))
	require.Equal(t, bridge.ReasonNoRule, r.Custom("orders.new", topology.RouteLive).Refused)
	require.Equal(t, bridge.ReasonNoRule, r.Custom("other", topology.RouteDurable).Refused)
	require.Equal(t, []topology.Pattern{"orders.>"}, r.CustomSubjects(topology.RouteDurable))
	require.Empty(t, routerOf(t, "eu-prod").CustomSubjects(topology.RouteDurable))

	to := routerOf(t, "eu-prod")
	require.Equal(t, bridge.ReasonNone, to.AcceptCustom("eu-dev", "orders.new", topology.RouteDurable))
	require.Equal(t, bridge.ReasonNoRule, to.AcceptCustom("ctl", "orders.new", topology.RouteDurable))
}

func TestPermits(t *testing.T) {
	allow := &topology.Policy{Name: "a", Effect: topology.EffectAllow, Types: []topology.Pattern{"sh.keptn.event.*.finished"}}
	deny := &topology.Policy{Name: "d", Effect: topology.EffectDeny, Projects: []string{"p"}}
	both := []*topology.Policy{allow, deny}
	for _, tc := range []struct {
		policies     []*topology.Policy
		project, typ string
		ok           bool
		by           string
	}{
		{nil, "p", "x", true, ""},
		{[]*topology.Policy{deny}, "p", "x", false, "policy d"},
		{[]*topology.Policy{deny}, "q", "x", true, ""},
		{[]*topology.Policy{allow}, "q", "x", false, "default (no allow policy matches)"},
		{both, "q", "sh.keptn.event.t.finished", true, "policy a"},
		{both, "p", "sh.keptn.event.t.finished", false, "policy d"},
	} {
		by, ok := bridge.Permits(tc.policies, "a", "b", tc.project, tc.typ)
		require.Equal(t, tc.ok, ok)
		require.Equal(t, tc.by, by)
	}
}

// TestCanaryEventStays: what `ringway probe` publishes is refused nowhere, and
// goes nowhere.
func TestCanaryEventStays(t *testing.T) {
	for _, me := range []topology.StampID{"ctl", "eu-dev"} {
		e, err := bridge.Parse(bridge.CanaryEvent, []byte(`{"specversion":"1.0","id":"1","source":"s","type":"sh.keptn.ringway.canary","data":{}}`))
		require.NoError(t, err)
		d := routerOf(t, me).Route(e)
		require.Equal(t, bridge.ReasonNone, d.Refused)
		require.True(t, d.Local)
		require.Empty(t, d.Targets)
	}
}
