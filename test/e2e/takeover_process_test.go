package e2e_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

var takenTotal = regexp.MustCompile(`(?m)^ringway_takeover_events_total (\d+)`)

// taken waits until the process has taken over n events since its start.
func (p *process) taken(n int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		_, body := p.get("/metrics")
		m := takenTotal.FindStringSubmatch(body)
		if m == nil {
			return false
		}
		got, err := strconv.Atoi(m[1])
		return err == nil && got >= n
	}, fed.Patience, time.Millisecond)
}

// TestKilledWhileTakingOver: the gateway of a control plane with a NATS of its own
// is killed again and again while it takes over what was published before, and
// more is published. Every event arrives once, in order.
func TestKilledWhileTakingOver(t *testing.T) {
	t.Parallel()
	k := newKeptnNATS(t, func(*server.Options) {})
	k.stream(t)
	all := prepareProcesses(t, newBinary(t), strings.Replace(separate, "roles: [control],", fmt.Sprintf(
		"roles: [control], clients: {mode: external, url: \"nats://%s\", leafnode: \"nats-leaf://%s\"},", k.client.addr, k.leaf.addr), 1))
	for _, p := range all {
		p.start()
	}
	hub := newPlane(all["hub"], triggered)
	k.publish(t, 0, 20, contexts)
	hub.collect(20)
	n := 20
	for _, taken := range []int{0, 1, 20, 60, 100} {
		all["control"].kill()
		k.publish(t, n, n+100, contexts)
		stop := k.publishing(t, n+100, contexts)
		all["control"].start()
		all["control"].taken(taken)
		n = stop()
	}
	hub.collect(n - len(hub.seen))
	requireInOrder(t, hub.seen, n, contexts)
	k.publish(t, n, n+1, contexts)
	m, err := hub.sub.NextMsg(fed.Patience)
	require.NoError(t, err)
	require.Contains(t, string(m.Data), fmt.Sprintf("%q", fmt.Sprint(n)), "nothing came twice")
}
