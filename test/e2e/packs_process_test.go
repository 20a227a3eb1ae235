package e2e_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// tested is the subject of tasks whose planes come late.
const tested = "sh.keptn.event.test.triggered"

var (
	ackedByHub   = regexp.MustCompile(`(?m)^ringway_events_acked_total{to="hub"} (\d+)`)
	answersOfHub = regexp.MustCompile(`(?m)^ringway_forward_seconds_count{to="hub"} (\d+)`)
)

// metric returns a number that a process shows; 0 if it does not.
func (p *process) metric(line *regexp.Regexp) int {
	_, body := p.get("/metrics")
	m := line.FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	require.NoError(p.t, err)
	return n
}

// A packTrial also publishes tasks that nobody takes for a while.
type packTrial struct {
	*trial
	n int // tested events
}

// burst publishes n tested events, and with each, if so wanted, one of triggered.
func (r *packTrial) burst(n int, both bool) {
	r.t.Helper()
	for range n {
		require.NoError(r.t, r.keptn.Publish(tested, event(tested, strconv.Itoa(r.n), "dev", "t"+strconv.Itoa(r.n%contexts))))
		r.n++
		if both {
			require.NoError(r.t, r.keptn.Publish(triggered, event(triggered, strconv.Itoa(r.sent), "dev", strconv.Itoa(r.sent%contexts))))
			r.sent++
		}
	}
	require.NoError(r.t, r.keptn.FlushTimeout(fed.Patience))
}

// packs returns how many events hub has stored, and in how many messages.
func (r *packTrial) packs() (events, answers int) {
	return r.all["control"].metric(ackedByHub), r.all["control"].metric(answersOfHub)
}

// TestKilledReceiverOfPacks: a gateway is killed while packs are on their way to it,
// some of whose events it has given to planes, and some wait for one. What was
// stored and not answered comes again in other packs. Nothing is lost, and nothing
// comes twice or out of order.
func TestKilledReceiverOfPacks(t *testing.T) {
	t.Parallel()
	r := &packTrial{trial: newTrial(t)}
	hub := r.all["hub"]
	require.Eventually(t, func() bool { // the canary has told that hub reads packs
		r.burst(100, true)
		r.hub.collect(100)
		events, answers := r.packs()
		return events > answers+50
	}, 2*fed.Patience, 500*time.Millisecond)
	r.noted1()
	was, answered := r.packs()
	for round := range 3 {
		before, _ := r.packs()
		r.burst(1500, false)
		if round > 0 {
			require.Eventually(t, func() bool { events, _ := r.packs(); return events > before+100 }, fed.Patience, time.Millisecond)
		}
		hub.kill()
		r.burst(100, false)
		hub.start()
	}
	r.burst(100, true)
	r.hub.collect(100)
	r.noted1()
	late := newPlane(hub, tested)
	late.collect(r.n)
	r.noted1()
	for {
		m, err := late.sub.NextMsg(100 * time.Millisecond)
		if err != nil {
			break
		}
		late.seen = append(late.seen, string(m.Data))
	}
	requireInOrder(t, late.seen, r.n, contexts)
	requireInOrder(t, r.hub.seen, r.sent, contexts)
	events, answers := r.packs()
	require.Less(t, answers-answered, (events-was)/2, "most travelled in packs")
}

// noted1 returns when hub has noted what its planes have seen.
func (r *packTrial) noted1() {
	r.t.Helper()
	require.Eventually(r.t, r.hub.nc.IsConnected, fed.Patience, time.Millisecond)
	r.marks++
	require.NoError(r.t, r.keptn.Publish(marked, event(marked, "mark"+strconv.Itoa(r.marks), "dev", "mark")))
	_, err := r.hub.mark.NextMsg(fed.Patience)
	require.NoError(r.t, err)
}
