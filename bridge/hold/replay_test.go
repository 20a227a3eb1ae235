package hold_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/hold"
	"github.com/ringway/ringway/topology"
)

// TestReplayIsWrittenDown: an order to replay dead letters is done once, changes
// nothing that is in force, and says which went; one by which none went is as if
// it had not been given.
func TestReplayIsWrittenDown(t *testing.T) {
	s := newStamp(t)
	var sent [][]uint64
	k, err := hold.New(hold.Config{
		Me: "s", Relay: s.srv.Connect("relay"), Stream: record, Log: slog.New(slog.DiscardHandler), Now: s.clock, Changed: func(hold.State) {},
		Replay: func(_ context.Context, letters []uint64) ([]uint64, error) {
			sent = append(sent, letters)
			for i, n := range letters {
				if n == 9 {
					return letters[:i], errors.New("no such dead letter: 9")
				}
			}
			return letters, nil
		},
	})
	require.NoError(t, err)
	require.NoError(t, k.Load(t.Context()))
	s.do(k, s.order(bridge.VerbFreeze))
	replay := func(letters ...uint64) bridge.Order {
		o := s.order(bridge.VerbReplay)
		o.To, o.Letters = []topology.StampID{"s"}, letters
		return o
	}
	all := replay(3, 4)
	require.Equal(t, "replayed 3, 4", s.do(k, all).Result)
	require.True(t, s.do(k, all).Repeated)
	some := s.do(k, replay(5, 9, 6))
	require.Equal(t, "replayed 5, and no more: no such dead letter: 9", some.Result)
	require.Equal(t, []uint64{5}, some.Letters)
	require.Equal(t, "no such dead letter: 9", some.Err)
	_, err = k.Do(t.Context(), replay(9), "anna", "UKEY", "hub")
	require.EqualError(t, err, "no such dead letter: 9")
	require.Equal(t, [][]uint64{{3, 4}, {5, 9, 6}, {9}}, sent)
	require.Equal(t, bridge.VerbFreeze, k.State().Mode)
	require.Len(t, k.State().Orders, 3)

	none := replay()
	_, err = k.Do(t.Context(), none, "anna", "UKEY", "hub")
	require.ErrorContains(t, err, "1 to 50 dead letters of one stamp")
	_, err = s.keeper().Do(t.Context(), replay(1), "anna", "UKEY", "hub")
	require.EqualError(t, err, "no dead letters are kept here")
}
