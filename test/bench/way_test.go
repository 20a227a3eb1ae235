package bench_test

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// A way carries events from one stamp to the other: the gateway's own, or one
// it is compared with. One goroutine sends on a way at a time.
type way struct {
	name string
	tb   testing.TB
	pub  *nats.Conn
	subj string
	took atomic.Pointer[func(n uint64, at time.Time)]
}

// listen calls f for every event that arrives until the next listen. f is
// called by one goroutine.
func (w *way) listen(f func(n uint64, at time.Time)) { w.took.Store(&f) }

func (w *way) send(body []byte) { require.NoError(w.tb, w.pub.Publish(w.subj, body)) }

// newWay subscribes to out with sub and sends on in with pub.
func newWay(tb testing.TB, name string, pub *nats.Conn, in string, sub *nats.Conn, out string) *way {
	tb.Helper()
	w := &way{name: name, tb: tb, pub: pub, subj: in}
	w.listen(func(uint64, time.Time) {})
	s, err := sub.Subscribe(out, func(m *nats.Msg) {
		at := time.Now()
		if n, err := numberOf(m.Data); err == nil {
			(*w.took.Load())(n, at)
		}
	})
	require.NoError(tb, err)
	require.NoError(tb, s.SetPendingLimits(-1, -1))
	require.NoError(tb, sub.Flush())
	return w
}

// ringwayWay is the subject: a plain client in one stamp publishes, a plain
// subscriber in the other one gets it. Every event is durable.
func ringwayWay(tb testing.TB, w *world) *way {
	tb.Helper()
	return warm(newWay(tb, "ringway", w.client(from), triggered, w.client(to), triggered))
}

// coreWay is plain NATS through the same servers and links: nothing is stored.
func coreWay(tb testing.TB, w *world) *way {
	tb.Helper()
	subject := fmt.Sprintf("rw.v1.raw.%s.%s.x", to, from) // what a link lets through
	return warm(newWay(tb, "core", w.inside("FED", from), subject, w.inside("FED", to), subject))
}

// sourcing makes a stream in each stamp, the second of which sources from the
// first: what NATS itself offers for durable transport. Both are files on one
// replica, as the gateway's. name tells the pair from others.
func sourcing(tb testing.TB, w *world, name string, again *jetstream.RePublish) jetstream.Stream {
	tb.Helper()
	first, err := jetstream.New(w.inside("FED", from))
	require.NoError(tb, err)
	second, err := jetstream.New(w.inside("FED", to))
	require.NoError(tb, err)
	_, err = first.CreateStream(tb.Context(), jetstream.StreamConfig{
		Name: name + "-first", Subjects: []string{name + ".in.>"}, Storage: jetstream.FileStorage,
	})
	require.NoError(tb, err)
	st, err := second.CreateStream(tb.Context(), jetstream.StreamConfig{
		Name: name + "-second", Storage: jetstream.FileStorage, RePublish: again,
		Sources: []*jetstream.StreamSource{{Name: name + "-first", Domain: string(from)}},
	})
	require.NoError(tb, err)
	return st
}

// sourceWay hands events out as the second stream stores them. Nothing holds
// an event back that nobody subscribes to: the least that is durable.
func sourceWay(tb testing.TB, w *world) *way {
	tb.Helper()
	const name = "sourcing"
	sourcing(tb, w, name, &jetstream.RePublish{Source: name + ".in.>", Destination: name + ".out.>"})
	return warm(newWay(tb, name, w.inside("FED", from), name+".in.x", w.inside("FED", to), name+".out.>"))
}

// dispatchWay reads the second stream by a durable consumer, publishes and
// acknowledges: events wait for whom they are for, as the gateway's do.
func dispatchWay(tb testing.TB, w *world) *way {
	tb.Helper()
	const name = "dispatch"
	_, err := sourcing(tb, w, name, nil).CreateConsumer(tb.Context(), jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 8192,
	})
	require.NoError(tb, err)
	nc := w.inside("FED", to)
	js, err := jetstream.New(nc)
	require.NoError(tb, err)
	c, err := js.Consumer(tb.Context(), name+"-second", name)
	require.NoError(tb, err)
	cc, err := c.Consume(func(m jetstream.Msg) {
		if err := nc.Publish(name+".out.x", m.Data()); err == nil {
			_ = m.Ack()
		}
	}, jetstream.PullMaxMessages(1000))
	require.NoError(tb, err)
	tb.Cleanup(cc.Stop)
	return warm(newWay(tb, name, w.inside("FED", from), name+".in.x", w.inside("FED", to), name+".out.>"))
}

// forwardWay is the least that a program between two streams does: it reads the
// first, publishes to the second what follows at once as one message, compressed, with the
// answer to a subject of its own stamp, and hands out what it reads of that. It looks
// at no event, keeps no order, removes nothing and remembers nothing. Nothing that is
// not in the server itself can take less.
func forwardWay(tb testing.TB, w *world) *way {
	tb.Helper()
	const name = "forward"
	stream := func(stamp topology.StampID, subject string) (*nats.Conn, jetstream.Stream) {
		nc := w.inside("FED", stamp)
		js, err := jetstream.New(nc)
		require.NoError(tb, err)
		s, err := js.CreateStream(tb.Context(), jetstream.StreamConfig{
			Name: name + "-" + string(stamp), Subjects: []string{subject}, Storage: jetstream.FileStorage,
		})
		require.NoError(tb, err)
		return nc, s
	}
	read := func(s jetstream.Stream, take func(m jetstream.Msg)) {
		c, err := s.CreateConsumer(tb.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, MaxDeliver: 1})
		require.NoError(tb, err)
		cc, err := c.Consume(take, jetstream.PullMaxMessages(1000))
		require.NoError(tb, err)
		tb.Cleanup(cc.Stop)
	}
	source, first := stream(from, name+".in.>")
	target, second := stream(to, name+".over.>")
	_, err := source.Subscribe(name+".stored", func(*nats.Msg) {})
	require.NoError(tb, err)
	var pack []byte
	read(first, func(m jetstream.Msg) {
		pack = append(binary.AppendUvarint(pack, uint64(len(m.Data()))), m.Data()...)
		if meta, err := m.Metadata(); err == nil && meta.NumPending > 0 && len(pack)+len(m.Data()) < bridge.MaxPackBytes {
			return
		}
		_ = source.PublishMsg(&nats.Msg{Subject: name + ".over.x", Reply: name + ".stored", Data: s2.Encode(nil, pack)}) // what is lost is missed
		pack = pack[:0]
	})
	read(second, func(m jetstream.Msg) {
		rest, err := s2.Decode(nil, m.Data())
		for err == nil && len(rest) > 0 {
			n, skip := binary.Uvarint(rest)
			end := skip + int(n) //nolint:gosec // as written above
			_ = target.Publish(name+".out.x", rest[skip:end])
			rest = rest[end:]
		}
	})
	return warm(newWay(tb, name, w.inside("FED", from), name+".in.x", w.inside("FED", to), name+".out.>"))
}

// warmUp numbers the events that only open a way: interest has to spread, and
// a source to find its stream.
var warmUp uint64

// warm sends until something arrives. What is still on its way is told by its
// number from what is measured.
func warm(w *way) *way {
	w.tb.Helper()
	m := newMaker(w.tb, 1024, &warmUp)
	var got atomic.Uint64
	w.listen(func(uint64, time.Time) { got.Add(1) })
	require.Eventually(w.tb, func() bool {
		body, _ := m.next()
		w.send(body)
		return got.Load() > 0
	}, 30*time.Second, 20*time.Millisecond, "nothing arrives by %s", w.name)
	return w
}
