package e2e_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
)

// A cluster is a Kubernetes API server without nodes but one, whose kubelet is a
// stand-in: what it says are the logs of every pod.
type cluster struct {
	url, ca, token string // where it is, and files
	logs           chan string
}

// kube starts an API server of the folder that RINGWAY_KUBE names, which holds
// kube-apiserver and etcd.
func kube(t *testing.T) *cluster {
	t.Helper()
	bin := os.Getenv("RINGWAY_KUBE")
	if bin == "" {
		t.Skip("RINGWAY_KUBE names no folder with kube-apiserver and etcd")
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	c := &cluster{ca: path("certs/apiserver.crt"), token: path("token"), logs: make(chan string)}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	for name, content := range map[string]string{
		"sa.key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"sa.pub": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"token":  "admintoken\n", "tokens.csv": "admintoken,admin,1,system:masters\n",
	} {
		require.NoError(t, os.WriteFile(path(name), []byte(content), 0o600))
	}
	etcd, api := natstest.Addr(t), natstest.Addr(t)
	background(t, path("etcd.log"), filepath.Join(bin, "etcd"), "--data-dir", path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", "http://"+etcd, "--advertise-client-urls", "http://"+etcd, "--listen-peer-urls", "http://127.0.0.1:0")
	_, port, err := net.SplitHostPort(api)
	require.NoError(t, err)
	background(t, path("api.log"), filepath.Join(bin, "kube-apiserver"), "--etcd-servers=http://"+etcd, "--secure-port="+port,
		"--bind-address=127.0.0.1", "--cert-dir="+path("certs"), "--service-account-key-file="+path("sa.pub"),
		"--service-account-signing-key-file="+path("sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
		"--token-auth-file="+path("tokens.csv"), "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
		"--disable-admission-plugins=ServiceAccount", "--kubelet-preferred-address-types=InternalIP")
	c.url = "https://" + api
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // only whether it is there
	defer tr.CloseIdleConnections()
	require.Eventually(t, func() bool {
		res, err := (&http.Client{Transport: tr, Timeout: time.Second}).Get(c.url + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, time.Minute, 50*time.Millisecond, "see %s", path("api.log"))
	return c
}

// background runs a program until the test ends.
func background(t *testing.T, log, name string, args ...string) {
	t.Helper()
	out, err := os.Create(log)
	require.NoError(t, err)
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()
		_ = out.Close()
	})
}

// kubelet serves logs, and returns the node that it is of.
func (c *cluster) kubelet(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/containerLogs/") {
			http.NotFound(w, r)
			return
		}
		for {
			select {
			case l := <-c.logs:
				fmt.Fprintln(w, l)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	return fmt.Sprintf("# YAML\n"+`{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 127.0.0.1}], daemonEndpoints: {kubeletEndpoint: {Port: %s}}}}`, port)
}

// TestKubectlThroughTheTunnel: kubectl works with an API server in another stamp,
// without credentials of its own: apply, get, a watch, the logs of a pod as they
// come, and a delete.
func TestKubectlThroughTheTunnel(t *testing.T) {
	c := kube(t)
	node := c.kubelet(t)
	f := fed.New(t, world+fmt.Sprintf("targets: [{name: k8s, stamp: wss, url: %q, callers: {stamps: [tls]}, deny: [/api/v1/namespaces/*/secrets], upgrade: true}]\n", c.url),
		func(o *gateway.Options) {
			if o.Stamp == "wss" {
				o.Targets = map[string]gateway.TargetFiles{"k8s": {
					CA: c.ca, Credentials: map[string]string{"Authorization": c.token}, CredentialPrefix: "Bearer ",
				}}
			}
		})
	server := f.Stamp("tls").RESTURL() + "/t/wss/k8s"
	command := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--server", server, "--kubeconfig", os.DevNull, "--cache-dir", t.TempDir()}, args...)...)
		cmd.Env = append(os.Environ(), "HTTP_PROXY=", "http_proxy=")
		return cmd
	}
	run := func(stdin string, args ...string) string {
		t.Helper()
		cmd := command(t.Context(), args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
		return string(out)
	}
	// stream runs a command that does not end and returns its lines.
	stream := func(args ...string) *bufio.Scanner {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cmd := command(ctx, args...)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cancel(); _, _ = io.Copy(io.Discard, out); _ = cmd.Wait() })
		return bufio.NewScanner(out)
	}
	run(node, "create", "-f", "-")
	watch := stream("get", "pods", "-w", "--no-headers", "-o", "name")
	const pod = "# YAML\n" + `{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {nodeName: n1, containers: [{name: c, image: x}]}}`
	require.Contains(t, run(fmt.Sprintf(pod, "p0"), "apply", "-f", "-"), "pod/p0 created")
	require.True(t, watch.Scan(), watch.Err())
	require.Equal(t, "pod/p0", watch.Text())
	run(fmt.Sprintf(pod, "p1"), "apply", "-f", "-")
	for watch.Scan() && watch.Text() != "pod/p1" { // p0 may have changed meanwhile
	}
	require.Equal(t, "pod/p1", watch.Text())
	require.Contains(t, run("", "get", "pods"), "p1")
	require.Equal(t, "pod/p1 labeled\n", run("", "label", "pod", "p1", "a=b"))
	logs := stream("logs", "-f", "p1")
	for i := range 3 {
		c.logs <- fmt.Sprint("line ", i)
		require.True(t, logs.Scan(), logs.Err())
		require.Equal(t, fmt.Sprint("line ", i), logs.Text())
	}
	big := fmt.Sprintf(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"x": %q}}`, strings.Repeat("x", 900<<10))
	require.Contains(t, run(big, "create", "-f", "-"), "created")
	require.Contains(t, run("", "get", "configmap", "big", "-o", "json"), strings.Repeat("x", 900<<10))
	out, err := command(t.Context(), "get", "secrets").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "Forbidden")
	require.Contains(t, run("", "delete", "pod", "p0", "--grace-period=0", "--force"), "deleted")
}
