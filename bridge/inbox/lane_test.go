package inbox_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/internal/natstest"
)

// sendMany stores n events of size bytes, of 50 contexts in turn.
func (r *receiver) sendMany(n, size int) {
	r.t.Helper()
	js, err := jetstream.New(r.fed, jetstream.WithPublishAsyncMaxPending(2000))
	require.NoError(r.t, err)
	for i := range n {
		id := strconv.Itoa(i)
		m := nats.NewMsg(bridge.EventSubject("b", "a", bridge.KeyOf(id, subject, subject)))
		m.Data = sized(id, i%50, size)
		m.Header = nats.Header{
			bridge.HeaderSubject: {subject}, bridge.HeaderOrigin: {"a"}, bridge.HeaderHop: {"a:1"},
			bridge.HeaderCaptured: {time.Now().UTC().Format(time.RFC3339Nano)}, bridge.HeaderMode: {bridge.ModeWait},
		}
		_, err := js.PublishMsgAsync(m, jetstream.WithStallWait(20*time.Second))
		require.NoError(r.t, err)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		require.Fail(r.t, "events are not stored")
	}
}

func sized(id string, context, size int) []byte {
	head := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"s","type":"`+subject+`","shkeptncontext":"k%d",`+
		`"data":{"project":"p","stage":"one","service":"c","x":"`, id, context)
	return []byte(head + strings.Repeat("x", max(0, size-len(head)-4)) + `"}}`)
}

// newSloth subscribes as a client that reads slowly.
func newSloth(t *testing.T, srv *natstest.Stamp) *natstest.Sloth {
	t.Helper()
	s := natstest.NewSloth(t, srv.Addr(), `{"verbose":false,"user":"app","pass":"x","headers":true}`, subject)
	require.Eventually(t, func() bool { return srv.Interest(subject) }, 5*time.Second, time.Millisecond)
	return s
}

// burst gives n events to a subscriber that reads 128 KB each 10 ms, at a server
// that cuts off whoever has 2 MB pending, and returns what the subscriber got.
func burst(t *testing.T, n int, paced bool) (got []string, cutOff int64) {
	t.Helper()
	r := &receiver{t: t, srv: natstest.StartStampWith(t, "\nmax_pending: 2MB\n"), dead: make(letters, 100)}
	r.fed = r.srv.Connect("fed")
	r.edit = func(c *inbox.Config) {
		if !paced {
			c.Subscribers = nil
		}
	}
	r.start()
	r.stop()
	r.sendMany(n, 1024) // all at once, when the inbox is back
	s := newSloth(t, r.srv)
	r.start()
	done := make(chan struct{})
	every := 10 * time.Millisecond
	if !paced { // slower than the inbox under the race detector, too
		every *= 10
	}
	go func() { defer close(done); s.Read(n, every) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		require.Fail(t, "the subscriber does not get its events", "%d of %d", len(s.IDs), n)
	}
	return s.IDs, r.srv.SlowConsumers()
}

// TestBurstIntoASlowSubscriber: nothing is lost and nobody is cut off; without
// pacing the server cuts the subscriber off.
func TestBurstIntoASlowSubscriber(t *testing.T) {
	const n = 20_000
	got, cutOff := burst(t, n, true)
	require.Zero(t, cutOff)
	require.Len(t, got, n)
	last := map[int]int{}
	for _, id := range got {
		i, err := strconv.Atoi(id)
		require.NoError(t, err)
		require.Greater(t, i+1, last[i%50], "order of context %d", i%50)
		last[i%50] = i + 1
	}
	slices.Sort(got)
	require.Len(t, slices.Compact(got), n)

	got, cutOff = burst(t, n, false)
	require.NotZero(t, cutOff, "the contrast: unpaced, the server cuts it off")
	require.Less(t, len(got), n)
}

// TestSlowSubscriberHoldsUpNobody: another subject of another plane goes on.
func TestSlowSubscriberHoldsUpNobody(t *testing.T) {
	r := newReceiver(t)
	newSloth(t, r.srv) // it does not read
	r.sendMany(30_000, 1024)
	require.Eventually(t, func() bool {
		for _, w := range r.in.Waiting() {
			if w.Subject == subject && w.Reason == "its subscriber is slow" {
				return true
			}
		}
		return false
	}, 40*time.Second, time.Millisecond)
	const other = "sh.keptn.event.u.triggered"
	app := r.srv.Connect("app")
	sub, err := app.SubscribeSync(other)
	require.NoError(t, err)
	require.NoError(t, app.Flush())
	body := bytes.ReplaceAll(event("other"), []byte(subject), []byte(other))
	body = bytes.Replace(body, []byte(`"shkeptncontext":"k"`), []byte(`"shkeptncontext":"else"`), 1)
	m := nats.NewMsg(bridge.EventSubject("b", "a", bridge.KeyOf("other", other, other)))
	m.Data = body
	m.Header = nats.Header{bridge.HeaderSubject: {other}, bridge.HeaderOrigin: {"a"}, bridge.HeaderMode: {bridge.ModeWait}}
	require.NoError(t, r.fed.PublishMsg(m))
	require.Equal(t, string(body), next(t, sub))
	found, err := r.in.WaitingEvents(t.Context(), "k7", 5)
	require.NoError(t, err)
	require.Len(t, found, 5)
	require.Equal(t, "k7", found[0].Context)
}

// A worker is a plane that answers each task at once.
type worker struct {
	nc *nats.Conn

	mu  sync.Mutex // guards the following field
	did []string
}

func (r *receiver) worker(each func(w *worker, id string)) *worker {
	r.t.Helper()
	w := &worker{nc: r.srv.Connect("app")}
	_, err := w.nc.QueueSubscribe(subject, "helm-service", func(m *nats.Msg) {
		if w.nc.IsClosed() {
			return // a program that has ended does nothing more
		}
		id := natstest.IDOf(m.Data)
		w.mu.Lock()
		w.did = append(w.did, id)
		w.mu.Unlock()
		r.in.Answered(id)
		r.in.AfterCommit(func() {})
		if each != nil {
			each(w, id)
		}
	})
	require.NoError(r.t, err)
	require.NoError(r.t, w.nc.Flush())
	return w
}

func (w *worker) done() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.did)
}

