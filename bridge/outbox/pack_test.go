package outbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/outbox"
	"github.com/ringway/ringway/topology"
)

func readsPacks(topology.StampID) bool { return true }

// newPacker is a sender to stamps that read packs, which does not run.
func newPacker(t *testing.T, limit time.Duration) *sender {
	t.Helper()
	s := newStopped(t)
	s.packs, s.limit = readsPacks, limit
	s.start() // RW_OUT is there from now on
	s.stop()
	return s
}

// burst captures events from to to-1 for stamp b, of seven contexts in turn.
func (s *sender) burst(from, to int) (want []string) {
	s.t.Helper()
	for i := from; i < to; i++ {
		body := event(fmt.Sprint(i), "one", fmt.Sprint(i%7))
		want = append(want, string(body))
		require.NoError(s.t, s.app.Publish("sh.keptn.event.t.triggered", body))
	}
	require.NoError(s.t, s.app.Flush())
	out, err := s.js.Stream(s.t.Context(), outbox.StreamOut)
	require.NoError(s.t, err)
	require.Eventually(s.t, func() bool { // the server confirms first, and then stores
		info, err := out.Info(s.t.Context())
		return err == nil && info.State.LastSeq >= uint64(to) //nolint:gosec // a count
	}, 10*time.Second, time.Millisecond)
	return want
}

// unpacked returns the bodies of what st has, in order, and how many messages
// there are.
func (s *sender) unpacked(st jetstream.Stream) (bodies []string, messages int) {
	s.t.Helper()
	info, err := st.Info(s.t.Context())
	require.NoError(s.t, err)
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := st.GetMsg(s.t.Context(), seq)
		require.NoError(s.t, err)
		bodies = append(bodies, bodiesOf(s.t, m.Subject, m.Data)...)
	}
	return bodies, int(info.State.LastSeq) //nolint:gosec // a count
}

func bodiesOf(t *testing.T, subject string, data []byte) (bodies []string) {
	t.Helper()
	_, _, rest, ok := bridge.Address(subject)
	require.True(t, ok)
	keys, packed := bridge.PackKeys(rest)
	if !packed {
		return []string{string(data)}
	}
	copies, err := bridge.Unpack(keys, data)
	require.NoError(t, err)
	for _, c := range copies {
		bodies = append(bodies, string(c.Body))
	}
	return bodies
}

// firsts returns what comes for the first time.
func firsts(bodies []string) (out []string) {
	known := map[string]bool{}
	for _, b := range bodies {
		if !known[b] {
			known[b] = true
			out = append(out, b)
		}
	}
	return out
}

// TestBurstTravelsInPacks: to a stamp that reads packs, and to no other.
func TestBurstTravelsInPacks(t *testing.T) {
	for name, c := range map[string]struct {
		packs    func(topology.StampID) bool
		messages int // at most
	}{
		"it reads them": {readsPacks, 100},
		"it does not":   {func(topology.StampID) bool { return false }, 500},
		"nobody does":   {nil, 500},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPacker(t, 0)
			s.packs = c.packs
			b := s.receiver("b")
			want := s.burst(0, 500)
			s.start()
			s.settled()
			got, n := s.unpacked(b)
			require.ElementsMatch(t, want, got)
			requireOrderPerContext(t, want, got)
			require.True(t, n == c.messages || c.messages < 500 && n < c.messages, "%d messages", n)
		})
	}
}

// TestStampThatRefusesPacks gets each event by itself, in order.
func TestStampThatRefusesPacks(t *testing.T) {
	s := newPacker(t, 0)
	config := streamOf("b")
	config.MaxMsgSize = 800
	b, err := s.fed.CreateStream(t.Context(), config)
	require.NoError(t, err)
	want := s.burst(0, 200)
	s.start()
	s.settled()
	got, n := s.unpacked(b)
	require.Len(t, got, n)
	require.ElementsMatch(t, want, got)
	requireOrderPerContext(t, want, got)
}

// TestLostAckOfAPack: its events are stored, and nobody hears of it. The same pack
// is refused then, which is as good.
func TestLostAckOfAPack(t *testing.T) {
	s := newPacker(t, time.Minute)
	config := streamOf("b")
	config.NoAck = true
	b, err := s.fed.CreateStream(t.Context(), config)
	require.NoError(t, err)
	want := s.burst(0, 50)
	s.start()
	var n int
	require.Eventually(t, func() bool {
		var got []string
		got, n = s.unpacked(b)
		return len(got) >= 7 // the first of each context
	}, 10*time.Second, time.Millisecond)
	config.NoAck = false
	_, err = s.fed.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	s.out.LinksChanged()
	s.settled()
	got, _ := s.unpacked(b)
	require.Len(t, got, len(want), "each is stored once")
	requireOrderPerContext(t, want, got)
	require.Less(t, n, len(want)/2)
}

// TestPacksAreMadeAnewAfterARestart: packs were stored and their answers lost. The
// next run packs otherwise; whoever reads them knows each event by its key.
func TestPacksAreMadeAnewAfterARestart(t *testing.T) {
	s := newPacker(t, time.Minute)
	config := streamOf("b")
	config.NoAck = true
	b, err := s.fed.CreateStream(t.Context(), config)
	require.NoError(t, err)
	want := s.burst(0, 40)
	s.start()
	require.Eventually(t, func() bool { got, _ := s.unpacked(b); return len(got) > 0 }, 10*time.Second, time.Millisecond)
	s.stop()
	config.NoAck = false
	_, err = s.fed.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	want = append(want, s.burst(40, 300)...)
	s.start()
	s.settled()
	got, n := s.unpacked(b)
	got = firsts(got)
	require.ElementsMatch(t, want, got)
	requireOrderPerContext(t, want, got)
	require.Less(t, n, len(want)/2)
}

// TestLateAnswerOfAnEarlierRun: one event was sent, the process died, and the next
// one sends it first of a pack. The answer to the first message says nothing of the
// others.
func TestLateAnswerOfAnEarlierRun(t *testing.T) {
	s := newPacker(t, 0)
	s.limit = time.Minute
	target, err := s.srv.Connect("fed").SubscribeSync(bridge.EventsFor("b"))
	require.NoError(t, err)
	require.NoError(t, target.SetPendingLimits(-1, -1))
	next := func() *nats.Msg {
		m, err := target.NextMsg(10 * time.Second)
		require.NoError(t, err)
		return m
	}
	want := s.burst(0, 1)
	s.start()
	one := next()
	require.Equal(t, want, bodiesOf(t, one.Subject, one.Data))
	s.stop()
	want = append(want, s.burst(1, 30)...)
	s.limit = time.Second
	first := func() []string {
		require.NoError(t, s.fed.Conn().Flush())
		for n, _, _ := target.Pending(); n > 0; n-- {
			next() // of the run before
		}
		s.start()
		m := next()
		return bodiesOf(t, m.Subject, m.Data)
	}
	got := first()
	for try := 0; len(got) == 1 && try < 10; try++ { // a busy machine may read the second event too late
		s.stop()
		got = first()
	}
	require.Equal(t, want[:2], got[:2])
	require.NoError(t, one.Respond([]byte(`{"stream":"IN_b","seq":1}`)))
	require.Eventually(t, func() bool { // the pack has no answer, and its events are kept
		lanes := s.out.Lanes()
		return len(lanes) == 1 && lanes[0].Holding && lanes[0].Held == int64(len(want))
	}, 10*time.Second, 5*time.Millisecond)
	b := s.receiver("b")
	s.settled()
	got, _ = s.unpacked(b)
	require.ElementsMatch(t, want, got)
}
