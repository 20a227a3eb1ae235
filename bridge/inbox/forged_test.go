package inbox_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// A forgery is what stamp c sends under the key of task 1 before stamp a sends that.
type forgery struct {
	sent []*nats.Msg
	dead int
	// valid says that c could be the one who may send it, were the topology another
	// one: what was settled before a start counts then.
	valid bool
}

// under is an event of stamp c with the key of task id.
func under(id, on string, body []byte) *bridge.Copy {
	return &bridge.Copy{Key: bridge.KeyOf(id, subject, subject), Subject: on, Captured: time.Now(), Mode: bridge.ModeWait, Body: body}
}

func alone(origin topology.StampID, c *bridge.Copy) *nats.Msg {
	return &nats.Msg{Subject: bridge.EventSubject("b", "c", c.Key), Data: c.Body, Header: nats.Header{
		bridge.HeaderSubject: {c.Subject}, bridge.HeaderOrigin: {string(origin)}, bridge.HeaderMode: {c.Mode},
	}}
}

func together(copies ...*bridge.Copy) *nats.Msg {
	return &nats.Msg{Subject: bridge.PackSubject("b", "c", copies), Data: bridge.AppendPack(nil, copies)}
}

func forgeries() map[string]forgery {
	own, other := under("1", subject, event("1")), under("1", subject, event("2"))
	none, custom := under("1", subject, []byte("none")), under("1", "orders.new", []byte("o"))
	torn := together(own, under("9", subject, event("9")))
	torn.Data = torn.Data[:len(torn.Data)-1]
	return map[string]forgery{
		"not its own":               {[]*nats.Msg{alone("c", own)}, 1, true},
		"not its own, in a pack":    {[]*nats.Msg{together(under("9", subject, event("9")), own)}, 2, true},
		"another's name":            {[]*nats.Msg{alone("a", own)}, 1, false},
		"another body":              {[]*nats.Msg{alone("c", other)}, 1, false},
		"another body, in a pack":   {[]*nats.Msg{together(none, other)}, 2, false},
		"another body, alone, pack": {[]*nats.Msg{alone("c", other), together(under("9", subject, event("9")), other)}, 3, false},
		"unreadable":                {[]*nats.Msg{alone("c", none)}, 1, false},
		"unreadable pack":           {[]*nats.Msg{torn}, 1, false},
		"none of Keptn's":           {[]*nats.Msg{alone("c", custom)}, 0, false},
		"none of Keptn's, pack":     {[]*nats.Msg{together(custom, custom), alone("c", custom)}, 0, false},
	}
}

// routed is stamp b, which takes tasks of a, and orders of c.
func routed(t *testing.T) *receiver {
	t.Helper()
	mesh, err := topology.Parse("test.yaml", []byte(federation+"routes: [{name: o, subject: orders.>, from: {stamps: [c]}, to: {stamps: [b]}}]\n"))
	require.NoError(t, err)
	view, ok := mesh.View("b")
	require.True(t, ok)
	rt := bridge.NewRouter(view)
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.edit = func(c *inbox.Config) { c.Router = func() *bridge.Router { return rt } }
	r.fed = r.srv.Connect("fed")
	r.start()
	return r
}

// TestForgedKeyKeepsNoEventAway: a stamp that knows the id of another one's event
// sends something under its key first. The event is delivered, and once.
func TestForgedKeyKeepsNoEventAway(t *testing.T) {
	reals := map[string][]string{"alone": {"1"}, "in a pack": {"0", "1"}}
	for name, f := range forgeries() {
		for how, real := range reals {
			for _, when := range []string{"in one run", "restart between", "all before a start"} {
				if f.valid && when == "restart between" {
					continue // memory.genuine says why
				}
				t.Run(name+"/"+how+"/"+when, func(t *testing.T) {
					t.Parallel()
					r := routed(t)
					sub := r.subscribe()
					orders := r.subscribeTo("orders.new")
					r.forged(f, real, when)
					gets(t, sub, real...)
					for again := range 2 {
						require.NoError(t, r.sendPack("a", "1", "x"+string(rune('0'+again))))
						gets(t, sub, "x"+string(rune('0'+again)))
						r.none(sub)
						r.stop()
						r.start()
					}
					for range f.dead {
						letter := <-r.dead
						require.Equal(t, topology.StampID("c"), letter.From)
					}
					require.Empty(t, r.dead)
					if f.dead == 0 {
						require.Equal(t, "o", next(t, orders))
						r.none(sub)
					}
					left, _, err := orders.Pending()
					require.NoError(t, err)
					require.Zero(t, left, "its copies are still told")
				})
			}
		}
	}
}

// forged sends a forgery, and then the events of stamp a.
func (r *receiver) forged(f forgery, real []string, when string) {
	r.t.Helper()
	if when == "all before a start" {
		r.stop()
	}
	for _, m := range f.sent {
		require.NoError(r.t, r.put(m))
	}
	if when != "all before a start" {
		require.Eventually(r.t, func() bool { return len(r.dead) == f.dead }, 5*time.Second, time.Millisecond)
		r.noted()
	}
	if when == "restart between" {
		r.stop()
		r.start()
	}
	if len(real) == 1 {
		require.NoError(r.t, r.send("a", real[0]))
	} else {
		require.NoError(r.t, r.sendPack("a", real...))
	}
	if when == "all before a start" {
		r.start()
	}
}
