package chart

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A cluster is a real Kubernetes API server and its store, and nothing behind
// them: objects are checked and kept, and nothing runs.
type cluster struct {
	url, kubeconfig, ca string
	client              *http.Client
}

// startCluster starts the programs in the folder that RINGWAY_KUBE names.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	bin := os.Getenv("RINGWAY_KUBE")
	if bin == "" {
		t.Skip("RINGWAY_KUBE names no folder with kube-apiserver and etcd: make e2e-kube")
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	etcd, api := freeAddr(t), freeAddr(t)
	for name, content := range map[string]string{
		"sa.key":     string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"sa.pub":     string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"tokens.csv": "admintoken,admin,1,system:masters\n",
		"kubeconfig": fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://%s", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: admintoken}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`, api),
	} {
		require.NoError(t, os.WriteFile(path(name), []byte(content), 0o600))
	}
	background(t, path("etcd.log"), filepath.Join(bin, "etcd"), "--data-dir", path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", "http://"+etcd, "--advertise-client-urls", "http://"+etcd, "--listen-peer-urls", "http://127.0.0.1:0")
	_, port, err := net.SplitHostPort(api)
	require.NoError(t, err)
	background(t, path("api.log"), filepath.Join(bin, "kube-apiserver"), "--etcd-servers=http://"+etcd, "--secure-port="+port,
		"--bind-address=127.0.0.1", "--cert-dir="+path("certs"), "--service-account-key-file="+path("sa.pub"),
		"--service-account-signing-key-file="+path("sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
		"--token-auth-file="+path("tokens.csv"), "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
		"--disable-admission-plugins=ServiceAccount")
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	c := &cluster{url: "https://" + api, kubeconfig: path("kubeconfig"), ca: path("certs/apiserver.crt"), client: &http.Client{Transport: tr, Timeout: 10 * time.Second}}
	require.Eventually(t, func() bool {
		res, err := c.do(t.Context(), http.MethodGet, "/readyz", "", nil)
		return err == nil && res.code == http.StatusOK
	}, 2*time.Minute, 100*time.Millisecond, "see %s", path("api.log"))
	return c
}

// freeAddr returns an address on which nobody listens now.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// background runs a program until the test ends.
func background(t *testing.T, log, name string, args ...string) {
	t.Helper()
	out, err := os.Create(log)
	require.NoError(t, err)
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()
		_ = out.Close()
	})
}

// A reply is what the API server says.
type reply struct {
	code int
	text string
	body map[string]any
}

func (c *cluster) do(ctx context.Context, method, path, contentType string, body any) (reply, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(b))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer admintoken")
	req.Header.Set("Content-Type", contentType)
	res, err := c.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	out := reply{code: res.StatusCode, text: string(text)}
	_ = json.Unmarshal(text, &out.body) // /readyz is no JSON
	return out, err
}

// get returns an object, or nil if there is none.
func (c *cluster) get(t *testing.T, path string) map[string]any {
	t.Helper()
	res, err := c.do(t.Context(), http.MethodGet, path, "", nil)
	require.NoError(t, err)
	if res.code == http.StatusNotFound {
		return nil
	}
	require.Equal(t, http.StatusOK, res.code, res.text)
	return res.body
}

// create makes an object.
func (c *cluster) create(t *testing.T, path string, o any) {
	t.Helper()
	res, err := c.do(t.Context(), http.MethodPost, path, "application/json", o)
	require.NoError(t, err)
	require.Contains(t, []int{http.StatusOK, http.StatusCreated}, res.code, res.text)
}

// helm runs helm with the cluster.
func (c *cluster) helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return helm(t, append(args, "--kubeconfig", c.kubeconfig)...)
}
