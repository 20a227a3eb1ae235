package gateway_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/internal/federation"
)

// A page keeps what is logged. It is safe for concurrent use.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *page) lines() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Split(bytes.TrimSpace(bytes.Clone(p.b.Bytes())), []byte("\n"))
}

// TestLogLines: whatever a gateway logs while a link comes, goes and comes again is
// JSON with keys that docs/logging.md lists, without a body of an event.
func TestLogLines(t *testing.T) {
	doc, err := os.ReadFile("../docs/logging.md")
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|").FindAllSubmatch(doc, -1) {
		listed[string(m[1])] = true
	}
	require.Greater(t, len(listed), 10)

	var log page
	sb := demo.NewSwitchboard()
	t.Cleanup(func() { require.NoError(t, sb.Close()) })
	f, err := federation.New(federation.Config{
		Topology: []byte(twoStamps), Dir: t.TempDir(), Board: board{sb}, Now: time.Now,
		Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	require.NoError(t, f.Start(t.Context()))
	g := f.Stamp("leaf").Gateway()
	is := func(c gateway.Condition) func() bool {
		return func() bool { return g.Status().Condition == c }
	}
	require.Eventually(t, is(gateway.ConditionOK), 20*time.Second, 10*time.Millisecond)
	nc, err := nats.Connect(f.Stamp("hub").Gateway().ClientURL())
	require.NoError(t, err)
	const subject = "sh.keptn.event.deployment.triggered"
	require.NoError(t, nc.Publish(subject, keptnEvent(subject, "the-id", "nowhere"))) // refused, at debug level
	require.NoError(t, nc.Flush())
	nc.Close()
	sb.Cut("leaf")
	require.Eventually(t, is(gateway.ConditionDegraded), 20*time.Second, 10*time.Millisecond)
	sb.Heal("leaf")
	require.Eventually(t, is(gateway.ConditionOK), 20*time.Second, 10*time.Millisecond)

	lines := log.lines()
	require.Greater(t, len(lines), 10)
	for _, line := range lines {
		var said map[string]any
		require.NoError(t, json.Unmarshal(line, &said), "%s", line)
		for key := range said {
			require.True(t, listed[key], "docs/logging.md does not list %q: %s", key, line)
		}
		require.NotContains(t, string(line), "shkeptncontext", "a body is in the log")
	}
}
