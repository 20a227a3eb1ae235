package inbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
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
stages: [{name: one, ring: dev, stamps: [b]}]
`

func router(t *testing.T, me topology.StampID) *bridge.Router {
	t.Helper()
	spec, err := topology.Load("test.yaml", []byte(federation))
	require.NoError(t, err)
	mesh, err := topology.Compile(spec)
	require.NoError(t, err)
	view, ok := mesh.View(me)
	require.True(t, ok)
	return bridge.NewRouter(view)
}

const subject = "sh.keptn.event.t.triggered"

func event(id string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"s","type":"`+subject+`",`+
		`"data":{"project":"p","stage":"one","service":"c"},"shkeptncontext":"k"}`, id)
}

type letters chan bridge.Letter

func (l letters) Put(_ context.Context, letter bridge.Letter) error {
	l <- letter
	return nil
}

// openGate lets every answer pass.
type openGate struct{}

func (openGate) Admit(context.Context, topology.StampID, topology.StampID, *bridge.Event, uint64) (bridge.Verdict, error) {
	return bridge.Verdict{}, nil
}
func (openGate) Commit(context.Context) error { return nil }
func (openGate) Wake() <-chan struct{}        { return nil }
func (openGate) Take() []uint64               { return nil }

// A receiver is stamp b with its inbox.
type receiver struct {
	t    *testing.T
	srv  *natstest.Stamp
	fed  *nats.Conn
	dead letters
	in   *inbox.Inbox
	max  int
	wait time.Duration
	edit func(*inbox.Config)
	stop func()
	// ended returns where the error of a run that ends by itself comes.
	ended func() <-chan error
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.fed = r.srv.Connect("fed")
	r.start()
	return r
}

func (r *receiver) start() {
	var err error
	rt := router(r.t, "b")
	cfg := inbox.Config{
		Me: "b", Fed: r.srv.Connect("fed"), Relay: r.srv.Connect("relay"), Deliver: r.srv.Connect("deliver"),
		Interest: r.srv.Interest, Router: func() *bridge.Router { return rt }, DeadLetters: r.dead, Gate: openGate{},
		Subscribers: r.subscribers,
		MaxWaiting:  r.max, MaxWait: r.wait, DoubtTime: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
	if r.edit != nil {
		r.edit(&cfg)
	}
	r.in, err = inbox.New(cfg)
	require.NoError(r.t, err)
	part := natstest.Run(r.t, r.in.Run)
	r.stop, r.ended = part.Stop, part.Ended
}

func (r *receiver) subscribers(subject string) []inbox.Subscriber {
	var out []inbox.Subscriber
	for _, s := range r.srv.Subscribers(subject) {
		out = append(out, inbox.Subscriber(s))
	}
	return out
}

// send stores an event as stamp from would, and returns the stream's error.
func (r *receiver) send(from topology.StampID, id string, headers ...string) error {
	r.t.Helper()
	js, err := jetstream.New(r.fed)
	require.NoError(r.t, err)
	m := nats.NewMsg(bridge.EventSubject("b", from, bridge.KeyOf(id, subject, subject)))
	m.Data = event(id)
	m.Header = nats.Header{
		bridge.HeaderSubject: {subject}, bridge.HeaderOrigin: {string(from)}, bridge.HeaderHop: {string(from) + ":1"},
		bridge.HeaderCaptured: {time.Now().UTC().Format(time.RFC3339Nano)}, bridge.HeaderMode: {bridge.ModeWait},
	}
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	_, err = js.PublishMsg(r.t.Context(), m)
	return err
}

func (r *receiver) subscribe() *nats.Subscription {
	r.t.Helper()
	app := r.srv.Connect("app")
	sub, err := app.QueueSubscribeSync(subject, "helm-service")
	require.NoError(r.t, err)
	require.NoError(r.t, app.Flush())
	return sub
}

func next(t *testing.T, sub *nats.Subscription) string {
	t.Helper()
	m, err := sub.NextMsg(5 * time.Second)
	require.NoError(t, err)
	return string(m.Data)
}

// none asks that nothing else is delivered: a later event is the next one.
func (r *receiver) none(sub *nats.Subscription) {
	r.t.Helper()
	mark := fmt.Sprint("mark", time.Now().UnixNano())
	require.NoError(r.t, r.send("a", mark))
	require.Equal(r.t, string(event(mark)), next(r.t, sub))
}

func TestSecondCopyIsRefused(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	require.NoError(t, r.send("a", "1"))
	require.Equal(t, string(event("1")), next(t, sub))
	require.ErrorContains(t, r.send("a", "1"), "maximum messages per subject")
	r.none(sub)
}

func TestEventWaitsForASubscriber(t *testing.T) {
	r := newReceiver(t)
	for i := range 300 {
		require.NoError(t, r.send("a", fmt.Sprint(i)))
	}
	require.Eventually(t, func() bool {
		w := r.in.Waiting()
		return len(w) == 1 && w[0].Count == 300
	}, 5*time.Second, time.Millisecond)
	sub := r.subscribe()
	for i := range 300 {
		require.Equal(t, string(event(fmt.Sprint(i))), next(t, sub))
	}
	r.none(sub)
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 0 }, 5*time.Second, time.Millisecond)
}

