package outbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/outbox"
)

// reconfigure changes a stream of RELAY.
func (s *sender) reconfigure(name string, change func(*jetstream.StreamConfig)) {
	s.t.Helper()
	st, err := s.js.Stream(s.t.Context(), name)
	require.NoError(s.t, err)
	config := st.CachedInfo().Config
	change(&config)
	_, err = s.js.UpdateStream(s.t.Context(), config)
	require.NoError(s.t, err)
}

// TestFailedHoldIsTriedAgain: RW_HOLD refuses events for an absent target, and
// later takes them while its replies are lost. Each event arrives once, in
// order.
func TestFailedHoldIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct{ fail, heal func(*jetstream.StreamConfig) }{
		"not applied": {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 }, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 }},
		"reply lost":  {func(c *jetstream.StreamConfig) { c.NoAck = true }, func(c *jetstream.StreamConfig) { c.NoAck = false }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSender(t)
			s.reconfigure(outbox.StreamHold, c.fail)
			relay := s.srv.Connect("relay")
			tries, err := relay.SubscribeSync("hold.>")
			require.NoError(t, err)
			require.NoError(t, relay.Flush())
			var want []string
			for i := range 20 {
				want = append(want, string(event(fmt.Sprint(i), "one", "k")))
				s.publish([]byte(want[i]))
			}
			_, err = tries.NextMsg(10 * time.Second)
			require.NoError(t, err)
			s.reconfigure(outbox.StreamHold, c.heal)
			b := s.receiver("b")
			require.Equal(t, want, s.bodies(b, len(want)))
			s.settled()
			info, err := b.Info(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, len(want), info.State.Msgs)
		})
	}
}
