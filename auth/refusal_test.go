package auth_test

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/topology"
)

func sentinel(w *world, f *auth.Folder) func(*options) {
	return func(o *options) { o.DefaultSentinel = w.sentinel(f) }
}

// impatient shortens what a refusal in process takes: client and server both
// write to a pipe that holds nothing, until one gives up.
func impatient(o *options) { o.WriteDeadline = 50 * time.Millisecond }

func TestClientWithoutCredentialsMayUseWhatItNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("x")
	h := start(t, f, sentinel(w, f))
	for name, tc := range map[string]struct {
		subject string
		sub     bool
		want    bool
	}{
		"publish a Keptn event":      {event, false, true},
		"subscribe to Keptn events":  {"sh.keptn.>", true, true},
		"subscribe to an inbox":      {"_INBOX.a.b", true, true},
		"publish on a custom route":  {"metrics.cpu", false, true},
		"publish something else":     {"other", false, false},
		"subscribe to everything":    {">", true, false},
		"publish between stamps":     {"rw.v1.ev.hub.x.k", false, false},
		"subscribe between stamps":   {"rw.v1.>", true, false},
		"read what was captured":     {"cap.sh.keptn.>", true, false},
		"ask the system":             {"$SYS.REQ.USER.INFO", false, false},
		"ask JetStream":              {"$JS.API.STREAM.CREATE.keptn", false, false},
		"subscribe to the system":    {"$SYS.>", true, false},
		"subscribe to JetStream API": {"$JS.API.>", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt, no := refusals()
			nc := h.connect(nil, opt)
			if tc.sub {
				_, err := nc.SubscribeSync(tc.subject)
				require.NoError(t, err)
			} else {
				require.NoError(t, nc.Publish(tc.subject, nil))
			}
			require.NoError(t, nc.Flush())
			if !tc.want {
				refused(t, no, tc.subject)
				return
			}
			require.Empty(t, no)
		})
	}
}

// What shipyard-controller does at its start and for every event, with the
// part of the client library that it uses.
func TestShipyardControllerCanUseItsStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("hub")
	h := start(t, f, sentinel(w, f), jetStream(t))
	opt, no := refusals()
	nc := h.connect(nil, opt)
	js, err := nc.JetStream()
	require.NoError(t, err)
	_, err = js.StreamInfo("keptn")
	require.ErrorIs(t, err, nats.ErrStreamNotFound)
	c := &nats.StreamConfig{Name: "keptn", Subjects: []string{"sh.keptn.>"}}
	_, err = js.AddStream(c)
	require.NoError(t, err)
	_, err = js.UpdateStream(c)
	require.NoError(t, err)
	sub, err := js.PullSubscribe("sh.keptn.>", "shipyard-controller:all-events", nats.ManualAck())
	require.NoError(t, err)
	publish(t, nc, "{}")
	msgs, err := sub.Fetch(10, nats.MaxWait(10*time.Second))
	require.NoError(t, err)
	require.Len(t, msgs, 1)
	require.NoError(t, msgs[0].AckSync())
	require.Empty(t, no)

	require.NoError(t, nc.Publish("$JS.API.STREAM.DELETE.keptn", nil))
	refused(t, no, "$JS.API.STREAM.DELETE.keptn")
	require.NoError(t, nc.Publish("$JS.API.STREAM.CREATE.other", nil))
	refused(t, no, "$JS.API.STREAM.CREATE.other")
}

func TestClientFromElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("x")
	v := *w.view("x")
	me := *v.Me
	me.Clients.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	v.Me = &me
	token, err := f.Sentinel(&v)
	require.NoError(t, err)
	h := start(t, f, func(o *options) { o.DefaultSentinel = token })
	h.turnsAway(h.ClientURL(), nil)
}

func TestSentinelIsForPlainNATSOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("x")
	h := start(t, f, sentinel(w, f), func(o *options) {
		o.Websocket = server.WebsocketOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoTLS: true}
		o.LeafNode = server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT}
	}, impatient)
	h.turnsAway(h.WebsocketURL(), nil)
	h.turnsAway("", nil, nats.InProcessServer(h.Server))
	_, err := h.dial(h.WebsocketURL(), w.root(w.keys("x").App))
	require.NoError(t, err, "the WebSocket is in order")

	z, err := h.Varz(nil)
	require.NoError(t, err)
	stranger := run(t, &options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true,
		LeafNode: server.LeafNodeOpts{Remotes: []*server.RemoteLeafOpts{{URLs: []*url.URL{leafURL(z.LeafNode.Port)}}}},
	})
	stranger.logged("Authorization Violation")
	require.Zero(t, h.NumLeafNodes(), "anonymous leafnode")
}

func leafURL(port int) *url.URL {
	return &url.URL{Scheme: "nats-leaf", Host: fmt.Sprintf("127.0.0.1:%d", port)}
}

// logged waits until the server has logged text.
func (h *host) logged(text string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return strings.Contains(strings.Join(h.log.all(), "\n"), text) }, 10*time.Second, time.Millisecond)
}

func TestCredentialsOfAStampAreForTheirOwnUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("x")
	h := start(t, f, sentinel(w, f), func(o *options) {
		o.Websocket = server.WebsocketOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoTLS: true}
	}, impatient)
	local := map[string][]byte{"link": f.LeafCreds}
	for _, u := range []auth.LocalUser{auth.UserFed, auth.UserRelay, auth.UserDeliver} {
		creds, err := f.LocalCreds(u, time.Now())
		require.NoError(t, err)
		local[string(u)] = creds
	}
	for name, creds := range local {
		h.turnsAway(h.ClientURL(), creds)
		h.turnsAway(h.WebsocketURL(), creds)
		if name == "link" {
			h.turnsAway("", creds, nats.InProcessServer(h.Server))
		} else {
			h.inside(creds)
		}
	}
}

func TestBridgeMayDoItsWorkAndNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("x")
	h := start(t, f)
	for _, tc := range []struct {
		user    auth.LocalUser
		pub     bool
		subject string
		want    bool
	}{
		{auth.UserFed, true, "rw.v1.ev.hub.x.k", true},
		{auth.UserFed, true, "rw.v1.ev.hub.z.k", false},
		{auth.UserFed, false, "rw.v1.ack.x.>", true},
		{auth.UserFed, false, "rw.v1.ev.z.>", false},
		{auth.UserFed, false, "rw.v1.>", false},
		{auth.UserFed, true, "$SYS.REQ.SERVER.PING", false},
		{auth.UserRelay, true, "dlq.out.invalid", true},
		{auth.UserRelay, true, event, false},
		{auth.UserRelay, false, "cap.metrics.>", true},
		{auth.UserRelay, false, ">", false},
		{auth.UserDeliver, true, event, true},
		{auth.UserDeliver, true, "$JS.API.STREAM.DELETE.keptn", false},
		{auth.UserDeliver, true, "_INBOX.a", false},
		{auth.UserDeliver, false, event, false},
	} {
		creds, err := f.LocalCreds(tc.user, time.Now())
		require.NoError(t, err)
		opt, no := refusals()
		nc := h.inside(creds, opt)
		if tc.pub {
			require.NoError(t, nc.Publish(tc.subject, nil))
		} else {
			_, err := nc.SubscribeSync(tc.subject)
			require.NoError(t, err)
		}
		require.NoError(t, nc.Flush())
		if tc.want {
			require.Empty(t, no, "%s %s", tc.user, tc.subject)
		} else {
			refused(t, no, tc.subject)
		}
	}
}

func TestSentinelIsOfItsStamp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("x")
	_, err := f.Sentinel(w.view("z"))
	require.ErrorContains(t, err, "identity is of stamp x, not z")
	v := *w.view("x")
	v.Me = &topology.Stamp{ID: "x"}
	_, err = f.Sentinel(&v)
	require.ErrorContains(t, err, "names no sources")
}
