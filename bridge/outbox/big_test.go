package outbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/outbox"
)

// TestEventThatIsTooBigStopsNobody: it is as big as a client may publish, and
// too big with what has to be sent along.
func TestEventThatIsTooBigStopsNobody(t *testing.T) {
	s := newSender(t)
	b, c := s.receiver("b"), s.receiver("c")
	big := event("big", "both", "k")
	big = append(big[:len(big)-1], `,"x":"`+strings.Repeat("x", int(s.app.MaxPayload())-len(big)-8)+`"}`...)
	s.publish(big)
	s.publish(event("1", "both", "k"))
	require.Equal(t, []string{string(event("1", "both", "k"))}, s.bodies(b, 1))
	require.Equal(t, []string{string(event("1", "both", "k"))}, s.bodies(c, 1))
	select {
	case l := <-s.dead:
		require.Equal(t, bridge.ReasonInvalid, l.Reason)
	case <-time.After(5 * time.Second):
		require.Fail(t, "it is nowhere")
	}
}

// TestHeldEventsOfTodayHideNoAnswer: a stamp is away. What is held for it since
// the start was read, so it is known what planes have answered.
func TestHeldEventsOfTodayHideNoAnswer(t *testing.T) {
	s := newSender(t)
	require.Eventually(t, func() bool { return s.out.Unanswered("1") }, 5*time.Second, time.Millisecond)
	s.publish(event("1", "both", "k"))
	held := func() (n int64) {
		for _, l := range s.out.Lanes() {
			n += l.Held
		}
		return n
	}
	require.Eventually(t, func() bool { return held() == 2 }, 5*time.Second, time.Millisecond)
	require.True(t, s.out.Unanswered("1"))

	s.stop()
	s.start()
	require.Never(t, func() bool { return s.out.Unanswered("1") }, 200*time.Millisecond, 10*time.Millisecond, "an answer may be held")
	b, c := s.receiver("b"), s.receiver("c")
	s.bodies(b, 1)
	s.bodies(c, 1)
	require.Eventually(t, func() bool { return s.out.Unanswered("1") }, 5*time.Second, time.Millisecond)
}

// TestNoAnswerReadsFirst: an answer that is captured and not read yet counts,
// and what was captured before the start is known to be read.
func TestNoAnswerReadsFirst(t *testing.T) {
	s := newSender(t)
	require.Eventually(t, func() bool { return s.out.NoAnswer(t.Context(), "1") }, 5*time.Second, time.Millisecond)
	for i := range 200 {
		s.publish(event(fmt.Sprint("e", i), "both", "k"))
	}
	body := strings.Replace(string(event("a1", "both", "k")), "t.triggered", "t.started", 1)
	require.NoError(t, s.app.Publish("sh.keptn.event.t.started", []byte(strings.Replace(body, "{", `{"triggeredid":"1",`, 1))))
	require.NoError(t, s.app.Flush())
	require.Eventually(t, func() bool { // the server confirms first, and then stores
		out, err := s.js.Stream(t.Context(), outbox.StreamOut)
		return err == nil && out.CachedInfo().State.LastSeq == 201
	}, 5*time.Second, time.Millisecond)
	require.False(t, s.out.NoAnswer(t.Context(), "1"))
	require.True(t, s.out.NoAnswer(t.Context(), "2"))
	s.stop()
	s.start()
	require.Eventually(t, func() bool { return !s.out.NoAnswer(t.Context(), "1") }, 5*time.Second, time.Millisecond)
}
