package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRefusals: what cannot be meant, or cannot work, is refused, and the
// message names the value.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		on   string // case that is changed
		args []string
		want string
	}{
		// by the schema
		"a word that is no key":           {"leaf", []string{"--set", "statefullSet.x=1"}, "statefullSet"},
		"a key of another level":          {"leaf", []string{"--set", "image.name=x"}, "name"},
		"an even number of replicas":      {"leaf", []string{"--set", "replicaCount=2"}, "replicaCount"},
		"a port out of range":             {"leaf", []string{"--set", "rest.port=99999"}, "rest/port"},
		"a text for a number":             {"leaf", []string{"--set-string", "rest.port=8080"}, "rest/port"},
		"a policy that is none":           {"leaf", []string{"--set", "image.pullPolicy=Sometimes"}, "pullPolicy"},
		"a duration without a unit":       {"hub", []string{"--set-string", "metrics.serviceMonitor.interval=30"}, "interval"},
		"a key that gateway.yaml has not": {"leaf", []string{"--set", "config.events.maxWeight=1h"}, "maxWeight"},
		"a key that the chart sets":       {"leaf", []string{"--set", "config.listen.admin=:1"}, "listen"},
		"a plane to poll without Secret":  {"leaf", []string{"--set", "controlPlanes.far.ca=ca.crt"}, "existingSecret"},
		"a way out to no place":           {"leaf", []string{"--set", "networkPolicy.egress[0].name=x"}, "egress/0"},

		// by the templates
		"a pod spec that is there":       {"leaf", []string{"--set-json", `extraPodSpec={"volumes":[]}`}, "extraPodSpec.volumes is what the chart itself makes"},
		"no stamp":                       {"leaf", []string{"--set", "topology.stamp="}, "topology.stamp is missing"},
		"no topology":                    {"external", []string{"--set", "topology.existingConfigMap="}, "topology is missing"},
		"two topologies":                 {"leaf", []string{"--set", "topology.existingConfigMap=x"}, "are both given"},
		"no identity":                    {"leaf", []string{"--set", "auth.existingSecret="}, "auth.existingSecret is missing"},
		"an external NATS, nowhere":      {"external", []string{"--set", "nats.external.url="}, "nats.external.url is missing"},
		"replicas without volumes":       {"hub", []string{"--set", "persistence.enabled=false"}, "persistence.enabled is false"},
		"everything scraped twice":       {"hub", []string{"--set", "metrics.podMonitor.enabled=true"}, "every sample would be there twice"},
		"a route without wss":            {"external", []string{"--set", "link.tlsRoute.enabled=true"}, "needs nats.websocket.enabled"},
		"a route to nowhere":             {"hub", []string{"--set", "link.tlsRoute.hostname="}, "needs hostname and parentRefs"},
		"an Ingress that ends in no wss": {"leaf", []string{"--set", "link.ingress.enabled=true,link.ingress.hostname=x"}, "needs nats.websocket.enabled"},
		"an Ingress without a host":      {"leaf", []string{"--set", "ingress.enabled=true"}, "ingress needs hosts"},
		"targets for everybody":          {"leaf", []string{"--set", "ingress.enabled=true,ingress.hosts={x},ingress.path=/"}, "leads /t/ to anybody outside"},
		"a route from no Gateway":        {"leaf", []string{"--set", "httpRoute.enabled=true,httpRoute.hostnames={x}"}, "httpRoute needs hostnames and parentRefs"},
		"accounts of nobody":             {"hub", []string{"--set", "rest.tokenReview.enabled=true", "--set-json", "rest.tokenReview.accounts=[]"}, "rest.tokenReview.accounts is missing"},
		"a test of some":                 {"leaf", []string{"--set", "tests.peers=some"}, "tests/peers"},
		"aliases beside Keptn":           {"hub", []string{"--set", "keptn.executionPlane.enabled=true,keptn.executionPlane.namespaces={keptn}"}, "aliases for shipyard-controller"},
		"an alias beside Keptn NATS":     {"hub", []string{"--set", "keptn.executionPlane.enabled=true,keptn.executionPlane.namespaces={keptn}", "--set-json", "keptn.executionPlane.aliases.rest=[]"}, "alias keptn-nats is refused"},

		// by an inline topology
		"no YAML":                      {"external", []string{"--set", "topology.existingConfigMap=", "--set-string", "topology.inline=a: b: c"}, "topology.inline is no YAML"},
		"a stamp that is not there":    {"leaf", []string{"--set", "topology.stamp=nobody"}, "has only: control, leaf, wide, old"},
		"another number of replicas":   {"hub", []string{"--set", "replicaCount=1"}, "gives stamp control 3 replicas"},
		"a leaf that listens":          {"leaf", []string{"--set", "nats.leafnodes.enabled=true"}, "stamp leaf is a leaf"},
		"a hub that does not listen":   {"hub", []string{"--set", "nats.gateway.enabled=false"}, "nats.gateway.enabled is false"},
		"another NATS":                 {"leaf", []string{"--set", "nats.external.enabled=true,nats.external.url=nats://x:4222"}, "clients.mode of stamp leaf is embedded"},
		"a control plane, not said so": {"hub", []string{"--set", "keptn.controlPlane.enabled=false"}, "control plane keptn is in stamp control"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"template", "test", chartDir}, flags(t, cases(t)[c.on])...)
			_, stderr, err := helm(t, append(args, c.args...)...)
			require.Error(t, err)
			require.Contains(t, stderr, c.want)
		})
	}
}