// TestPlaneRestartsInABurst: it gets what it has not answered, and nothing twice.
func TestPlaneRestartsInABurst(t *testing.T) {
	r := newReceiver(t)
	const n = 5000
	gone := make(chan struct{})
	first := r.worker(func(w *worker, _ string) {
		if len(w.done()) == n/3 {
			w.nc.Close()
			close(gone)
		}
	})
	r.sendMany(n, 1024)
	<-gone
	second := r.worker(nil)
	require.Eventually(t, func() bool { return len(first.done())+len(second.done()) >= n }, 20*time.Second, time.Millisecond)
	r.none2(second)
	all := append(first.done(), second.done()...)
	all = slices.DeleteFunc(all, func(id string) bool { return strings.HasPrefix(id, "mark") })
	require.Len(t, all, n)
	slices.Sort(all)
	require.Len(t, slices.Compact(all), n, "something was done twice")
}

// none2 waits until everything is settled: one more event, and nothing waits.
func (r *receiver) none2(w *worker) {
	r.t.Helper()
	require.NoError(r.t, r.send("a", "mark"))
	require.Eventually(r.t, func() bool {
		return slices.Contains(w.done(), "mark") && len(r.in.Waiting()) == 0
	}, 5*time.Second, time.Millisecond)
}

// TestTaskIsGivenAgain: a plane that took a task and ended without an answer.
// What is answered is not given again, and neither is what waits in no doubt.
func TestTaskIsGivenAgain(t *testing.T) {
	r := newReceiver(t)
	answered := r.worker(nil) // so it is known that planes of this subject answer
	require.NoError(t, r.send("a", "1"))
	require.Eventually(t, func() bool { return len(answered.done()) == 1 }, 5*time.Second, time.Millisecond)
	answered.nc.Close()
	require.Eventually(t, func() bool { return !r.srv.Interest(subject) }, 5*time.Second, time.Millisecond) // or it is given the next one, too
	mute := r.subscribe()
	require.NoError(t, r.send("a", "2"))
	require.Equal(t, string(event("2")), next(t, mute))
	require.Never(t, func() bool { _, err := mute.NextMsg(time.Millisecond); return err == nil }, 500*time.Millisecond, 10*time.Millisecond,
		"a plane that is only slow")
	requireUnsubscribed(t, r, mute)
	again := r.worker(nil)
	require.Eventually(t, func() bool { return slices.Contains(again.done(), "2") }, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"2"}, again.done())
}

