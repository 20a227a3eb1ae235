package gateway

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/internal/natstest"
)

// TestSilentExternalNATSKeepsItsClients: a server that does not answer counts with
// what it said last, and after a while no more.
func TestSilentExternalNATSKeepsItsClients(t *testing.T) {
	const subject = "sh.keptn.event.deployment.triggered"
	srv := natstest.Start(t)
	plane := srv.Connect()
	_, err := plane.SubscribeSync(subject)
	require.NoError(t, err)
	require.NoError(t, plane.Flush())
	c := &clientele{nc: srv.Connect(), log: slog.New(slog.DiscardHandler), heard: map[string]time.Time{}, last: map[[2]string][]inbox.Subscriber{}}
	ours := []inbox.Subscriber{{ID: 1}}
	require.Eventually(t, func() bool { return len(c.behind(ours, subject)) == 2 }, 5*time.Second, time.Millisecond)
	require.Equal(t, ours, c.behind(ours, "sh.keptn.event.other.triggered"))

	c.nc.Close()
	require.Len(t, c.behind(ours, subject), 2, "silent for a moment")
	for id := range c.heard {
		c.heard[id] = time.Now().Add(-2 * serverGone)
	}
	require.Equal(t, ours, c.behind(ours, subject), "gone")
	require.Empty(t, c.last)
}
