package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
)

// unpack returns the files of a bundle by name.
func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	out := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		out[strings.TrimPrefix(h.Name, "ringway-bundle/")] = string(b)
	}
}

// TestBundleHoldsNoSecrets: secrets lie wherever a bundle is made of, and none is
// in it.
func TestBundleHoldsNoSecrets(t *testing.T) {
	const planted = "PLANTED"
	f := fed.New(t, scripted+"# a topology takes no credentials, but for notes; token: "+planted+"\n",
		func(o *gateway.Options) { o.Events.CanaryInterval = 250 * time.Millisecond })
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	// Events that wait and dead letters, with bodies.
	const subject = "sh.keptn.event.deployment.triggered"
	f.Publish("hub", subject,
		fmt.Appendf(nil, `{"specversion":"1.0","id":"1","source":"s","type":%q,"shkeptncontext":"c","data":{"project":"p","stage":"dev","service":"s","x":%q}}`, subject, planted),
		[]byte(`{"x":"`+planted+`"}`))
	// What a stamp has on disk, in the log.
	var creds []byte
	require.NoError(t, f.Reissue(func(s *keystore.Store) (err error) {
		creds, _, err = s.Orderer("anna", time.Hour, time.Now())
		return err
	}))
	secrets := []string{planted}
	for line := range strings.Lines(string(creds)) {
		if line = strings.TrimSpace(line); len(line) > 40 && !strings.ContainsAny(line, " *") {
			secrets = append(secrets, line)
		}
	}
	require.NoError(t, filepath.WalkDir(f.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".nk") {
			return err
		}
		b, err := os.ReadFile(path)
		secrets = append(secrets, strings.TrimSpace(string(b)))
		return err
	}))
	require.Greater(t, len(secrets), 5)
	log := write("log", "level=INFO msg=start stamp=hub\n"+strings.Join(secrets[1:], "\n")+"\n"+string(creds)+
		"\nlevel=INFO msg=call url=https://a:PLANTED@b/c x-token=PLANTED\n"+`{"specversion":"1.0","data":"PLANTED"}`+"\nlevel=INFO msg=end stamp=hub\n")
	config := write("gateway.yaml", "stamp: hub\npassword: PLANTED\ntargets: {x: {credentials: {authorization: PLANTED}}}\n")
	admin := f.Stamp("hub").Gateway().AdminURL()
	out := filepath.Join(dir, "a.tgz")
	var stdout, stderr bytes.Buffer
	run := func(args ...string) int {
		stdout.Reset()
		stderr.Reset()
		return execute(t.Context(), args, &stdout, &stderr)
	}
	require.Zero(t, run("doctor", "--bundle", out, "--admin", admin, "--log", log, "--config", config), stderr.String())
	files := unpack(t, out)
	for _, name := range []string{
		"contents.txt", "doctor.json", "status.json", "options.json", "topology.yaml", "goroutines.txt", "metrics.txt",
		"gateway.yaml", "log.txt", "support.json", "versions.json",
	} {
		require.NotEmpty(t, files[name], name)
	}
	for name, text := range files {
		for _, s := range secrets {
			require.NotContains(t, text, s, name)
		}
	}
	require.Contains(t, files["log.txt"], "msg=start stamp=hub")
	require.Contains(t, files["log.txt"], "msg=end stamp=hub")
	require.Contains(t, files["topology.yaml"], "name: near")
	require.Contains(t, files["metrics.txt"], "ringway_ready 1")
	require.Contains(t, files["goroutines.txt"], "gateway")
	require.Contains(t, files["status.json"], `"far"`)

	// The topology as the gateway itself shows it.
	require.Zero(t, run("doctor", "--bundle", filepath.Join(dir, "b.tgz"), "--admin", admin, "--topology", write("topology.yaml", "url: x://a:PLANTED@b\n")), stderr.String())
	require.Equal(t, "url: x://[redacted]@b\n", unpack(t, filepath.Join(dir, "b.tgz"))["topology.yaml"])

	// A gateway that is down is when one is needed.
	require.Zero(t, run("doctor", "--bundle", filepath.Join(dir, "c.tgz"), "--admin", "http://127.0.0.1:1", "--log", log), stderr.String())
	files = unpack(t, filepath.Join(dir, "c.tgz"))
	require.Contains(t, files["contents.txt"], "status.json      not here: ask gateway at http://127.0.0.1:1")
	require.Contains(t, files["log.txt"], "msg=start")

	require.Equal(t, exitFailed, run("doctor", "--bundle", out, "--admin", admin), "nothing is written over")
}
