package bench_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// TestEventIsStoredTwice counts what is written on the way of an event when
// nothing is wrong: it is stored once where it was published, and once where it
// goes. What only takes note of an event is listed beside it.
func TestEventIsStoredTwice(t *testing.T) {
	w := newWorld(t, newDirect(t), false)
	way := ringwayWay(t, w)
	m := newMaker(t, 1024, &counted)
	way.steady(m, 100*time.Millisecond) // what warmed up is through
	source, target := w.writes(t, from), w.writes(t, to)
	before, there := source(), target()
	const n = 400
	way.steady(m, n*time.Second/rate)
	after, since := source(), target()
	for name, c := range map[string]struct{ got, want uint64 }{
		"RW_OUT of the source":  {after["RW_OUT"] - before["RW_OUT"], n},
		"RW_HOLD of the source": {after["RW_HOLD"] - before["RW_HOLD"], 0},
		"RW_IN of the source":   {after["RW_IN"] - before["RW_IN"], 0},
		"RW_DLQ of the source":  {after["RW_DLQ"] - before["RW_DLQ"], 0},
		"RW_OUT of the target":  {since["RW_OUT"] - there["RW_OUT"], 0},
		"RW_HOLD of the target": {since["RW_HOLD"] - there["RW_HOLD"], 0},
		"RW_IN of the target":   {since["RW_IN"] - there["RW_IN"], n},
		"RW_DLQ of the target":  {since["RW_DLQ"] - there["RW_DLQ"], 0},
	} {
		if name == "RW_IN of the target" { // what follows at once is stored as one message
			require.LessOrEqual(t, c.got, c.want, name)
			continue
		}
		require.Equal(t, c.want, c.got, name)
	}
	for name, after := range after {
		t.Logf("%d events: %d writes to %s of the source", n, after-before[name], name)
	}
	for name, after := range since {
		t.Logf("%d events: %d writes to %s of the target", n, after-there[name], name)
	}
}

// writes returns a function that counts what was ever written to each stream
// of a stamp.
func (w *world) writes(t *testing.T, stamp topology.StampID) func() map[string]uint64 {
	t.Helper()
	var all []jetstream.JetStream
	for _, account := range []string{"RELAY", "FED"} {
		js, err := jetstream.New(w.inside(account, stamp))
		require.NoError(t, err)
		all = append(all, js)
	}
	return func() map[string]uint64 {
		out := map[string]uint64{}
		for _, js := range all {
			streams := js.ListStreams(t.Context())
			for info := range streams.Info() {
				out[info.Config.Name] = info.State.LastSeq
			}
			require.NoError(t, streams.Err())
		}
		return out
	}
}
