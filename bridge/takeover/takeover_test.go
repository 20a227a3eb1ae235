package takeover_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/takeover"
	"github.com/ringway/ringway/internal/natstest"
)

const (
	subject = "sh.keptn.event.t.triggered"
	soon    = 10 * time.Second
)

func event(id string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"s","type":%q,`+
		`"data":{"project":"p","stage":"one","service":"c"},"shkeptncontext":"k"}`, id, subject)
}

func keyOf(id string) bridge.Key { return bridge.KeyOf(id, subject, subject) }

// A world is an external NATS and the account RELAY of a stamp.
type world struct {
	t       *testing.T
	ext     *natstest.Server
	nc      *nats.Conn // of a client of the external NATS
	js      jetstream.JetStream
	relay   *nats.Conn
	out     jetstream.Stream
	come    chan jetstream.Msg // what is stored in RW_OUT
	ours    map[bridge.Key]bool
	take    *takeover.Takeover
	hears   atomic.Pointer[takeover.Takeover] // the same, for who reads RW_OUT
	stop    func()
	options []nats.Option
}

func newWorld(t *testing.T, edit ...func(*server.Options)) *world {
	t.Helper()
	w := &world{
		t: t, ext: natstest.Start(t, edit...), relay: natstest.StartStamp(t).Connect("relay"),
		come: make(chan jetstream.Msg, 1000), ours: map[bridge.Key]bool{},
	}
	js, err := jetstream.New(w.relay)
	require.NoError(t, err)
	w.out, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{bridge.CapturePrefix + "sh.keptn.>"}})
	require.NoError(t, err)
	c, err := w.out.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	read, err := c.Consume(func(m jetstream.Msg) {
		e, err := bridge.Parse(subject, m.Data())
		require.NoError(t, err)
		w.come <- m
		if take := w.hears.Load(); take != nil {
			take.Heard(e.Key(), time.Now())
		}
	})
	require.NoError(t, err)
	t.Cleanup(read.Stop)
	return w
}

// client makes w a client of the external NATS.
func (w *world) client(opts ...nats.Option) {
	w.t.Helper()
	w.nc = w.ext.Connect(opts...)
	var err error
	w.js, err = jetstream.New(w.nc)
	require.NoError(w.t, err)
}

// stream makes Keptn's stream.
func (w *world) stream() {
	w.t.Helper()
	_, err := w.js.CreateStream(w.t.Context(), jetstream.StreamConfig{Name: "keptn", Subjects: []string{"sh.keptn.>"}})
	require.NoError(w.t, err)
}

// start runs a Takeover, as a new process would.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.take, err = takeover.New(takeover.Config{
		External: w.ext.Connect(append(w.options, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...), Relay: w.relay,
		Delivered: func(_ context.Context, k bridge.Key) (bool, error) { return w.ours[k], nil },
		ReadAll:   func(context.Context) bool { return true },
		Log:       slog.New(slog.DiscardHandler),
	})
	require.NoError(w.t, err)
	w.hears.Store(w.take)
	w.stop = natstest.Run(w.t, func(ctx context.Context, ready func()) error {
		ready() // nobody waits for it
		return w.take.Run(ctx, func() {})
	}).Stop
}

func (w *world) state(is func(takeover.State) bool) takeover.State {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return is(w.take.State()) }, soon, 5*time.Millisecond)
	return w.take.State()
}

func (w *world) following() {
	w.t.Helper()
	w.state(func(s takeover.State) bool { return s.Following })
}

// publish publishes as a client of the external NATS, and returns when the
// stream has it.
func (w *world) publish(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		_, err := w.js.Publish(w.t.Context(), subject, event(id))
		require.NoError(w.t, err)
	}
}

// arrives asks for exactly these, in order, by one more that comes behind them.
func (w *world) arrives(ids ...string) {
	w.t.Helper()
	mark := fmt.Sprint("mark ", time.Now().UnixNano())
	w.publish(mark)
	for _, id := range append(ids, mark) {
		select {
		case m := <-w.come:
			require.Equal(w.t, string(event(id)), string(m.Data()))
			require.NotEmpty(w.t, m.Headers().Get(bridge.HeaderTaken))
		case <-time.After(soon):
			require.Fail(w.t, "does not come", id)
		}
	}
}

func TestTakesOverWhatWasNotCaptured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.client()
	w.stream()
	w.publish("before it was ever followed")
	w.start()
	w.following()
	w.take.Heard(keyOf("captured"), time.Now())
	w.ours[keyOf("delivered")] = true
	w.publish("captured", "1", "delivered", "2")
	_, err := w.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: event("ours"), Header: nats.Header{bridge.HeaderOrigin: {"b"}}})
	require.NoError(t, err)
	w.arrives("1", "2")
	w.stop()
	w.publish("3", "4")
	w.start()
	w.arrives("3", "4")
	require.EqualValues(t, 3, w.state(func(s takeover.State) bool { return s.Taken == 3 }).Taken)
}

// TestOrderOfTheStream: what was captured may go on when what is before it in
// the stream has.
func TestOrderOfTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.client()
	w.stream()
	w.start()
	require.False(t, w.take.May(keyOf("later"), time.Now()), "not asked yet")
	w.following()
	at := time.Now()
	w.publish("earlier", "later")
	w.take.Heard(keyOf("later"), at)
	require.False(t, w.take.May(keyOf("later"), at))
	require.Equal(t, string(event("earlier")), string((<-w.come).Data()))
	require.Eventually(t, func() bool { return w.take.May(keyOf("later"), at) }, soon, time.Millisecond)

	w.take.Heard(keyOf("not in the stream"), at)
	require.Eventually(t, func() bool { return w.take.May(keyOf("not in the stream"), at) }, soon, time.Millisecond)
}

// TestStreamComesAndGoes: it is made after us, purged, and made anew; each time
// it is said, and what is there is taken over.
func TestStreamComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.client()
	w.start()
	w.state(func(s takeover.State) bool { return s.Absent && s.Err != "" })
	require.True(t, w.take.May(keyOf("1"), time.Now()), "nothing is held up where there is no stream")
	w.stream()
	w.following()
	w.arrives()

	w.stop()
	w.publish("purged", "purged too", "1")
	s, err := w.js.Stream(t.Context(), "keptn")
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeKeep(1)))
	w.start()
	w.following()
	require.Contains(t, []uint64{2, 3}, w.take.State().Missed, "the last one before may not have been passed")
	w.arrives("1")

	require.NoError(t, w.js.DeleteStream(t.Context(), "keptn"))
	w.state(func(s takeover.State) bool { return !s.Following })
	w.stream()
	w.publish("2")
	w.following()
	w.arrives("2")

	w.stop()
	require.NoError(t, w.js.DeleteStream(t.Context(), "keptn"))
	w.stream()
	w.publish("3", "4")
	w.start()
	w.arrives("3", "4")
	_, err = w.js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "keptn", Subjects: []string{"sh.keptn.>"}}) // as on each start of shipyard-controller
	require.NoError(t, err)
	w.arrives()
}

// TestStreamThatMayNotBeRead: it is said, and nothing is held up.
func TestStreamThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	t.Run("no JetStream", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(o *server.Options) { o.JetStream = false })
		w.start()
		w.state(func(s takeover.State) bool { return s.Absent && s.Err != "" })
		require.True(t, w.take.May(keyOf("1"), time.Now()))
	})
	t.Run("no more permission than it needs", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(o *server.Options) {
			o.Users = []*server.User{{Username: "all", Password: "all"}, {Username: "us", Password: "us", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{
					"$JS.API.STREAM.INFO.keptn", "$JS.API.CONSUMER.*.keptn.>", "$JS.API.CONSUMER.MSG.NEXT.keptn.>",
				}},
				Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
			}}}
		})
		w.client(nats.UserInfo("all", "all"))
		w.stream()
		w.options = []nats.Option{nats.UserInfo("us", "us")}
		w.start()
		w.following()
		w.publish("1")
		w.take.Heard(keyOf("local"), time.Now())
		require.Eventually(t, func() bool { return w.take.May(keyOf("local"), time.Now()) }, soon, 10*time.Millisecond, "it may ask for the end")
		w.arrives("1")
		w.stop()
		s, err := w.js.Stream(t.Context(), "keptn")
		require.NoError(t, err)
		for name := range s.ConsumerNames(t.Context()).Name() {
			require.Fail(t, "a consumer is left", name)
		}
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(o *server.Options) {
			o.Users = []*server.User{{Username: "all", Password: "all"}, {Username: "us", Password: "us", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$JS.API.>"}},
			}}}
		})
		w.client(nats.UserInfo("all", "all"))
		w.stream()
		w.options = []nats.Option{nats.UserInfo("us", "us")}
		w.start()
		s := w.state(func(s takeover.State) bool { return !s.Absent && s.Err != "not asked yet" })
		require.Contains(t, s.Err, "may not read")
		require.True(t, w.take.May(keyOf("1"), time.Now()))
	})
}

// TestServerThatIsAway: events do not wait for it for long, and when it is back
// it is followed.
func TestServerThatIsAway(t *testing.T) {
	t.Parallel()
	addr := natstest.Addr(t)
	w := &world{t: t, relay: natstest.StartStamp(t).Connect("relay")}
	nc, err := nats.Connect("nats://"+addr, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	w.take, err = takeover.New(takeover.Config{
		External: nc, Relay: w.relay, Log: slog.New(slog.DiscardHandler),
		Delivered: func(context.Context, bridge.Key) (bool, error) { return false, nil }, ReadAll: func(context.Context) bool { return true },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.take.Run(ctx, func() {}) }()
	w.state(func(s takeover.State) bool { return s.Err == "not connected" })
	at := time.Now()
	require.False(t, w.take.May(keyOf("1"), at))
	require.Eventually(t, func() bool { return w.take.May(keyOf("1"), at) }, soon, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}
