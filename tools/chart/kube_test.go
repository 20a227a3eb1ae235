package chart

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKube installs, changes and removes releases in a real API server, which
// knows what a decoder does not: ranges, selectors, what may be changed, what a
// namespace with the restricted Pod Security Standard lets in.
func TestKube(t *testing.T) {
	c := startCluster(t)
	for _, ns := range []string{"ringway", "federation", "keptn", "keptn-exec", "shop"} {
		c.create(t, "/api/v1/namespaces", object{"metadata": object{"name": ns, "labels": object{"pod-security.kubernetes.io/enforce": "restricted"}}})
	}
	for _, kind := range []string{"ServiceMonitor", "PodMonitor", "PrometheusRule"} {
		c.define(t, "monitoring.coreos.com", "v1", kind)
	}
	c.define(t, "gateway.networking.k8s.io", "v1alpha2", "TLSRoute")
	c.define(t, "gateway.networking.k8s.io", "v1", "HTTPRoute")
	for name, file := range cases(t) {
		t.Run(name, func(t *testing.T) { everyCase(t, c, file) })
	}
	t.Run("changes", func(t *testing.T) { changes(t, c) })
	t.Run("taken names", func(t *testing.T) { takenNames(t, c) })
	t.Run("helm test", func(t *testing.T) { helmTest(t, c) })
	t.Run("token reviews", func(t *testing.T) { tokenReviews(t, c) })
}

