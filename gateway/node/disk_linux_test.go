package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
)

// TestFullDiskIsSeen: the disk is full. Clients are served, the trouble names
// the cause, and a server that is started anew stores again once there is room.
func TestFullDiskIsSeen(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("no right to mount a small disk: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	w := newWorld(t, hub(t, "a"))
	on := func(c *node.Config) {
		c.Dir = filepath.Join(disk, "data")
		c.MaxStore = 1 << 30 // or the server stops before the disk does
	}
	a := w.run("a", on)
	a.capture(10)
	require.Empty(t, a.StoreTroubles())
	require.NoError(t, a.ProbeStore())

	filler := filepath.Join(disk, "filler")
	fill, err := os.Create(filler)
	require.NoError(t, err)
	for size := 1 << 16; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = fill.Write(make([]byte, size))
		}
	}
	require.NoError(t, fill.Close())
	nc := a.client()
	sub := subscribe(t, nc, "sh.keptn.own")
	require.Eventually(t, func() bool {
		require.NoError(t, nc.Publish("sh.keptn.x", []byte(strings.Repeat("x", 100_000))))
		return len(a.StoreTroubles()) > 0
	}, long, 20*time.Millisecond)
	t.Log(a.StoreTroubles())
	require.True(t, a.StoreTroubles()[0].Stuck)
	require.Error(t, a.ProbeStore())
	require.NoError(t, nc.Publish("sh.keptn.own", nil))
	_, err = sub.NextMsg(long)
	require.NoError(t, err, "clients are served")

	require.NoError(t, os.Remove(filler))
	require.NoError(t, a.ProbeStore())
	require.NoError(t, a.stop())
	a = w.run("a", on)
	require.Empty(t, a.StoreTroubles())
	s := a.capture(1)
	require.Eventually(t, func() bool {
		info, err := s.Info(t.Context())
		return err == nil && info.State.Msgs >= 11
	}, long, 5*time.Millisecond, "what was stored is there, and more is stored")
}
