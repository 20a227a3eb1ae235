package chaos_test

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
)

// A trade uses a custom route: one stamp publishes, another listens.
type trade struct {
	from, to string
	subject  string
	out, in  *client
}

// goods is the route that is always there.
func (s *site) goods() *trade {
	g := &trade{from: "d1", to: "p1", subject: "goods.new"}
	g.out = connect(s.t, s.url(g.from), g.from, "seller", s.j)
	g.in = connect(s.t, s.url(g.to), g.to, "buyer", s.j)
	_, err := g.in.nc.Subscribe(g.subject, func(m *nats.Msg) {
		s.j.saw(g.to, "buyer", bridge.KeyOf(string(m.Data), "", m.Subject))
	})
	s.must(err)
	s.must(g.in.nc.Flush())
	return g
}

func (g *trade) load(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		id := fmt.Sprint("good-", i)
		e := &event{stamp: g.from, by: "seller", at: time.Now(), body: []byte(id), key: bridge.KeyOf(id, "", g.subject)}
		e.ID, e.Type, e.Context = id, g.subject, g.subject
		g.out.j.add(e)
		g.out.send(nats.Header{nats.MsgIdHdr: {id}}, g.subject, e.body)
	}
}

func (g *trade) close() {
	g.out.nc.Close()
	g.in.nc.Close()
}
