package canary

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reply answers q as a peer does whose clock is ahead by offset: out on the
// way there, held for a while, and back.
func reply(q question, offset, out, held time.Duration) answer {
	got := q.Asked + int64(out+offset)
	return answer{question: q, Got: got, Sent: got + int64(held), Hash: "h", Version: "v"}
}

func TestDelaysAndClockFromFourTimes(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, tc := range map[string]struct{ offset, out, held, back time.Duration }{
		"same clock":   {0, 10 * ms, 0, 10 * ms},
		"slow peer":    {0, 10 * ms, time.Second, 10 * ms},
		"clock ahead":  {time.Hour, 3 * ms, 2 * ms, 3 * ms},
		"clock behind": {-time.Hour, 3 * ms, 2 * ms, 3 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			r := &record{Peer: Peer{Since: now}}
			q := r.ask(now, "x", false)
			now = now.Add(tc.out + tc.held + tc.back)
			require.True(t, r.take(now, reply(q, tc.offset, tc.out, tc.held)))
			require.Equal(t, tc.out+tc.back, r.RTT)
			require.Equal(t, tc.offset, r.Offset)
			require.Equal(t, tc.out, r.Delay)
			require.Equal(t, tc.back, r.Back)
			require.Equal(t, now, r.Last)
			require.Equal(t, "h", r.Hash)
			require.False(t, r.take(now, reply(q, 0, 0, 0)), "an answer counts once")
		})
	}
}

// TestOneWayDelay: the answer that was held up least says how the clocks
// stand, and then a way that is slow in one direction is told from the other.
func TestOneWayDelay(t *testing.T) {
	t.Parallel()
	const ms, ahead = time.Millisecond, time.Minute
	now := time.Now()
	r := &record{}
	go1 := func(out, back time.Duration) {
		q := r.ask(now, "x", false)
		now = now.Add(out + back)
		require.True(t, r.take(now, reply(q, ahead, out, 0)))
	}
	go1(ms, ms)
	go1(200*ms, ms)
	require.Equal(t, ahead, r.Offset)
	require.Equal(t, 200*ms, r.Delay)
	require.Equal(t, ms, r.Back)
}

func TestLossOverTheLastQuestions(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := &record{Peer: Peer{Since: now}}
	for range window {
		r.ask(now, "x", false)
		now = now.Add(time.Second)
	}
	require.Equal(t, window-1, r.expire(now.Add(-time.Second)))
	require.Equal(t, window-1, r.Lost)
	require.Equal(t, "no answer in time", r.Err)
	require.Equal(t, 1, r.refuse("no way"))
	require.Equal(t, window, r.Of)
	require.Equal(t, time.Minute, r.Age(now), "it never got through")
	for range window {
		require.True(t, r.take(now, reply(r.ask(now, "x", false), 0, 0, 0)))
	}
	require.Equal(t, 0, r.Lost)
	require.Equal(t, window, r.Of)
	require.Empty(t, r.Err)
	require.Zero(t, r.Age(now))

	// A store that does not answer there is as bad as no way.
	a := reply(r.ask(now, "x", false), 0, 0, 0)
	a.Err = "no leader"
	require.True(t, r.take(now.Add(time.Second), a))
	require.Equal(t, now, r.Last)
	require.Equal(t, 1, r.Lost)
	require.Equal(t, "no leader", r.Err)
}

func TestQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	r := &record{}
	now := time.Now()
	first := r.ask(now, "x", false)
	for range 2 * maxOpen {
		r.ask(now, "x", false)
	}
	require.Len(t, r.open, maxOpen)
	require.False(t, r.take(now, reply(first, 0, 0, 0)))
}
