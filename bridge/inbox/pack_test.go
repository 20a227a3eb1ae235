package inbox_test

import (
	"bytes"
	"fmt"
	"strings"
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

// elsewhere is a subject of other planes.
const elsewhere = "sh.keptn.event.u.triggered"

// eventOf is event; an id that begins with u is of elsewhere.
func eventOf(id string) (on string, body []byte) {
	if strings.HasPrefix(id, "u") {
		return elsewhere, bytes.ReplaceAll(event(id), []byte(subject), []byte(elsewhere))
	}
	return subject, event(id)
}

// packOf makes a pack as stamp from would.
func packOf(from topology.StampID, ids ...string) *nats.Msg {
	copies := make([]*bridge.Copy, len(ids))
	for i, id := range ids {
		on, body := eventOf(id)
		copies[i] = &bridge.Copy{
			Key: bridge.KeyOf(id, on, on), Subject: on, Hop: uint64(i), Captured: time.Now(), Mode: bridge.ModeWait, Body: body, //nolint:gosec // small
		}
	}
	return &nats.Msg{Subject: bridge.PackSubject("b", from, copies), Data: bridge.AppendPack(nil, copies)}
}

// sendPack stores a pack as stamp from would, and returns the stream's error.
func (r *receiver) sendPack(from topology.StampID, ids ...string) error {
	r.t.Helper()
	return r.put(packOf(from, ids...))
}

func (r *receiver) put(m *nats.Msg) error {
	r.t.Helper()
	js, err := jetstream.New(r.fed)
	require.NoError(r.t, err)
	_, err = js.PublishMsg(r.t.Context(), m)
	return err
}

func (r *receiver) subscribeTo(subject string) *nats.Subscription {
	r.t.Helper()
	app := r.srv.Connect("app")
	sub, err := app.QueueSubscribeSync(subject, "other-service")
	require.NoError(r.t, err)
	require.NoError(r.t, app.Flush())
	return sub
}

// gets asks that these events are the next ones, in this order.
func gets(t *testing.T, sub *nats.Subscription, ids ...string) {
	t.Helper()
	for _, id := range ids {
		_, body := eventOf(id)
		require.Equal(t, string(body), next(t, sub))
	}
}

// noted returns when what was delivered by now is noted.
func (r *receiver) noted() {
	r.t.Helper()
	done := make(chan struct{})
	r.in.AfterCommit(func() { close(done) })
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		require.Fail(r.t, "nothing is noted")
	}
}

func (r *receiver) waitFor(n int) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		sum := 0
		for _, w := range r.in.Waiting() {
			sum += w.Count
		}
		return sum == n
	}, 5*time.Second, time.Millisecond)
}

func TestPackIsDeliveredInOrder(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	var ids []string
	for i := range bridge.MaxPack {
		ids = append(ids, fmt.Sprint(i))
	}
	require.NoError(t, r.sendPack("a", ids...))
	gets(t, sub, ids...)
	require.ErrorContains(t, r.sendPack("a", ids...), "maximum messages per subject")
	r.none(sub)
}

// TestRestartInTheMiddleOfAPack: some of its events were delivered, and the others
// wait, now and after another start.
func TestRestartInTheMiddleOfAPack(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	require.NoError(t, r.sendPack("a", "u1", "1", "2", "u2", "3", "u3"))
	require.NoError(t, r.sendPack("a", "4", "u4"))
	gets(t, sub, "1", "2", "3", "4")
	for range 3 {
		r.waitFor(4)
		r.none(sub)
		r.stop()
		r.start()
	}
	r.waitFor(4)
	other := r.subscribeTo(elsewhere)
	gets(t, other, "u1", "u2", "u3", "u4")
	r.waitFor(0)
	r.none(sub)
	require.NoError(t, r.sendPack("a", "5", "u5"))
	gets(t, sub, "5")
	gets(t, other, "u5")
	r.stop()
	r.start()
	require.NoError(t, r.sendPack("a", "6", "u6"))
	gets(t, sub, "6")
	gets(t, other, "u6")
}