// define makes the server know a kind, whatever its objects say.
func (c *cluster) define(t *testing.T, group, version, kind string) {
	t.Helper()
	name := strings.ToLower(kind)
	meta := object{"name": name + "s." + group}
	if strings.HasSuffix(group, ".k8s.io") {
		meta["annotations"] = object{"api-approved.kubernetes.io": "unapproved, for a test"}
	}
	c.create(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", object{
		"metadata": meta,
		"spec": object{
			"group": group, "scope": "Namespaced", "names": object{"plural": name + "s", "singular": name, "kind": kind},
			"versions": []object{{
				"name": version, "served": true, "storage": true,
				"schema": object{"openAPIV3Schema": object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	})
	require.Eventually(t, func() bool {
		res, err := c.do(t.Context(), http.MethodGet, "/apis/"+group+"/"+version+"/namespaces/ringway/"+name+"s", "", nil)
		return err == nil && res.code == http.StatusOK
	}, 20*time.Second, 50*time.Millisecond)
}

// installFlags are flags without the version, which the server says.
func installFlags(t *testing.T, file string) []string {
	t.Helper()
	return flags(t, file)[2:]
}

// everyCase installs a case, lets a pod of it in and removes it.
func everyCase(t *testing.T, c *cluster, file string) {
	out, stderr, err := c.helm(t, append([]string{"install", "test", chartDir, "--namespace", "ringway"}, installFlags(t, file)...)...)
	require.NoError(t, err, stderr)
	ns, name := "ringway", "test-ringway"
	if strings.Contains(file, "wide") {
		ns, name = "federation", "gate"
	}
	_, notes, _ := strings.Cut(out, "\nNOTES:\n")
	notes = strings.TrimSpace(notes)
	t.Log(notes)
	require.NotContains(t, notes, "\n\n\n")
	next := "kubectl -n " + ns + " rollout status statefulset/" + name
	if !strings.Contains(file, "external") { // which has no test
		next += "\n  helm -n ringway test test"
	}
	require.True(t, strings.HasSuffix(notes, next), notes)
	set := c.get(t, "/apis/apps/v1/namespaces/"+ns+"/statefulsets/"+name)
	require.NotNil(t, set)
	spec := set["spec"].(object)
	pod := spec["template"].(object)
	pod["metadata"].(object)["name"] = name + "-0"
	volumes, _ := pod["spec"].(object)["volumes"].([]any)
	if spec["volumeClaimTemplates"] != nil { // what the controller adds
		pod["spec"].(object)["volumes"] = append(volumes, object{"name": "data", "persistentVolumeClaim": object{"claimName": "data-" + name + "-0"}})
	}
	delete(pod["spec"].(object), "priorityClassName") // there are no classes
	c.create(t, "/api/v1/namespaces/"+ns+"/pods?dryRun=All", pod)
	_, stderr, err = c.helm(t, "uninstall", "test", "--namespace", "ringway")
	require.NoError(t, err, stderr)
	require.Nil(t, c.get(t, "/apis/apps/v1/namespaces/"+ns+"/statefulsets/"+name))
	for _, ns := range []string{"ringway", "federation", "keptn", "keptn-exec", "shop"} {
		left := c.get(t, "/api/v1/namespaces/"+ns+"/services")["items"].([]any)
		require.Empty(t, left, ns)
	}
}

// changes upgrades and rolls back: a topology restarts no pod, gateway.yaml
// does, and nothing is changed that may not be.
func changes(t *testing.T, c *cluster) {
	base := append([]string{chartDir, "--namespace", "ringway"}, installFlags(t, "testdata/cases/hub.yaml")...)
	template := func() any {
		return c.get(t, "/apis/apps/v1/namespaces/ringway/statefulsets/test-ringway")["spec"].(object)["template"]
	}
	run := func(verb string, args ...string) {
		_, stderr, err := c.helm(t, append(append([]string{verb, "test"}, base...), args...)...)
		require.NoError(t, err, stderr)
	}
	run("install")
	first := template()
	changed := t.TempDir() + "/topology.yaml"
	writeFile(t, changed, strings.ReplaceAll(string(read(t, "testdata/topology.yaml")), "name: dev, ring: dev", "name: dev, ring: dev, deliver: any"))
	run("upgrade", "--set-file", "topology.inline="+changed)
	require.Equal(t, first, template(), "a topology is watched")
	text := c.get(t, "/api/v1/namespaces/ringway/configmaps/test-ringway-topology")["data"].(object)["topology.yaml"]
	require.Contains(t, text, "deliver: any")
	run("upgrade", "--set", "config.log.level=debug,image.tag=0.2.0")
	require.NotEqual(t, first, template())
	_, stderr, err := c.helm(t, "rollback", "test", "1", "--namespace", "ringway")
	require.NoError(t, err, stderr)
	require.Equal(t, first, template())
	_, stderr, err = c.helm(t, "uninstall", "test", "--namespace", "ringway")
	require.NoError(t, err, stderr)
}

// takenNames: an alias is not made where the real one is, and nothing else
// is made either.
func takenNames(t *testing.T, c *cluster) {
	c.create(t, "/api/v1/namespaces/ringway/services", object{"metadata": object{"name": "keptn-nats"}, "spec": object{"ports": []object{{"port": 4222}}}})
	args := append([]string{"install", "test", chartDir, "--namespace", "ringway"}, installFlags(t, "testdata/cases/leaf.yaml")...)
	_, stderr, err := c.helm(t, args...)
	require.Error(t, err)
	require.Contains(t, stderr, "Service keptn-nats is in namespace ringway already")
	require.Nil(t, c.get(t, "/apis/apps/v1/namespaces/ringway/statefulsets/test-ringway"))
	_, stderr, err = c.helm(t, append(args, "--set", "keptn.executionPlane.aliases.nats=")...)
	require.NoError(t, err, stderr)
	_, stderr, err = c.helm(t, "uninstall", "test", "--namespace", "ringway")
	require.NoError(t, err, stderr)
	require.NotNil(t, c.get(t, "/api/v1/namespaces/ringway/services/keptn-nats"))
	res, err := c.do(t.Context(), http.MethodDelete, "/api/v1/namespaces/ringway/services/keptn-nats", "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.code)
}

// helmTest runs the chart's test. There is no kubelet: we say how it ended.
func helmTest(t *testing.T, c *cluster) {
	_, stderr, err := c.helm(t, append([]string{"install", "test", chartDir, "--namespace", "ringway"}, installFlags(t, "testdata/cases/leaf.yaml")...)...)
	require.NoError(t, err, stderr)
	type ended struct {
		stdout, stderr string
		err            error
	}
	for phase, ok := range map[string]bool{"Succeeded": true, "Failed": false} {
		done := make(chan ended, 1)
		go func() {
			stdout, stderr, err := c.helm(t, "test", "test", "--namespace", "ringway", "--timeout", "30s")
			done <- ended{stdout, stderr, err}
		}()
		// Helm runs one after the other, and no further than one that fails. A pod
		// of the run before may still be there, so each is told until Helm has ended.
		var e ended
		require.Eventually(t, func() bool {
			for _, pod := range []string{"test-ringway-test", "test-ringway-test-status"} {
				_, err := c.do(t.Context(), http.MethodPatch, "/api/v1/namespaces/ringway/pods/"+pod+"/status", "application/merge-patch+json", object{"status": object{"phase": phase}})
				require.NoError(t, err)
			}
			select {
			case e = <-done:
				return true
			default:
				return false
			}
		}, 40*time.Second, 50*time.Millisecond)
		require.Equal(t, ok, e.err == nil, e.stdout+e.stderr)
	}
	_, stderr, err = c.helm(t, "uninstall", "test", "--namespace", "ringway")
	require.NoError(t, err, stderr)
}
