package chart

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// A newcomer has an image, a network for each of two clusters and one between.
type newcomer struct {
	*containers

	ringway, top, keys string
	tests              map[string][][]string // what helm test runs, by stamp
}

// run runs a command of the newcomer's own machine.
func (n *newcomer) run(t *testing.T, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), n.ringway, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, errs.String())
	return string(out)
}

// install does what docs/install.md says for a stamp, and returns its pod.
func (n *newcomer) install(t *testing.T, stamp string) string {
	t.Helper()
	var secret *corev1.Secret
	for _, o := range decode(t, n.run(t, "auth", "secret", "--topology", n.top, "--store", n.keys, "--stamp", stamp, "--namespace", "ringway")) {
		secret = o.(*corev1.Secret)
	}
	values := n.dir + "/" + stamp + ".yaml"
	writeFile(t, values, n.run(t, "topology", "values", "-f", n.top, "--stamp", stamp))
	out, stderr, err := helm(t, "template", "test", chartDir, "--kube-version", kubeVersion, "--namespace", "ringway",
		"--values", values, "--set-file", "topology.inline="+n.top, "--set", "fullnameOverride="+stamp)
	require.NoError(t, err, stderr)
	for _, o := range decode(t, out) {
		if p, ok := o.(*corev1.Pod); ok {
			n.tests[stamp] = append(n.tests[stamp], p.Spec.Containers[0].Args)
		}
	}
	links := "ringway-links"
	if stamp == "control" { // stands for the load balancer
		links += ":ip=10.233.0.10"
	}
	return n.play(t, out, 0, map[string]map[string][]byte{
		"topology": {"topology.yaml": read(t, n.top)},
		"gateway":  {"gateway.yaml": []byte(gatewayYAML(t, out))},
		"identity": secret.Data,
	}, nil, "ringway-"+stamp+":ip="+newcomerPods[stamp], links)
}

// helmTest runs the pods of helm test, each until it passes, and returns what
// they print.
func (n *newcomer) helmTest(t *testing.T, stamp string) string {
	t.Helper()
	var all strings.Builder
	require.Len(t, n.tests[stamp], 2)
	for _, args := range n.tests[stamp] {
		run := []string{"run", "--rm", "--network", "ringway-" + stamp}
		for _, name := range []string{stamp, stamp + "-peers"} {
			run = append(run, "--add-host", name+".ringway.svc.cluster.local:"+newcomerPods[stamp])
		}
		run = append(append(run, n.image), args...)
		began := time.Now()
		for {
			out, err := n.command(t.Context(), run...).CombinedOutput()
			if err == nil {
				t.Logf("%s: helm test passes after %s:\n%s", stamp, time.Since(began).Round(100*time.Millisecond), out)
				all.Write(out)
				break
			}
			t.Logf("%s: not yet, after %s:\n%s", stamp, time.Since(began).Round(100*time.Millisecond), out)
			require.Less(t, time.Since(began), time.Minute)
		}
	}
	return all.String()
}

// steady makes the bridge with an address of the machine keep the hardware address
// that it has. It would take another one whenever a container comes or goes, and
// what pods send to the machine were lost until they notice, for half a minute at
// worst.
func steady(t *testing.T, addr string) {
	t.Helper()
	all, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range all {
		addrs, _ := i.Addrs() // it may be gone
		for _, a := range addrs {
			if strings.HasPrefix(a.String(), addr+"/") {
				out, err := exec.CommandContext(t.Context(), "ip", "link", "set", "dev", i.Name, "address", i.HardwareAddr.String()).CombinedOutput()
				require.NoError(t, err, string(out))
				return
			}
		}
	}
	require.Fail(t, "no interface has "+addr)
}

// infra returns the container that has the networks of a pod.
func (n *newcomer) infra(t *testing.T, pod string) string {
	t.Helper()
	return strings.TrimSpace(n.podman(t, "pod", "inspect", "--format", "{{.InfraContainerID}}", pod))
}

func (n *newcomer) breakLink(t *testing.T, pod string) {
	t.Helper()
	n.podman(t, "network", "disconnect", "ringway-links", n.infra(t, pod))
}

func (n *newcomer) healLink(t *testing.T, pod string) {
	t.Helper()
	n.podman(t, "network", "connect", "ringway-links", n.infra(t, pod))
}

// within runs a verb in a stamp's pod until it prints what matches, and fails if
// that takes too long since the cut.
func (n *newcomer) within(t *testing.T, cut time.Time, stamp, pattern string, args ...string) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	for {
		out, _ := n.command(t.Context(), append([]string{"exec", stamp + "-0-ringway", "ringway"}, args...)...).CombinedOutput() // it fails for what is wrong
		if want.Match(out) {
			t.Logf("%s: ringway %s says it %s after the cut:\n%s", stamp, strings.Join(args, " "), time.Since(cut).Round(100*time.Millisecond), out)
			return
		}
		require.Less(t, time.Since(cut), toCause, "%s", out)
	}
}

// shows looks at the console of a stamp, as a browser without scripts does, until
// it says all of this.
func (n *newcomer) shows(t *testing.T, cut time.Time, stamp string, all ...string) {
	t.Helper()
	for {
		page := n.console(t, stamp)
		missing := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.Contains(page, s) })
		if len(missing) == 0 {
			t.Logf("%s: the console shows it %s after the cut", stamp, time.Since(cut).Round(100*time.Millisecond))
			return
		}
		require.Less(t, time.Since(cut), toCause, "%q are not in\n%s", missing, page)
	}
}

func (n *newcomer) console(t *testing.T, stamp string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+newcomerPods[stamp]+":9222/console/", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	page, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", page)
	return html.UnescapeString(string(page))
}

// keptnAPI serves what stands for Keptn's API, and returns the URL by which pods
// of stamp control reach it.
func keptnAPI(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0") //nolint:gosec // the network is not there yet
	require.NoError(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"projects":[]}`)) // the gateway may be gone
	}), ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return fmt.Sprintf("http://10.233.1.1:%d", l.Addr().(*net.TCPAddr).Port)
}
