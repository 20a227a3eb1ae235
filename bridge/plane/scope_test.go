package plane

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

const scopes = `
apiVersion: ringway/v1
kind: Topology
name: scopes
geos: [eu]
rings: [control, dev, prod]
stamps:
  - {name: control, geo: eu, ring: control, roles: [control], link: {kind: hub, advertise: {gateway: "c.example:7222", leafnode: "c.example:7422"}}}
  - {name: one, geo: eu, ring: dev}
  - {name: two, geo: eu, ring: prod}
  - {name: none, geo: eu, ring: control}
controlPlanes:
  - {name: named, stamp: control, projects: [a, b]}
  - {name: rest, stamp: control}
stages:
  - {name: dev, ring: dev}
  - {name: hardening, ring: dev, projects: [a, c]}
  - {name: production, ring: prod, projects: [b]}
`

func TestScopes(t *testing.T) {
	spec, err := topology.Load("t", []byte(scopes))
	require.NoError(t, err)
	mesh, err := topology.Compile(spec)
	require.NoError(t, err)
	for stamp, want := range map[topology.StampID][]string{
		"one":     {"named: a,b|dev,hardening|sealed", "rest: |dev,hardening|sealed"},
		"two":     {"named: b|production|sealed"},
		"none":    nil,
		"control": {"named: |", "rest: |"},
	} {
		view, _ := mesh.View(stamp)
		var got []string
		for _, s := range scopesOf(view) {
			got = append(got, s.control.Name+": "+s.fingerprint())
			back, ok := parseScope(s.fingerprint())
			require.True(t, ok)
			require.Equal(t, s.fingerprint(), back.fingerprint())
		}
		require.Equal(t, want, got, stamp)
	}
}

func TestNarrow(t *testing.T) {
	s := scope{projects: []string{"a", "b"}, stages: []string{"dev", "hardening"}}
	for _, c := range []struct{ is, want Filter }{
		{Filter{}, Filter{[]string{"a", "b"}, []string{"dev", "hardening"}, []string{}}},
		{Filter{[]string{"b", "c"}, []string{"hardening", "production"}, nil}, Filter{[]string{"b"}, []string{"hardening"}, []string{}}},
		{Filter{nil, nil, []string{"carts"}}, Filter{[]string{"a", "b"}, []string{"dev", "hardening"}, []string{"carts"}}},
		{Filter{[]string{""}, []string{"hardening,production"}, []string{"", "carts,cart"}}, Filter{[]string{"a", "b"}, []string{"hardening"}, []string{"carts", "cart"}}},
		{Filter{nil, []string{"production"}, nil}, Filter{[]string{"a", "b"}, []string{"production"}, []string{}}},
	} {
		got := s.narrow(c.is)
		require.Equal(t, c.want, got)
		require.Equal(t, got, s.narrow(got), "again")
	}
	require.Equal(t, Filter{[]string{}, []string{}, []string{}}, scope{}.narrow(Filter{}))
}

// TestLifeCycleHasNoStage: a filter by stages would hide it.
func TestLifeCycleHasNoStage(t *testing.T) {
	s := scope{projects: []string{"a"}, stages: []string{"dev"}}
	for event, want := range map[string][]string{
		"sh.keptn.event.service.delete.finished": {}, "sh.keptn.event.project.*.finished": {}, "sh.keptn.event.service.triggered": {"dev"},
		"sh.keptn.event.monitoring.configure": {}, "sh.keptn.event.monitoring.triggered": {"dev"},
		"sh.keptn.event.deployment.triggered": {"dev"}, "sh.keptn.event.>": {"dev"},
	} {
		require.Equal(t, Filter{[]string{"a"}, want, []string{}}, s.about(event).narrow(Filter{}), event)
	}
	require.Equal(t, []string{"x"}, s.about("sh.keptn.event.service.delete.finished").narrow(Filter{Stages: []string{"x"}}).Stages)
	was := scope{projects: []string{"b"}, stages: []string{"dev"}}
	const event = "sh.keptn.event.service.delete.finished"
	require.Equal(t, Filter{[]string{"a"}, []string{}, []string{}}, s.move(event, was.about(event).narrow(Filter{}), Filter{}, was.fingerprint()))
}

// TestWildcardsSeeTheLifeCycle: in a stamp where nothing of other stages comes.
func TestWildcardsSeeTheLifeCycle(t *testing.T) {
	open := scope{projects: []string{"a"}, stages: []string{"dev"}}
	sealed := open
	sealed.sealed = true
	for event, has := range map[string]bool{
		">": true, "sh.keptn.>": true, "sh.keptn.event.>": true, "sh.keptn.event.*.*.finished": true, "sh.keptn.*.service.>": true,
		"sh.keptn.event.*.delete.>": true, "sh.keptn.event.*.configure": true, "sh.keptn.event.*.triggered": false, "sh.keptn.event.dev.>": false, "sh.keptn.log.>": false,
		"sh.keptn.event.*.*.*.*": false, "sh.keptn.event.deployment.triggered": false, "sh.keptn.event.*": false,
	} {
		want := []string{"dev"}
		if has {
			want = []string{}
		}
		require.Equal(t, Filter{[]string{"a"}, want, []string{}}, sealed.about(event).narrow(Filter{}), event)
		require.Equal(t, []string{"dev"}, open.about(event).narrow(Filter{}).Stages, event)
		asked := Filter{Stages: []string{"hardening"}}
		require.Equal(t, asked.Stages, sealed.about(event).narrow(asked).Stages, "the plane asks for it")
		before := open.about(event).narrow(Filter{})
		require.Equal(t, want, sealed.move(event, before, Filter{}, open.fingerprint()).Stages, "as it was made by an earlier version")
	}
	require.Equal(t, open.fingerprint(), union([]scope{open, sealed}).fingerprint())
}

// TestMove: a filter follows the topology as long as nobody has edited it.
func TestMove(t *testing.T) {
	was, is := scope{stages: []string{"dev"}}, scope{stages: []string{"dev", "hardening"}}
	require.Equal(t, []string{"dev", "hardening"}, is.move("", was.narrow(Filter{}), Filter{}, was.fingerprint()).Stages)
	edited := Filter{Stages: []string{"dev"}, Services: []string{"carts"}}
	require.Equal(t, edited.Stages, is.move("", edited, Filter{}, was.fingerprint()).Stages)
	require.Equal(t, []string{"dev"}, is.move("", was.narrow(Filter{}), Filter{}, is.fingerprint()).Stages, "somebody has edited it since")
}

func TestEditable(t *testing.T) {
	for version, want := range map[string]string{
		"": "0.9.0", "0.8.3": "0.9.0", "0.9.0": "0.9.0", "0.15.0": "0.15.0", "1.4.5-next.1": "1.4.5-next.1", "develop": "0.9.0", "v0.19.3": "v0.19.3",
	} {
		require.Equal(t, want, editable(version), version)
	}
}

// TestParts: a report is divided so that every message fits.
func TestParts(t *testing.T) {
	require.Len(t, parts(nil), 1)
	var all []Plane
	for i := range 250 {
		all = append(all, Plane{Name: fmt.Sprint(i)})
	}
	require.Len(t, parts(all), 3)
	all[3].Name = strings.Repeat("x", maxPartBytes)
	n := 0
	for _, p := range parts(all) {
		n += len(p)
	}
	require.Equal(t, len(all), n)
	require.Len(t, parts(all), 5)
}