// A letterbox is the inbox of stamp a, which takes answers of b and c.
func newLetterbox(t *testing.T) (*receiver, *nats.Subscription) {
	t.Helper()
	rt := router(t, "a")
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.edit = func(c *inbox.Config) { c.Me, c.Router = "a", func() *bridge.Router { return rt } }
	r.fed = r.srv.Connect("fed")
	r.start()
	return r, r.subscribeTo(answer)
}

// A sending is a message to stamp a: a pack, or an event that travels alone.
type sending struct {
	from topology.StampID
	ids  string // one character an event
}

func (s sending) message() *nats.Msg {
	copies := make([]*bridge.Copy, len(s.ids))
	for i, id := range strings.Split(s.ids, "") {
		copies[i] = &bridge.Copy{
			Key: bridge.KeyOf(id, answer, answer), Subject: answer, Captured: time.Now(), Mode: bridge.ModeWait,
			Body: fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"s","type":"`+answer+`","triggeredid":"1",`+
				`"data":{"project":"p","stage":"one","service":"c"},"shkeptncontext":"k"}`, id),
		}
	}
	if len(copies) > 1 {
		return &nats.Msg{Subject: bridge.PackSubject("a", s.from, copies), Data: bridge.AppendPack(nil, copies)}
	}
	return &nats.Msg{Subject: bridge.EventSubject("a", s.from, copies[0].Key), Data: copies[0].Body, Header: nats.Header{
		bridge.HeaderSubject: {answer}, bridge.HeaderOrigin: {string(s.from)}, bridge.HeaderMode: {bridge.ModeWait},
	}}
}

// TestEventOfSeveralMessages is delivered once, in whatever messages it comes and
// whenever the inbox is started anew.
func TestEventOfSeveralMessages(t *testing.T) {
	for name, c := range map[string]struct {
		sent []sending
		want string
	}{
		"packs with other neighbours":   {[]sending{{"b", "12"}, {"b", "013"}, {"b", "321"}}, "1203"},
		"pack, then alone":              {[]sending{{"b", "12"}, {"b", "2"}, {"b", "1"}}, "12"},
		"alone, then pack":              {[]sending{{"b", "1"}, {"b", "12"}, {"b", "21"}}, "12"},
		"twice in a pack":               {[]sending{{"b", "1212"}, {"b", "232"}}, "123"},
		"another stamp, alone":          {[]sending{{"b", "1"}, {"c", "1"}, {"c", "2"}, {"b", "2"}}, "12"},
		"another stamp, pack, alone":    {[]sending{{"b", "12"}, {"c", "1"}, {"c", "2"}}, "12"},
		"another stamp, alone, pack":    {[]sending{{"b", "2"}, {"c", "12"}, {"b", "12"}}, "21"},
		"another stamp, packs":          {[]sending{{"b", "12"}, {"c", "12"}, {"c", "21"}}, "12"},
		"pack, alone and another stamp": {[]sending{{"b", "12"}, {"b", "1"}, {"c", "1"}, {"b", "21"}, {"b", "11"}}, "12"},
	} {
		for when, starts := range map[string]func(i int) bool{
			"in one run":            func(int) bool { return false },
			"a run each":            func(int) bool { return true },
			"all before a start":    nil,
			"a run after the first": func(i int) bool { return i == 1 },
		} {
			t.Run(name+"/"+when, func(t *testing.T) {
				t.Parallel()
				r, sub := newLetterbox(t)
				if starts == nil {
					r.stop()
				}
				for i, m := range c.sent {
					if starts != nil && starts(i) {
						r.noted()
						r.stop()
						r.start()
					}
					require.NoError(t, r.put(m.message()))
				}
				if starts == nil {
					r.start()
				}
				require.NoError(t, r.put(sending{"b", "Z"}.message()))
				for _, id := range strings.Split(c.want+"Z", "") {
					require.Equal(t, id, natstest.IDOf([]byte(next(t, sub))))
				}
				require.Empty(t, r.dead)
			})
		}
	}
}