func requireUnsubscribed(t *testing.T, r *receiver, sub *nats.Subscription) {
	t.Helper()
	require.NoError(t, sub.Unsubscribe())
	require.Eventually(t, func() bool { return !r.srv.Interest(subject) }, 5*time.Second, time.Millisecond)
}

// TestReoffer: off by default; if asked for, a task that nobody answers is given
// again, as often as configured.
func TestReoffer(t *testing.T) {
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.fed = r.srv.Connect("fed")
	r.edit = func(c *inbox.Config) { c.ReofferAfter = 100 * time.Millisecond }
	r.start()
	sub := r.subscribe()
	require.NoError(t, r.send("a", "1"))
	require.Equal(t, string(event("1")), next(t, sub))
	require.Equal(t, string(event("1")), next(t, sub))
	r.in.Answered("1")
	r.in.AfterCommit(func() {})
	require.NoError(t, r.send("a", "2"))
	require.Equal(t, string(event("2")), next(t, sub))
}

// TestDeposed: a second process that writes the progress ends the first.
func TestDeposed(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	require.NoError(t, r.send("a", "1"))
	require.Equal(t, string(event("1")), next(t, sub))
	rt := router(t, "b")
	other, err := inbox.New(inbox.Config{
		Me: "b", Fed: r.srv.Connect("fed"), Relay: r.srv.Connect("relay"), Deliver: r.srv.Connect("deliver"),
		Interest: func(string) bool { return false }, Router: func() *bridge.Router { return rt }, DeadLetters: r.dead, Gate: openGate{},
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	second := natstest.Run(t, other.Run)
	require.NoError(t, r.send("a", "2"))
	require.ErrorContains(t, <-r.ended(), "another replica")
	second.Stop()
}

// TestDeposedKnowsWhatTheOtherDid: when it delivers again it goes on where the
// other left off.
func TestDeposedKnowsWhatTheOtherDid(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	require.NoError(t, r.send("a", "0"))
	require.Equal(t, string(event("0")), next(t, sub))
	noted := make(chan struct{})
	r.in.AfterCommit(func() { close(noted) })
	<-noted
	rt := router(t, "b")
	other, err := inbox.New(inbox.Config{
		Me: "b", Fed: r.srv.Connect("fed"), Relay: r.srv.Connect("relay"), Deliver: r.srv.Connect("deliver"),
		Interest: r.srv.Interest, Subscribers: r.subscribers, Router: func() *bridge.Router { return rt }, DeadLetters: r.dead, Gate: openGate{},
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ended := r.ended()
	second := natstest.Run(t, other.Run)
	r.in.Answered("0") // it finds out when it notes that
	r.in.AfterCommit(func() {})
	require.ErrorContains(t, <-ended, "another replica")
	require.NoError(t, r.send("a", "1"))
	require.Equal(t, string(event("1")), next(t, sub))
	second.Stop()
	r.again()
	r.none(sub)
}
