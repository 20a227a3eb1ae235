package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
)

// capture makes RW_OUT and n messages in it.
func (r *running) capture(n int) jetstream.Stream {
	r.w.t.Helper()
	js, err := jetstream.New(r.connect(r.w.local(r.id, node.RELAY)))
	require.NoError(r.w.t, err)
	s, err := js.CreateOrUpdateStream(r.w.t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.>"}})
	require.NoError(r.w.t, err)
	nc := r.client()
	for range n {
		require.NoError(r.w.t, nc.Publish("sh.keptn.x", []byte(strings.Repeat("x", 1000))))
	}
	require.NoError(r.w.t, nc.Flush())
	return s
}

// TestFullStoreIsSeen: the server drops what it cannot store and says so in its
// log alone.
func TestFullStoreIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a", func(c *node.Config) { c.MaxStore = 50_000 })
	s := a.capture(10)
	require.Empty(t, a.StoreTroubles())
	a.capture(200)
	require.Eventually(t, func() bool { return len(a.StoreTroubles()) > 0 }, long, 5*time.Millisecond)
	trouble := a.StoreTroubles()[0]
	require.Contains(t, trouble.Cause, "resource limits exceeded")
	require.False(t, trouble.Stuck)
	require.NoError(t, a.ProbeStore())

	require.NoError(t, s.Purge(t.Context()))
	// What is published before the server has counted that is dropped, too.
	require.Eventually(t, func() bool {
		a.capture(1)
		info, err := s.Info(t.Context())
		return err == nil && info.State.Msgs > 0
	}, long, 50*time.Millisecond, "it stores again")
}

// TestDamagedDescriptionIsSeen: a file of a stream is damaged while the server
// is down. The server goes on without the stream.
func TestDamagedDescriptionIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	a := w.run("a")
	a.capture(100)
	require.NoError(t, a.stop())
	files, err := filepath.Glob(filepath.Join(w.dir, "a", "data", "jetstream", "*", "streams", "RW_OUT", "meta.inf"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files[0], b[:len(b)/2], 0o600))
	a = w.run("a")
	require.Len(t, a.StoreTroubles(), 1)
	require.Equal(t, "RW_OUT", a.StoreTroubles()[0].Stream)
	require.Equal(t, "its description is damaged", a.StoreTroubles()[0].Cause)
}
