package bench_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// TestEventIsStoredTwice counts what is written on the way of an event when
// nothing is wrong: once where it was published, once where it goes.
func TestEventIsStoredTwice(t *testing.T) {
	w := newWorld(t, newDirect(t), false)
	stored := func(account string, stamp string) func() uint64 {
		js, err := jetstream.New(w.inside(account, from))
		if stamp == string(to) {
			js, err = jetstream.New(w.inside(account, to))
		}
		require.NoError(t, err)
		return func() uint64 {
			var n uint64
			for info := range js.ListStreams(t.Context()).Info() {
				if info.Config.Name != "RW_STATE" { // one line a batch, not an event
					n += info.State.LastSeq
				}
			}
			return n
		}
	}
	counts := map[string]func() uint64{
		"source, RELAY": stored("RELAY", string(from)), "source, FED": stored("FED", string(from)),
		"target, RELAY": stored("RELAY", string(to)), "target, FED": stored("FED", string(to)),
	}
	way := ringwayWay(t, w)
	m := newMaker(t, 1024, &counted)
	way.steady(m, 100*time.Millisecond) // what warmed up is through
	before := map[string]uint64{}
	for name, count := range counts {
		before[name] = count()
	}
	const n = 400
	way.steady(m, n*time.Second/rate)
	want := map[string]uint64{"source, RELAY": n, "source, FED": 0, "target, RELAY": 0, "target, FED": n}
	got := map[string]uint64{}
	for name, count := range counts {
		got[name] = count() - before[name]
	}
	require.Equal(t, want, got)
}
