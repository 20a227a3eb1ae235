package outbox_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/outbox"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

const federation = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - {name: a, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "127.0.0.1:1", leafnode: "127.0.0.1:2"}}}
  - {name: b, geo: eu, ring: dev}
  - {name: c, geo: eu, ring: dev}
controlPlanes: [{name: k, stamp: a}]
stages:
  - {name: one, ring: dev, stamps: [b]}
  - {name: two, ring: dev, stamps: [c]}
  - {name: both, ring: dev, stamps: [b, c]}
`

func router(t *testing.T, me topology.StampID) *bridge.Router {
	t.Helper()
	return routerOf(t, me, federation)
}

func routerOf(t *testing.T, me topology.StampID, document string) *bridge.Router {
	t.Helper()
	spec, err := topology.Load("test.yaml", []byte(document))
	require.NoError(t, err)
	mesh, err := topology.Compile(spec)
	require.NoError(t, err)
	view, ok := mesh.View(me)
	require.True(t, ok)
	return bridge.NewRouter(view)
}

func event(id, stage, context string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"s","type":"sh.keptn.event.t.triggered",`+
		`"data":{"project":"p","stage":%q,"service":"c"},"shkeptncontext":%q}`, id, stage, context)
}

// letters keeps dead letters in a channel.
type letters chan bridge.Letter

func (l letters) Put(_ context.Context, letter bridge.Letter) error {
	l <- letter
	return nil
}

// noted takes note of every task at once.
type noted struct{}

func (noted) Give(_ context.Context, _ *bridge.Given, stored func()) error {
	stored()
	return nil
}

func (noted) CaughtUp() {}

func (noted) Unreached(context.Context, string, topology.StampID, int) error { return nil }

// A sender is stamp a with its outbox, in one server that also plays the
// other stamps.
type sender struct {
	t    *testing.T
	srv  *natstest.Stamp
	app  *nats.Conn
	js   jetstream.JetStream // of RELAY
	fed  jetstream.JetStream
	dead letters
	box  outbox.DeadLetters // where they go
	out  *outbox.Outbox
	stop func()

	routers func() *bridge.Router // nil: that of federation
	eras    outbox.Eras
	sinks   []bridge.Sink
	order   outbox.Order
	packs   func(topology.StampID) bool
	limit   time.Duration // for an answer; 0: 200 ms
}

func newSender(t *testing.T) *sender {
	t.Helper()
	s := newStopped(t)
	s.start()
	return s
}

// newStopped is a sender whose outbox was not started.
func newStopped(t *testing.T) *sender {
	t.Helper()
	s := &sender{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	s.app, s.box = s.srv.Connect("app"), s.dead
	return s
}

// start runs an outbox on fresh connections, as a new process would.
func (s *sender) start() {
	relay, fed := s.srv.Connect("relay"), s.srv.Connect("fed")
	var err error
	s.js, err = jetstream.New(relay)
	require.NoError(s.t, err)
	s.fed, err = jetstream.New(fed)
	require.NoError(s.t, err)
	if s.routers == nil {
		r := router(s.t, "a")
		s.routers = func() *bridge.Router { return r }
	}
	s.out, err = outbox.New(outbox.Config{
		Me: "a", Relay: relay, Fed: fed, Router: s.routers, Eras: s.eras, State: "RW_STATE",
		DeadLetters: s.box, Tasks: noted{}, Sinks: s.sinks, Order: s.order, Packs: s.packs, AckTimeout: cmp.Or(s.limit, 200*time.Millisecond), Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(s.t, err)
	s.stop = natstest.Run(s.t, s.out.Run).Stop
}

func (s *sender) publish(body []byte) {
	s.t.Helper()
	require.NoError(s.t, s.app.Publish("sh.keptn.event.t.triggered", body))
	require.NoError(s.t, s.app.Flush())
}

// receiver makes the stream of another stamp, which refuses a second copy.
func (s *sender) receiver(stamp topology.StampID) jetstream.Stream {
	s.t.Helper()
	st, err := s.fed.CreateOrUpdateStream(s.t.Context(), streamOf(stamp))
	require.NoError(s.t, err)
	return st
}

func streamOf(stamp topology.StampID) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "IN_" + string(stamp), Subjects: []string{bridge.EventsFor(stamp)},
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
	}
}

// bodies waits until st has n messages and returns them in order.
func (s *sender) bodies(st jetstream.Stream, n int) []string {
	s.t.Helper()
	cons, err := st.OrderedConsumer(s.t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(s.t, err)
	var out []string
	for range n {
		m, err := cons.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			info, ierr := st.Info(s.t.Context())
			require.NoError(s.t, ierr)
			require.NoError(s.t, err, "%d of %d came; the stream has %+v", len(out), n, info.State)
		}
		out = append(out, string(m.Data()))
	}
	return out
}

// settled waits until RW_OUT and RW_HOLD are empty.
func (s *sender) settled() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		for _, name := range []string{outbox.StreamOut, outbox.StreamHold} {
			st, err := s.js.Stream(s.t.Context(), name)
			require.NoError(s.t, err)
			if st.CachedInfo().State.Msgs > 0 {
				return false
			}
		}
		return true
	}, 10*time.Second, 5*time.Millisecond)
}

