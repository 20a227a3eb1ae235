package auth_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
)

const event = "sh.keptn.event.deployment.triggered"

// A flow is a stamp's local server with a client that has no credentials, and
// the bridge's users with the permissions they really have.
type flow struct {
	*host
	f              *auth.Folder
	relay, deliver *nats.Conn
	out            jetstream.Stream
}

func newFlow(t testing.TB, w *world, f *auth.Folder) *flow {
	t.Helper()
	l := &flow{f: f, host: start(t, f, jetStream(t), func(o *options) { o.DefaultSentinel = w.sentinel(f) })}
	l.relay, l.deliver = l.local(auth.UserRelay), l.local(auth.UserDeliver)
	js, err := jetstream.New(l.relay)
	require.NoError(t, err)
	l.out, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.sh.keptn.>"}})
	require.NoError(t, err)
	return l
}

func (l *flow) local(u auth.LocalUser) *nats.Conn {
	l.t.Helper()
	creds, err := l.f.LocalCreds(u, time.Now())
	require.NoError(l.t, err)
	return l.inside(creds)
}

func (l *flow) interest() bool {
	l.t.Helper()
	acc, err := l.LookupAccount(subject(l.t, l.f.Deliver))
	require.NoError(l.t, err)
	return acc.Interest(event) > 0
}

func (l *flow) stored(s jetstream.Stream, want int) {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		info, err := s.Info(l.t.Context())
		return err == nil && info.State.Msgs == uint64(want)
	}, 10*time.Second, time.Millisecond)
}

func publish(t testing.TB, nc *nats.Conn, body string) {
	t.Helper()
	m := &nats.Msg{Subject: event, Data: []byte(body), Header: nats.Header{"K": {"v"}}}
	require.NoError(t, nc.PublishMsg(m))
	require.NoError(t, nc.Flush())
}

// keptn makes the stream that shipyard-controller makes, as its client.
func keptn(t testing.TB, nc *nats.Conn) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "keptn", Subjects: []string{"sh.keptn.>"}})
	require.NoError(t, err)
	return s
}

func TestServerStoresWhatClientsPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := newFlow(t, w, w.folder("hub"))
	client := l.connect(nil)
	publish(t, client, `{"n": 1}`)
	l.stored(l.out, 1)

	own := keptn(t, client)
	publish(t, client, `{"n":  2}`)
	l.stored(l.out, 2)
	l.stored(own, 1)
	m, err := l.out.GetMsg(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, "cap."+event, m.Subject)
	require.Equal(t, `{"n":  2}`, string(m.Data))
	require.Equal(t, "v", m.Header.Get("K"))
}

func TestDeliveryReachesClientsAndIsNotCaptured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := newFlow(t, w, w.folder("hub"))
	one, two := l.connect(nil), l.connect(nil)
	own := keptn(t, one)
	plain, err := one.SubscribeSync("sh.keptn.>")
	require.NoError(t, err)
	member, err := one.QueueSubscribeSync(event, "plane")
	require.NoError(t, err)
	other, err := two.QueueSubscribeSync(event, "plane")
	require.NoError(t, err)
	require.NoError(t, one.Flush())
	require.NoError(t, two.Flush())

	const n = 20
	for i := range n {
		publish(t, l.deliver, fmt.Sprint(i))
	}
	l.stored(own, n)
	require.Eventually(t, func() bool {
		p, _, _ := plain.Pending()
		a, _, _ := member.Pending()
		b, _, _ := other.Pending()
		return p == n && a+b == n
	}, 10*time.Second, time.Millisecond)
	l.stored(l.out, 0)
}

func TestInterestIsThatOfClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := newFlow(t, w, w.folder("x"))
	require.False(t, l.interest(), "our capture is no interest")
	client := l.connect(nil)
	for name, subscribe := range map[string]func() (*nats.Subscription, error){
		"plain": func() (*nats.Subscription, error) { return client.SubscribeSync(event) },
		"wild":  func() (*nats.Subscription, error) { return client.SubscribeSync("sh.keptn.>") },
		"queue": func() (*nats.Subscription, error) { return client.QueueSubscribeSync(event, "q") },
	} {
		s, err := subscribe()
		require.NoError(t, err, name)
		require.NoError(t, client.Flush())
		require.True(t, l.interest(), name)
		require.NoError(t, s.Unsubscribe())
		require.NoError(t, client.Flush())
		require.False(t, l.interest(), name)
	}
}

// The server checks for cycles in the order in which it reads accounts, so one
// start that goes well says little.
func TestImportsAreNoCycleInWhateverOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("x")
	tokens := []string{f.App, f.Relay, f.Deliver}
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for i := range 50 {
		h := start(t, f)
		for _, n := range orders[i%len(orders)] {
			_, err := h.LookupAccount(subject(t, tokens[n]))
			require.NoError(t, err)
		}
		for _, line := range h.log.all() {
			require.NotContains(t, line, "Error adding")
			require.NotContains(t, line, "cycle")
		}
		for _, token := range []string{f.App, f.Relay} {
			z, err := h.Accountz(&server.AccountzOptions{Account: subject(t, token)})
			require.NoError(t, err)
			streams := slices.DeleteFunc(z.Account.Imports, func(i server.ExtImport) bool { return i.Type != jwt.Stream })
			require.Len(t, streams, 1)
			require.False(t, streams[0].Invalid)
		}
		h.Shutdown()
	}
}
