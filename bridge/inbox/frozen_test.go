package inbox_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/internal/natstest"
)

// A freezer is a receiver with an operator.
type freezer struct {
	*receiver
	holding atomic.Pointer[bridge.Holding]
}

func newFreezer(t *testing.T) *freezer {
	t.Helper()
	f := &freezer{receiver: &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}}
	f.holding.Store(&bridge.Holding{})
	f.edit = func(c *inbox.Config) { c.Holding = func() bridge.Holding { return *f.holding.Load() } }
	f.fed = f.srv.Connect("fed")
	f.start()
	return f
}

func (f *freezer) hold(h bridge.Holding) {
	f.t.Helper()
	f.holding.Store(&h)
	require.NoError(f.t, f.in.Heed(f.t.Context()))
}

func frozen() bridge.Holding {
	return bridge.Holding{Mode: bridge.VerbFreeze, Since: time.Now(), By: "anna", Reason: "r"}
}

func resumed() bridge.Holding { return bridge.Holding{Ended: time.Now()} }

// put stores an event of a context as stamp a would.
func (f *freezer) put(typ, id, context string, captured time.Time) {
	f.t.Helper()
	js, err := jetstream.New(f.fed)
	require.NoError(f.t, err)
	m := nats.NewMsg(bridge.EventSubject("b", "a", bridge.KeyOf(id, typ, typ)))
	m.Data = fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"s","type":%q,"triggeredid":"x",`+
		`"data":{"project":"p","stage":"one","service":"c"},"shkeptncontext":%q}`, id, typ, context)
	m.Header = nats.Header{
		bridge.HeaderSubject: {typ}, bridge.HeaderOrigin: {"a"}, bridge.HeaderHop: {"a:1"},
		bridge.HeaderCaptured: {captured.UTC().Format(time.RFC3339Nano)}, bridge.HeaderMode: {bridge.ModeWait},
	}
	_, err = js.PublishMsg(f.t.Context(), m)
	require.NoError(f.t, err)
}

// hear subscribes to everything and returns what comes, as context:id.
func (f *freezer) hear() func(n int) []string {
	f.t.Helper()
	app := f.srv.Connect("app")
	sub, err := app.SubscribeSync("sh.keptn.event.>")
	require.NoError(f.t, err)
	require.NoError(f.t, sub.SetPendingLimits(-1, -1))
	require.NoError(f.t, app.Flush())
	return func(n int) []string {
		f.t.Helper()
		out := make([]string, n)
		for i := range out {
			m, err := sub.NextMsg(20 * time.Second)
			require.NoError(f.t, err)
			e, err := bridge.Parse(m.Subject, m.Data)
			require.NoError(f.t, err)
			out[i] = e.Context + ":" + e.ID
		}
		return out
	}
}

func (f *freezer) waits(reason string, n int) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		sum := 0
		for _, w := range f.in.Waiting() {
			if w.Reason == reason {
				sum += w.Count
			}
		}
		return sum == n && (reason != "frozen" || f.in.Held() == n)
	}, 20*time.Second, 2*time.Millisecond)
}

const (
	deploy = "sh.keptn.event.deployment.triggered"
	test   = "sh.keptn.event.atest.triggered" // before the other in the alphabet
	status = "sh.keptn.event.deployment.started"
	begin  = "sh.keptn.event.one.delivery.triggered"
)

// TestFrozenHoldsWhatBegins: tasks and sequences wait, in order, over a restart;
// what tells of something that has begun passes, also in the same context. What
// was held comes in order of arrival, and what arrived meanwhile behind it.
func TestFrozenHoldsWhatBegins(t *testing.T) {
	f := newFreezer(t)
	next := f.hear()
	now := time.Now()
	f.put(deploy, "0", "k", now)
	require.Equal(t, []string{"k:0"}, next(1))
	f.hold(frozen())
	var want []string
	const n = 600 // more than a window and a batch
	for i := range n {
		typ, context := deploy, fmt.Sprint("c", i%7)
		switch {
		case i%3 == 0:
			typ = test
		case i%10 == 1:
			typ = begin
		}
		id := fmt.Sprint("e", i)
		f.put(typ, id, context, now)
		want = append(want, context+":"+id)
	}
	f.put(status, "s1", "c1", now)
	require.Equal(t, []string{"c1:s1"}, next(1), "it passes what is held")
	f.waits("frozen", n)
	all, err := f.in.WaitingEvents(t.Context(), "e5", 10)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, "frozen", all[0].Reason)

	f.stop()
	f.start()
	f.waits("frozen", n)
	f.put(status, "s2", "c2", now)
	require.Equal(t, []string{"c2:s2"}, next(1))
	f.hold(resumed())
	f.put(deploy, "last", "c6", now)
	want = append(want, "c6:last")
	got := next(n + 1)
	for i := range 7 { // what order there is, is that of a context
		context := fmt.Sprintf("c%d:", i)
		others := func(s string) bool { return !strings.HasPrefix(s, context) }
		require.Equal(t, slices.DeleteFunc(slices.Clone(want), others), slices.DeleteFunc(slices.Clone(got), others))
	}
	f.waits("frozen", 0)
	require.Empty(t, f.dead)
}

// TestFreezeStopsWhatWaits: events that wait for a subscriber when the stamp is
// frozen are not delivered when there is one, and are after that.
func TestFreezeStopsWhatWaits(t *testing.T) {
	f := newFreezer(t)
	f.put(deploy, "1", "k", time.Now())
	f.waits("nobody in the stamp subscribes", 1)
	f.hold(frozen())
	f.waits("frozen", 1)
	next := f.hear()
	f.put(status, "s", "k", time.Now())
	require.Equal(t, []string{"k:s"}, next(1))
	f.hold(resumed())
	require.Equal(t, []string{"k:1"}, next(1))
}

// TestHeldEventsDoNotExpire: the limit of age counts from when an event may go.
func TestHeldEventsDoNotExpire(t *testing.T) {
	f := newFreezer(t)
	f.hold(frozen())
	f.put(deploy, "old", "k", time.Now().Add(-100*time.Hour))
	f.put(deploy, "older", "k", time.Now().Add(-200*time.Hour))
	f.waits("frozen", 2)
	f.stop()
	f.start()
	f.waits("frozen", 2)
	f.hold(resumed())
	f.waits("nobody in the stamp subscribes", 2)
	next := f.hear()
	require.Equal(t, []string{"k:old", "k:older"}, next(2))
	require.Empty(t, f.dead)
	f.put(test, "late", "k2", time.Now().Add(-100*time.Hour))
	require.Equal(t, []string{"k2:late"}, next(1))
}

// TestFrozenLeavesTasksToOthers: a task that any of several stamps may do is left
// to another.
func TestFrozenLeavesTasksToOthers(t *testing.T) {
	f := newFreezer(t)
	f.hear()
	asked, err := f.fed.SubscribeSync(bridge.CtlSubject("a", "b", "ask.*"))
	require.NoError(t, err)
	f.hold(frozen())
	require.NoError(t, f.send("a", "1", bridge.HeaderMode, bridge.ModeClaim, bridge.HeaderAttempt, "1", bridge.HeaderWithin, "1m"))
	m, err := asked.NextMsg(20 * time.Second)
	require.NoError(t, err)
	require.Equal(t, bridge.CtlSubject("a", "b", bridge.AskDecline), m.Subject)
	require.Zero(t, f.in.Held())
}

// TestHeldTasksAreInNoDoubtAfterACrash: they were never published.
func TestHeldTasksAreInNoDoubtAfterACrash(t *testing.T) {
	f := newFreezer(t)
	next := f.hear()
	f.put(deploy, "0", "k", time.Now())
	require.Equal(t, []string{"k:0"}, next(1))
	f.hold(frozen())
	js, err := jetstream.New(f.srv.Connect("relay"))
	require.NoError(t, err)
	state, err := js.Stream(t.Context(), inbox.StreamState)
	require.NoError(t, err)
	stored := func() string {
		was, err := state.GetLastMsgForSubject(t.Context(), "state.inbox")
		require.NoError(t, err)
		return string(was.Data)
	}
	for i := range 5 {
		f.put(deploy, fmt.Sprint("e", i), "k", time.Now())
	}
	f.waits("frozen", 5)
	require.Eventually(t, func() bool { return strings.Contains(stored(), `"held":true`) }, 20*time.Second, 2*time.Millisecond)
	was := stored() // what a crash now would leave
	f.stop()
	_, err = js.Publish(t.Context(), "state.inbox", []byte(was))
	require.NoError(t, err)
	f.start()
	f.waits("frozen", 5)
	f.hold(resumed())
	require.NotContains(t, stored(), `"held":true`, "from now on they may be in doubt")
	require.Equal(t, []string{"k:e0", "k:e1", "k:e2", "k:e3", "k:e4"}, next(5))
	f.put(deploy, "last", "k", time.Now())
	require.Equal(t, []string{"k:last"}, next(1))
}
