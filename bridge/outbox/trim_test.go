package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/outbox"
)

// inOut returns how many messages RW_OUT has.
func (s *sender) inOut() uint64 {
	s.t.Helper()
	st, err := s.js.Stream(s.t.Context(), outbox.StreamOut)
	require.NoError(s.t, err)
	return st.CachedInfo().State.Msgs
}

// TestQueueOfAnEarlierVersion: RW_OUT was made as a work queue and has events.
// They are sent, and what comes then is, too.
func TestQueueOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	s := newStopped(t)
	js, err := jetstream.New(s.srv.Connect("relay"))
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: outbox.StreamOut, Subjects: []string{bridge.CapturePrefix + "sh.keptn.>"},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
	})
	require.NoError(t, err)
	var want []string
	for i := range 40 {
		want = append(want, string(event(fmt.Sprint(i), "one", "k")))
		if i == 20 {
			s.start()
		}
		s.publish([]byte(want[i]))
	}
	require.Equal(t, want, s.bodies(s.receiver("b"), len(want)))
	s.settled()
	require.NoError(t, s.out.Recapture(t.Context()))
	s.stop()
	s.start() // once more
	s.publish(event("last", "one", "k"))
	s.settled()
}

// TestSettledIsRemovedBehindWhatIsNot: an event that cannot be set aside stays,
// is tried again, and does not keep those after it.
func TestSettledIsRemovedBehindWhatIsNot(t *testing.T) {
	t.Parallel()
	s := newStopped(t)
	box := &stubborn{letters: s.dead}
	box.fails.Store(true)
	s.box = box
	s.start()
	s.publish([]byte("{}"))
	b := s.receiver("b")
	const n = 100
	for i := range n {
		s.publish(event(fmt.Sprint(i), "one", fmt.Sprint(i)))
	}
	require.Len(t, s.bodies(b, n), n)
	require.Eventually(t, func() bool { return s.inOut() == 1 }, 20*time.Second, 20*time.Millisecond)
	s.stop()
	s.start() // and across a restart
	require.EqualValues(t, 1, s.inOut())
	box.fails.Store(false)
	require.Equal(t, bridge.ReasonInvalid, (<-s.dead).Reason)
	s.settled()
	info, err := b.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, n, info.State.Msgs)
}

// A stubborn box keeps no letter for a time.
type stubborn struct {
	letters
	fails atomic.Bool
}

func (b *stubborn) Put(ctx context.Context, l bridge.Letter) error {
	if b.fails.Load() {
		return errors.New("no space left")
	}
	return b.letters.Put(ctx, l)
}
