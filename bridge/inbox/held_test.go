package inbox_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// A barrier holds every answer until it is opened.
type barrier struct {
	wake chan struct{}

	mu       sync.Mutex // guards the following fields
	open     bool
	held     []uint64 // each time an answer is held
	released []uint64
}

func (b *barrier) Admit(_ context.Context, _, _ topology.StampID, _ *bridge.Event, seq uint64) (bridge.Verdict, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		return bridge.Verdict{}, nil
	}
	b.held = append(b.held, seq)
	return bridge.Verdict{Do: bridge.Hold}, nil
}
func (*barrier) Commit(context.Context) error { return nil }
func (b *barrier) Wake() <-chan struct{}      { return b.wake }
func (b *barrier) Take() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.released
	b.released = nil
	return out
}

func (b *barrier) n() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held)
}

func (b *barrier) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.released = true, b.held
	b.wake <- struct{}{}
}

const answer = "sh.keptn.event.t.finished"

func (r *receiver) answer(id string) {
	r.t.Helper()
	m := nats.NewMsg(bridge.EventSubject("a", "b", bridge.KeyOf(id, answer, answer)))
	m.Data = fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"s","type":"`+answer+`","triggeredid":"1",`+
		`"data":{"project":"p","stage":"one","service":"c"},"shkeptncontext":"k"}`, id)
	m.Header = nats.Header{bridge.HeaderSubject: {answer}, bridge.HeaderOrigin: {"b"}, bridge.HeaderMode: {bridge.ModeWait}}
	_, err := r.fed.RequestMsg(m, time.Second)
	require.NoError(r.t, err)
}

// TestHeldAnswerIsGivenOnce: it was held by a run that has ended as well, and
// the gate lets go of it as often as it was held.
func TestHeldAnswerIsGivenOnce(t *testing.T) {
	gate := &barrier{wake: make(chan struct{}, 1)}
	rt := router(t, "a")
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.edit = func(c *inbox.Config) {
		c.Me, c.Router, c.Gate = "a", func() *bridge.Router { return rt }, gate
	}
	r.fed = r.srv.Connect("fed")
	r.start()
	sub, err := r.srv.Connect("app").SubscribeSync(answer)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.srv.Interest(answer) }, 5*time.Second, time.Millisecond)
	r.answer("x")
	require.Eventually(t, func() bool { return gate.n() == 1 }, 5*time.Second, time.Millisecond)
	r.stop()
	r.again()
	require.Eventually(t, func() bool { return gate.n() == 2 }, 5*time.Second, time.Millisecond)
	gate.release()
	require.Contains(t, next(t, sub), `"id":"x"`)
	r.answer("y")
	require.Contains(t, next(t, sub), `"id":"y"`, "x is given once")
}

// TestDoubtSurvivesARestart: a plane took a task and ended, and no other has
// come when the gateway is started anew.
func TestDoubtSurvivesARestart(t *testing.T) {
	r := newReceiver(t)
	answered := r.worker(nil) // so it is known that planes of this subject answer
	require.NoError(t, r.send("a", "1"))
	require.Eventually(t, func() bool { return len(answered.done()) == 1 }, 5*time.Second, time.Millisecond)
	answered.nc.Close()
	mute := r.subscribe()
	require.NoError(t, r.send("a", "2"))
	require.Equal(t, string(event("2")), next(t, mute))
	requireUnsubscribed(t, r, mute)
	for range 2 {
		require.Eventually(t, func() bool { return len(r.in.Waiting()) == 1 }, 5*time.Second, time.Millisecond, "it is in doubt")
		r.stop()
		r.start()
	}
	again := r.worker(nil)
	require.Eventually(t, func() bool { return len(again.done()) == 1 }, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"2"}, again.done())
}

// TestDoubtGoesFirst: while nobody subscribed, an event that is in doubt held up
// nobody. When a plane is back, later events of its context come behind it.
func TestDoubtGoesFirst(t *testing.T) {
	r := newReceiver(t)
	answered := r.worker(nil) // so it is known that planes of this subject answer
	require.NoError(t, r.send("a", "1"))
	require.Eventually(t, func() bool { return len(answered.done()) == 1 }, 5*time.Second, time.Millisecond)
	answered.nc.Close()
	require.Eventually(t, func() bool { return !r.srv.Interest(subject) }, 5*time.Second, time.Millisecond)
	mute := r.subscribe()
	require.NoError(t, r.send("a", "2"))
	require.Equal(t, string(event("2")), next(t, mute))
	requireUnsubscribed(t, r, mute)
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 1 }, 5*time.Second, time.Millisecond, "it is in doubt")
	for _, id := range []string{"3", "4"} {
		require.NoError(t, r.send("a", id))
	}
	require.Eventually(t, func() bool {
		n := 0
		for _, w := range r.in.Waiting() {
			n += w.Count
		}
		return n == 3
	}, 5*time.Second, time.Millisecond)
	again := r.worker(nil)
	require.Eventually(t, func() bool { return len(again.done()) == 3 }, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"2", "3", "4"}, again.done())
}

// TestDoubtHoldsUpNobodyForEver: the plane does not come back. Other planes get
// the events of the same context, and the task is set aside in the end.
func TestDoubtHoldsUpNobodyForEver(t *testing.T) {
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100), wait: 2 * time.Second}
	r.fed = r.srv.Connect("fed")
	r.start()
	answered := r.worker(nil)
	require.NoError(t, r.send("a", "1"))
	require.Eventually(t, func() bool { return len(answered.done()) == 1 }, 5*time.Second, time.Millisecond)
	answered.nc.Close()
	mute := r.subscribe()
	require.NoError(t, r.send("a", "2"))
	require.Equal(t, string(event("2")), next(t, mute))
	requireUnsubscribed(t, r, mute)
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 1 }, 5*time.Second, time.Millisecond, "it is in doubt")

	const other = "sh.keptn.event.u.triggered"
	sub, err := r.srv.Connect("app").SubscribeSync(other)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.srv.Interest(other) }, 5*time.Second, time.Millisecond)
	m := nats.NewMsg(bridge.EventSubject("b", "a", bridge.KeyOf("other", other, other)))
	m.Data = bytes.ReplaceAll(event("other"), []byte(subject), []byte(other))
	m.Header = nats.Header{bridge.HeaderSubject: {other}, bridge.HeaderOrigin: {"a"}, bridge.HeaderMode: {bridge.ModeWait}}
	require.NoError(t, r.fed.PublishMsg(m))
	got, err := sub.NextMsg(time.Second)
	require.NoError(t, err)
	require.Equal(t, string(m.Data), string(got.Data))

	select {
	case l := <-r.dead:
		require.Equal(t, bridge.ReasonExpired, l.Reason)
	case <-time.After(5 * time.Second):
		require.Fail(t, "the task waits for ever")
	}
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 0 }, 5*time.Second, time.Millisecond)
}

// questions returns what is asked of stamp a, which is not there to answer.
func (r *receiver) questions(what string) *nats.Subscription {
	r.t.Helper()
	sub, err := r.fed.SubscribeSync(bridge.CtlSubject("a", "b", what))
	require.NoError(r.t, err)
	require.NoError(r.t, r.fed.Flush())
	return sub
}

// TestDecliningEnds: the origin never hears that there is no plane. The event
// is set aside in the end, or RW_IN could not be cleared any more.
func TestDecliningEnds(t *testing.T) {
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100), wait: time.Second}
	r.fed = r.srv.Connect("fed")
	r.start()
	asked := r.questions(bridge.AskDecline)
	require.NoError(t, r.send("a", "1", bridge.HeaderWithin, "10ms"))
	require.Contains(t, next(t, asked), `"1"`)
	found, err := r.in.WaitingEvents(t.Context(), "1", 5)
	require.NoError(t, err)
	require.Len(t, found, 1, "it can be asked about until then")
	select {
	case l := <-r.dead:
		require.Equal(t, bridge.ReasonNoPlane, l.Reason)
	case <-time.After(5 * time.Second):
		require.Fail(t, "it is declined for ever")
	}
}

// TestDeclineIsRepeated: the plane goes while leave is asked for, and the word
// that the task is declined is lost.
func TestDeclineIsRepeated(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	claims, declines := r.questions(bridge.AskClaim), r.questions(bridge.AskDecline)
	require.NoError(t, r.send("a", "1", bridge.HeaderMode, bridge.ModeClaim, bridge.HeaderWithin, "1m", bridge.HeaderAttempt, "1"))
	m, err := claims.NextMsg(5 * time.Second)
	require.NoError(t, err)
	requireUnsubscribed(t, r, sub)
	require.NoError(t, m.Respond([]byte(`{"yes":true}`)))
	require.Contains(t, next(t, declines), `"1"`)
	require.Contains(t, next(t, declines), `"1"`, "the first one was lost")
}

// TestLetGoTwice: the word that the stamp has let go was lost, so it is asked
// again.
func TestLetGoTwice(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	require.False(t, r.in.LetGo(t.Context(), "1"), "it was never given")
	require.NoError(t, r.send("a", "1"))
	require.Equal(t, string(event("1")), next(t, sub))
	require.Eventually(t, func() bool { return r.in.LetGo(t.Context(), "1") }, 5*time.Second, time.Millisecond)
	require.True(t, r.in.LetGo(t.Context(), "1"))
	r.in.Answered("1") // it did have it
	require.False(t, r.in.LetGo(t.Context(), "1"))
}

// TestLetGoGivesPlanesTheirTime: a task that had to wait in this stamp was given
// a moment ago. Its plane has as long to start as it would have had at once.
func TestLetGoGivesPlanesTheirTime(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	const within = time.Second
	require.NoError(t, r.send("a", "1", bridge.HeaderWithin, within.String()))
	require.Equal(t, string(event("1")), next(t, sub))
	given := time.Now()
	require.Eventually(t, func() bool { return r.in.LetGo(t.Context(), "1") }, 5*time.Second, time.Millisecond)
	require.Greater(t, time.Since(given), within/2)
}

// TestSubjectsAreForgotten: a custom route may have a new subject each time.
func TestSubjectsAreForgotten(t *testing.T) {
	rt := routerWithRoute(t)
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.edit = func(c *inbox.Config) { c.Router = func() *bridge.Router { return rt } }
	r.fed = r.srv.Connect("fed")
	r.start()
	sub, err := r.srv.Connect("app").SubscribeSync("orders.>")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.srv.Interest("orders.0") }, 5*time.Second, time.Millisecond)
	for i := range 20 {
		subject := fmt.Sprintf("orders.%d", i)
		m := nats.NewMsg(bridge.EventSubject("b", "a", bridge.KeyOf(subject, "", subject)))
		m.Data = []byte(subject)
		m.Header = nats.Header{bridge.HeaderSubject: {subject}, bridge.HeaderOrigin: {"a"}, bridge.HeaderMode: {bridge.ModeWait}}
		require.NoError(t, r.fed.PublishMsg(m))
		require.Equal(t, subject, next(t, sub))
	}
	require.Eventually(t, func() bool {
		n, err := r.in.Observed(t.Context())
		return err == nil && n <= 1
	}, 5*time.Second, time.Millisecond)
}

func routerWithRoute(t *testing.T) *bridge.Router {
	t.Helper()
	mesh, err := topology.Parse("test.yaml", []byte(federation+"routes: [{name: o, subject: orders.>, from: {stamps: [a]}, to: {stamps: [b]}}]\n"))
	require.NoError(t, err)
	view, ok := mesh.View("b")
	require.True(t, ok)
	return bridge.NewRouter(view)
}

// TestAnswerBetweenRunsIsTheProof: a plane answers while the inbox does not run,
// as when a leader of its streams has changed. Nobody lets go of the answer
// before it is noted, and the task is not given again.
func TestAnswerBetweenRunsIsTheProof(t *testing.T) {
	r := newReceiver(t)
	answered := r.worker(nil) // so it is known that planes of this subject answer
	require.NoError(t, r.send("a", "1"))
	require.Eventually(t, func() bool { return len(answered.done()) == 1 }, 5*time.Second, time.Millisecond)
	answered.nc.Close()
	require.Eventually(t, func() bool { return !r.srv.Interest(subject) }, 5*time.Second, time.Millisecond)
	sub := r.subscribe()
	require.NoError(t, r.send("a", "x"))
	require.Equal(t, string(event("x")), next(t, sub))
	r.stop()
	let := make(chan struct{})
	r.in.Answered("x")
	r.in.AfterCommit(func() { close(let) })
	select {
	case <-let:
		require.Fail(t, "the answer was let go of before it was noted")
	default:
	}
	r.again()
	select {
	case <-let:
	case <-time.After(5 * time.Second):
		require.Fail(t, "the answer was not let go of")
	}
	r.stop()
	r.start() // another process: it does not doubt what was answered
	require.Never(t, func() bool { _, err := sub.NextMsg(time.Millisecond); return err == nil }, 600*time.Millisecond, 10*time.Millisecond)
	require.Empty(t, r.in.Waiting())
}
