package topology_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

func TestPoliciesThatCloseEveryWayAreRefused(t *testing.T) {
	t.Parallel()
	const (
		delivers = "stages[1]: can never deliver"
		answers  = "stages[1]: can never be answered"
	)
	for name, tc := range map[string]struct{ policies, want string }{
		"deny to the ring":      {"{name: p, effect: deny, to: {rings: [prod]}}", delivers},
		"deny from the ring":    {"{name: p, effect: deny, from: {rings: [prod]}}", answers},
		"deny to the control":   {"{name: p, effect: deny, to: {stamps: [hub]}}", answers},
		"allow elsewhere":       {"{name: p, effect: allow, from: {stamps: [hub]}, to: {rings: [dev]}}", delivers},
		"allow one way":         {"{name: p, effect: allow, from: {stamps: [hub]}}", answers},
		"deny in two parts":     {"{name: p, effect: deny, to: {stamps: [eu-prod]}}, {name: q, effect: deny, to: {stamps: [us-prod]}}", delivers},
		"deny to one of them":   {"{name: p, effect: deny, to: {stamps: [us-prod]}}", ""},
		"deny one project":      {"{name: p, effect: deny, to: {rings: [prod]}, projects: [x]}", ""},
		"deny one type":         {"{name: p, effect: deny, to: {rings: [prod]}, types: [sh.keptn.event.test.triggered]}", ""},
		"allow there and back":  {"{name: p, effect: allow, from: {stamps: [hub]}}, {name: q, effect: allow, to: {stamps: [hub]}}", ""},
		"allow, whatever it is": {"{name: p, effect: allow, projects: [x]}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := topology.Parse("x", []byte(base+"policies: ["+tc.policies+"]\n"))
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestProjectNobodyOwnsIsRefused(t *testing.T) {
	t.Parallel()
	text := edit(t, base, "stamp: hub}", "stamp: hub, projects: [shop]}", "{name: prod, ring: prod}", "{name: prod, ring: prod, projects: [shop, bank]}")
	_, err := topology.Parse("x", []byte(text))
	require.EqualError(t, err, `x:19:47: stages[1].projects[1]: no control plane owns project "bank" (add it to the projects of one)`)
}

func TestAddressesAndSourcesThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"0.0.0.0", "[::]"} {
		_, err := topology.Parse("x", []byte(edit(t, base, "hub:7422", host+":7422")))
		require.ErrorContains(t, err, "is where it listens, not where others reach it")
	}
	mesh(t, edit(t, base, "hub:7422", "127.0.0.1:0"))
	m := mesh(t, edit(t, base, "{name: eu-dev,", "{name: eu-dev, clients: {sources: [10.0.0.0/8, \"0.0.0.0/0\"]},"))
	require.Len(t, m.Warnings, 1)
	require.EqualError(t, m.Warnings[0], "test.yaml:12:52: stamps[1].clients.sources[1]: 0.0.0.0/0 lets in everybody who reaches the port, without credentials (name the networks of its clients)")
	for _, subject := range []string{"$MQTT.x", "$x", "_R_.a", "'*.x'", "rw.v1.x", "'sh.*.event'"} {
		_, err := topology.Parse("x", []byte(base+"routes: [{name: r, subject: "+subject+", from: {geos: [eu]}}]\n"))
		require.Error(t, err, subject)
	}
}