func TestRestartNeitherForgetsNorRepeats(t *testing.T) {
	r := newReceiver(t)
	require.NoError(t, r.send("a", "waits"))
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 1 }, 5*time.Second, time.Millisecond)
	r.stop()
	require.NoError(t, r.send("a", "came meanwhile"))
	r.start()
	sub := r.subscribe()
	require.Equal(t, string(event("waits")), next(t, sub))
	require.Equal(t, string(event("came meanwhile")), next(t, sub))
	r.none(sub)
	for range 3 {
		r.stop()
		r.start()
		r.none(sub)
	}
}

func TestSameEventFromAnotherStampIsNotDelivered(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	require.NoError(t, r.send("a", "1"))
	require.Equal(t, string(event("1")), next(t, sub))
	require.NoError(t, r.send("c", "1"))
	r.none(sub)
	r.stop()
	r.start() // what it knows survives
	require.NoError(t, r.send("a", "2"))
	require.Equal(t, string(event("2")), next(t, sub))
	require.NoError(t, r.send("c", "2"))
	r.none(sub)
}

func TestForgedOriginIsSetAside(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	require.NoError(t, r.send("c", "1", bridge.HeaderOrigin, "a"))
	require.Equal(t, bridge.ReasonForged, (<-r.dead).Reason)
	require.NoError(t, r.send("c", "2"))
	require.Equal(t, bridge.ReasonNotOwner, (<-r.dead).Reason, "a task from a stamp that is no control plane")
	require.NoError(t, r.send("nobody", "3"))
	require.Equal(t, bridge.ReasonUnknown, (<-r.dead).Reason)
	r.none(sub)
}

func TestOfferIsDroppedWhenNobodyListens(t *testing.T) {
	r := newReceiver(t)
	require.NoError(t, r.send("a", "1", bridge.HeaderMode, bridge.ModeOffer))
	require.NoError(t, r.send("a", "2"))
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 1 }, 5*time.Second, time.Millisecond)
	sub := r.subscribe()
	require.Equal(t, string(event("2")), next(t, sub))
	r.none(sub)
}

func TestWaitingIsBounded(t *testing.T) {
	r := newReceiver(t)
	r.stop()
	r.max, r.wait = 2, 100*time.Millisecond
	r.start()
	for i := range 3 {
		require.NoError(t, r.send("a", fmt.Sprint(i)))
	}
	require.Equal(t, bridge.ReasonOverflow, (<-r.dead).Reason)
	require.Equal(t, bridge.ReasonExpired, (<-r.dead).Reason)
	require.Equal(t, bridge.ReasonExpired, (<-r.dead).Reason)
}
