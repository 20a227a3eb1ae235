package chart

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// imageTopology is of a hub with a control plane and a leaf, of three replicas
// each.
const imageTopology = `apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - name: control
    geo: eu
    ring: dev
    roles: [control]
    replicas: 3
    link: { kind: hub, advertise: { leafnode: "10.233.0.10:7422" } }
  - { name: plane, geo: eu, ring: dev, replicas: 3 }
controlPlanes: [{ name: keptn, stamp: control }]
stages: [{ name: dev, ring: dev }]
`

// Where the pods are, by stamp, in the network of its clients.
var imagePods = map[string][]string{
	"control": {"10.233.1.10", "10.233.1.11", "10.233.1.12"},
	"plane":   {"10.233.2.10", "10.233.2.11", "10.233.2.12"},
}

// TestImage runs the image in the pods of the rendered chart, two stamps whose
// clients have networks of their own. Only the gateways share a third. Events
// cross, also when a replica stops.
func TestImage(t *testing.T) {
	c := startContainers(t)
	c.network(t, "ringway-control", "10.233.1.0/24")
	c.network(t, "ringway-plane", "10.233.2.0/24")
	c.network(t, "ringway-links", "10.233.0.0/24")
	pods := startStamps(t, c)
	control, plane := imagePods["control"], imagePods["plane"]
	size, err := strconv.Atoi(strings.TrimSpace(c.podman(t, "image", "inspect", "--format", "{{.Size}}", c.image)))
	require.NoError(t, err)
	t.Logf("the image has %.1f MB", float64(size)/1e6)
	require.Less(t, size, 40_000_000)

	cross(t, control[2], plane[1], "event-1")
	c.podman(t, "pod", "stop", "--time", "30", pods[0])
	cross(t, control[1], plane[2], "event-2")

	// A pod of a stamp reaches its own gateway, and not that of another.
	ask := func(addr string) error {
		return c.command(t.Context(), "run", "--rm", "--timeout", "5", "--network", "ringway-plane", c.image,
			"events", "dlq", "list", "--admin", "http://"+addr+":9222").Run()
	}
	require.NoError(t, ask(plane[1]))
	require.Error(t, ask(control[0]))
	require.Error(t, ask("10.233.0.10"))
}

// startStamps starts every pod, and returns those of stamp plane.
func startStamps(t *testing.T, c *containers) []string {
	t.Helper()
	ringway := filepath.Join(filepath.Dir(os.Getenv("RINGWAY_IMAGE")), "root", "ringway")
	run := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), ringway, args...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	top, keys := c.dir+"/topology.yaml", c.dir+"/keys"
	writeFile(t, top, imageTopology)
	run("auth", "init", "--topology", top, "--store", keys)
	var pods []string
	for _, stamp := range []string{"control", "plane"} {
		run("auth", "issue", "--topology", top, "--store", keys, "--stamp", stamp, "--out", c.dir+"/"+stamp)
		values := c.dir + "/" + stamp + ".yaml"
		writeFile(t, values, run("topology", "values", "-f", top, "--stamp", stamp))
		out, stderr, err := helm(t, "template", "test", chartDir, "--kube-version", kubeVersion, "--namespace", "ringway",
			"--values", values, "--set-file", "topology.inline="+top, "--set", "fullnameOverride="+stamp)
		require.NoError(t, err, stderr)
		pods = nil
		for n, ip := range imagePods[stamp] {
			links := "ringway-links"
			if stamp == "control" && n == 0 { // stands for the load balancer
				links += ":ip=10.233.0.10"
			}
			pods = append(pods, c.play(t, out, n, map[string]map[string][]byte{
				"topology": {"topology.yaml": []byte(imageTopology)},
				"gateway":  {"gateway.yaml": []byte(gatewayYAML(t, out))},
				"identity": folder(t, c.dir+"/"+stamp),
			}, imagePods[stamp], "ringway-"+stamp+":ip="+ip, links))
		}
	}
	return pods
}

const eventType = "sh.keptn.event.deployment.triggered"

// cross publishes an event at one gateway, and waits for it at another.
func cross(t *testing.T, from, to, id string) {
	t.Helper()
	in := listen(t, to)
	publish(t, from, id)
	hear(t, in, id)
}

// listen subscribes as a plane.
func listen(t *testing.T, addr string) net.Conn {
	t.Helper()
	in := client(t, addr)
	_, err := fmt.Fprintf(in, "SUB %s helm-service 1\r\nPING\r\n", eventType)
	require.NoError(t, err)
	return in
}

// publish publishes an event as Keptn does.
func publish(t *testing.T, addr, id string) {
	t.Helper()
	event := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"shipyard","type":%q,"shkeptncontext":"c-1","data":{"project":"p","stage":"dev","service":"s"}}`, id, eventType)
	_, err := fmt.Fprintf(client(t, addr), "PUB %s %d\r\n%s\r\nPING\r\n", eventType, len(event), event)
	require.NoError(t, err)
}

// hear waits for an event, and leaves.
func hear(t *testing.T, in net.Conn, id string) {
	t.Helper()
	require.NoError(t, in.SetReadDeadline(time.Now().Add(time.Minute)))
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, "event %s did not cross", id)
		if strings.Contains(line, id) {
			_ = in.Close()
			return
		}
	}
}

// client connects to NATS, once it is there.
func client(t *testing.T, addr string) net.Conn {
	t.Helper()
	var nc net.Conn
	require.Eventually(t, func() bool {
		var err error
		nc, err = net.DialTimeout("tcp", addr+":4222", time.Second)
		return err == nil
	}, time.Minute, 100*time.Millisecond, "nobody listens on %s:4222", addr)
	t.Cleanup(func() { _ = nc.Close() })
	_, err := fmt.Fprintf(nc, "CONNECT {\"verbose\":false,\"protocol\":1,\"headers\":true,\"name\":\"test\"}\r\n")
	require.NoError(t, err)
	return nc
}

// decodeSet returns the StatefulSet among rendered objects.
func decodeSet(t *testing.T, out string) *appsv1.StatefulSet {
	t.Helper()
	for _, o := range decode(t, out) {
		if set, ok := o.(*appsv1.StatefulSet); ok {
			return set
		}
	}
	require.Fail(t, "no StatefulSet is rendered")
	return nil
}

// gatewayYAML returns the configuration among rendered objects.
func gatewayYAML(t *testing.T, out string) string {
	t.Helper()
	for _, o := range decode(t, out) {
		if m, ok := o.(*corev1.ConfigMap); ok && m.Data["gateway.yaml"] != "" {
			return m.Data["gateway.yaml"]
		}
	}
	require.Fail(t, "no gateway.yaml is rendered")
	return ""
}

// folder returns the files of a folder.
func folder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := map[string][]byte{}
	for _, e := range entries {
		out[e.Name()] = read(t, filepath.Join(dir, e.Name()))
	}
	return out
}