func TestEventReachesEveryTargetUntouched(t *testing.T) {
	s := newSender(t)
	b, c := s.receiver("b"), s.receiver("c")
	s.publish(event("1", "both", "k"))
	require.Equal(t, []string{string(event("1", "both", "k"))}, s.bodies(b, 1))
	require.Equal(t, []string{string(event("1", "both", "k"))}, s.bodies(c, 1))
	s.settled()
}

func TestAwayTargetHoldsUpNobody(t *testing.T) {
	s := newSender(t)
	c := s.receiver("c")
	const n = 500
	for i := range n {
		s.publish(event(fmt.Sprint("b", i), "one", fmt.Sprint(i%7)))
		s.publish(event(fmt.Sprint("c", i), "two", fmt.Sprint(i%7)))
	}
	require.Len(t, s.bodies(c, n), n)
	var want []string
	for i := range n {
		want = append(want, string(event(fmt.Sprint("b", i), "one", fmt.Sprint(i%7))))
	}
	got := s.bodies(s.receiver("b"), n)
	require.ElementsMatch(t, want, got)
	requireOrderPerContext(t, want, got)
	s.settled()
}

// requireOrderPerContext compares the order of the events of each context.
func requireOrderPerContext(t *testing.T, want, got []string) {
	t.Helper()
	split := func(all []string) map[string][]string {
		out := map[string][]string{}
		for _, b := range all {
			e, err := bridge.Parse("sh.keptn.event.t.triggered", []byte(b))
			require.NoError(t, err)
			out[e.Context] = append(out[e.Context], e.ID)
		}
		return out
	}
	require.Equal(t, split(want), split(got))
}

func TestUnsentEventsSurviveARestart(t *testing.T) {
	s := newSender(t)
	var want []string
	for i := range 20 {
		b := event(fmt.Sprint(i), "one", "k")
		want = append(want, string(b))
		s.publish(b)
	}
	s.stop()
	for i := 20; i < 40; i++ { // captured while no code of ours runs
		b := event(fmt.Sprint(i), "one", "k")
		want = append(want, string(b))
		s.publish(b)
	}
	s.start()
	require.Equal(t, want, s.bodies(s.receiver("b"), 40))
	s.settled()
}

// TestLostAckIsNoSecondEvent: the target stores the event, and its answer never
// arrives. The event is sent again and the target still has it once.
func TestLostAckIsNoSecondEvent(t *testing.T) {
	s := newSender(t)
	config := streamOf("b")
	config.NoAck = true
	b, err := s.fed.CreateStream(t.Context(), config)
	require.NoError(t, err)
	s.publish(event("1", "one", "k"))
	require.Len(t, s.bodies(b, 1), 1)
	require.Eventually(t, func() bool { // the lane has noticed that no answer came
		lanes := s.out.Lanes()
		return len(lanes) == 1 && lanes[0].Holding
	}, 10*time.Second, time.Millisecond)
	s.publish(event("2", "one", "k"))
	config.NoAck = false
	_, err = s.fed.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	s.settled()
	info, err := b.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, info.State.Msgs)
}

func TestRepeatedEventIsStoredOnce(t *testing.T) {
	s := newSender(t)
	b := s.receiver("b")
	for range 5 {
		s.publish(event("1", "one", "k"))
	}
	s.publish(event("2", "one", "k"))
	require.Len(t, s.bodies(b, 2), 2)
	s.settled()
	info, err := b.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, info.State.Msgs)
}

func TestRefusedEventBecomesADeadLetter(t *testing.T) {
	s := newSender(t)
	s.publish([]byte("{}"))
	require.Equal(t, bridge.ReasonInvalid, (<-s.dead).Reason)
	s.publish(event("1", "nowhere", "k"))
	l := <-s.dead
	require.Equal(t, bridge.ReasonNoRule, l.Reason)
	require.NotEmpty(t, l.Detail)
	s.settled()
}

// TestAckOnlyAfterEveryTargetStored: one target has the event, the other is
// away; it is kept here until the other has it too.
func TestAckOnlyAfterEveryTargetStored(t *testing.T) {
	s := newSender(t)
	b := s.receiver("b")
	s.publish(event("1", "both", "k"))
	require.Len(t, s.bodies(b, 1), 1)
	held := func() uint64 {
		var n uint64
		for _, name := range []string{outbox.StreamOut, outbox.StreamHold} {
			st, err := s.js.Stream(t.Context(), name)
			require.NoError(t, err)
			n += st.CachedInfo().State.Msgs
		}
		return n
	}
	require.Positive(t, held())
	s.stop()
	require.Positive(t, held(), "a stop lets go of nothing")
	s.start()
	require.Len(t, s.bodies(s.receiver("c"), 1), 1)
	s.settled()
}

func TestOrderHoldsWithinAContext(t *testing.T) {
	s := newSender(t)
	b := s.receiver("b")
	const n = 2000
	var want []string
	for i := range n {
		body := event(fmt.Sprint(i), "one", fmt.Sprint(i%5))
		want = append(want, string(body))
		require.NoError(t, s.app.Publish("sh.keptn.event.t.triggered", body))
	}
	requireOrderPerContext(t, want, s.bodies(b, n))
	s.settled()
}
