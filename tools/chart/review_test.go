package chart

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oneStamp is a federation of one.
const oneStamp = `apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps: [{name: one, geo: eu, ring: dev, roles: [control, execution], link: {kind: hub, advertise: {leafnode: "one.example:7422"}}}]
controlPlanes: [{name: keptn, stamp: one}]
stages: [{name: dev, ring: dev}]
`

// tokenReviews: with the right that the chart makes a gateway knows pods by the
// tokens of their accounts, and without it nobody is let in by one.
func tokenReviews(t *testing.T, c *cluster) {
	_, stderr, err := c.helm(t, append([]string{"install", "test", chartDir, "--namespace", "ringway", "--set", "rest.tokenReview.enabled=true"}, installFlags(t, "testdata/cases/leaf.yaml")...)...)
	require.NoError(t, err, stderr)
	for _, ns := range []string{"ringway", "shop"} {
		c.create(t, "/api/v1/namespaces/"+ns+"/serviceaccounts", object{"metadata": object{"name": "helm-service"}})
	}
	dir := t.TempDir()
	ca := read(t, c.ca)
	writeFile(t, dir+"/ca.crt", string(ca))
	writeFile(t, dir+"/token", c.token(t, "ringway", "test-ringway"))
	url := runOne(t, "--rest-token-review", dir, "--rest-token-review-url", c.url, "--rest-accounts", "ringway/*")
	ask := func(token string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/auth", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error() // it has not begun
		}
		require.NoError(t, res.Body.Close())
		return res.StatusCode, res.Header.Get("Ringway-Reason")
	}
	right := c.token(t, "ringway", "helm-service", "ringway")
	require.Eventually(t, func() bool { code, _ := ask(right); return code == http.StatusOK }, time.Minute, 50*time.Millisecond)
	for _, token := range []string{c.token(t, "shop", "helm-service", "ringway"), c.token(t, "ringway", "helm-service")} {
		code, reason := ask(token)
		require.Equal(t, http.StatusUnauthorized, code)
		require.Equal(t, "token", reason)
	}
	_, stderr, err = c.helm(t, "uninstall", "test", "--namespace", "ringway")
	require.NoError(t, err, stderr)
	fresh := c.token(t, "ringway", "helm-service", "ringway")
	require.Eventually(t, func() bool {
		code, reason := ask(fresh)
		return code == http.StatusServiceUnavailable && reason == "review"
	}, 20*time.Second, 200*time.Millisecond)
}

// token returns a token of an account, for audiences.
func (c *cluster) token(t *testing.T, ns, account string, audiences ...string) string {
	t.Helper()
	res, err := c.do(t.Context(), http.MethodPost, "/api/v1/namespaces/"+ns+"/serviceaccounts/"+account+"/token", "application/json",
		object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": object{"audiences": audiences}})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, res.code, res.text)
	return res.body["status"].(object)["token"].(string)
}

// runOne runs the gateway of oneStamp until the test ends, and returns where it
// serves HTTP.
func runOne(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	ringway := filepath.Join(dir, "ringway")
	run := func(name string, args ...string) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	run("go", "build", "-o", ringway, "./cmd/ringway")
	writeFile(t, dir+"/topology.yaml", oneStamp)
	run(ringway, "auth", "init", "--topology", dir+"/topology.yaml", "--store", dir+"/keys")
	run(ringway, "auth", "issue", "--topology", dir+"/topology.yaml", "--store", dir+"/keys", "--stamp", "one", "--out", dir+"/one")
	rest := freeAddr(t)
	args = append([]string{
		"run", "--stamp", "one", "--topology", dir + "/topology.yaml", "--identity", dir + "/one", "--data", dir + "/data",
		"--listen-rest", rest, "--listen-clients", "127.0.0.1:0", "--listen-gateway", "127.0.0.1:0", "--listen-leafnode", "127.0.0.1:0",
		"--listen-admin", "127.0.0.1:0", "--listen-monitoring", "off",
	}, args...)
	out, err := os.Create(dir + "/log")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, ringway, args...)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		_ = out.Close()
		if t.Failed() {
			t.Logf("%s", read(t, dir+"/log"))
		}
	})
	return "http://" + rest
}
