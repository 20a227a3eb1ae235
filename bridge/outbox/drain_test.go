package outbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// TestLostTryIsSentAgainBeforeItIsOverdue: what is tried while a link comes back
// may be lost, or its answer. The events behind it do not wait until that is
// sure.
func TestLostTryIsSentAgainBeforeItIsOverdue(t *testing.T) {
	for _, c := range []struct {
		name    string
		size    int
		changed bool // the link is this stamp's own
	}{{"far away", 1 << 10, false}, {"a link of its own", 100 << 10, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStopped(t)
			s.limit = time.Hour
			s.start()
			want := []string{string(event("1", "one", strings.Repeat("k", c.size))), string(event("2", "one", "k"))}
			s.publish([]byte(want[0])) // nobody is there
			s.publish([]byte(want[1]))
			require.Eventually(t, func() bool {
				lanes := s.out.Lanes()
				return len(lanes) == 1 && lanes[0].Held == 2
			}, 10*time.Second, time.Millisecond)
			tried := make(chan struct{}, 100)
			lost, err := s.fed.Conn().Subscribe(bridge.EventsFor("b"), func(*nats.Msg) { tried <- struct{}{} })
			require.NoError(t, err)
			<-tried
			require.NoError(t, lost.Unsubscribe())
			b := s.receiver("b")
			if c.changed {
				s.out.LinksChanged()
			}
			require.Equal(t, want, s.bodies(b, 2))
			s.settled()
		})
	}
}
