package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestDamagedStreamIsShown: a file of RW_IN loses its end while the process is
// down. The stamp starts, serves, and says which stream lost what.
func TestDamagedStreamIsShown(t *testing.T) {
	dir := t.TempDir()
	f, _ := startIn(t, dir, twoStamps)
	nc, err := nats.Connect(f.Stamp("hub").URL())
	require.NoError(t, err)
	defer nc.Close()
	const subject = "sh.keptn.event.deployment.triggered"
	body := `{"specversion":"1.0","id":"ID","source":"t","type":"` + subject + `","time":"2026-01-01T00:00:00Z",` +
		`"data":{"project":"p","stage":"dev","service":"s"},"shkeptncontext":"c"}`
	for i := range 50 {
		require.NoError(t, nc.Publish(subject, []byte(strings.Replace(body, "ID", strings.Repeat("x", i+1), 1))))
	}
	leaf := f.Stamp("leaf")
	require.Eventually(t, func() bool {
		w := leaf.Gateway().Status().Waiting
		return len(w) == 1 && w[0].Count == 50
	}, 20*time.Second, 10*time.Millisecond)
	require.Empty(t, leaf.Gateway().Status().Store)
	require.NoError(t, leaf.Stop())
	damage(t, dir)
	require.NoError(t, leaf.Start(t.Context()))
	require.Eventually(t, func() bool { return len(leaf.Gateway().Status().Store) > 0 }, 10*time.Second, 10*time.Millisecond)
	_, page := get(t, leaf.Gateway().AdminURL()+"/readyz")
	require.Contains(t, page, "stream RW_IN: ")
	require.Contains(t, page, "lost from a damaged file")
}

// damage flips a byte in the middle of each file of RW_IN of leaf, and takes
// away what would hide it.
func damage(t *testing.T, dir string) {
	t.Helper()
	at := filepath.Join(dir, "data", "leaf", "jetstream", "*", "streams", "RW_IN", "msgs")
	blocks, err := filepath.Glob(filepath.Join(at, "*.blk"))
	require.NoError(t, err)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		content, err := os.ReadFile(b) //nolint:gosec // of this test
		require.NoError(t, err)
		content[len(content)/2] ^= 0xff
		require.NoError(t, os.WriteFile(b, content, 0o600))
	}
	index, err := filepath.Glob(filepath.Join(at, "index.db"))
	require.NoError(t, err)
	for _, i := range index {
		require.NoError(t, os.Remove(i))
	}
}
