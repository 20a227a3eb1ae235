package deadletter_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/internal/natstest"
)

// TestLetterIsStoredOnce: the write of a letter fails twice over, once without
// having been done and once with its reply lost, and is tried again each time.
func TestLetterIsStoredOnce(t *testing.T) {
	srv := natstest.StartStamp(t)
	relay := srv.Connect("relay")
	box, err := deadletter.Open(t.Context(), relay, srv.Connect("deliver"), 1, prometheus.NewRegistry())
	require.NoError(t, err)
	js, err := jetstream.New(relay)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), deadletter.Stream)
	require.NoError(t, err)
	update := func(change func(*jetstream.StreamConfig)) {
		config := stream.CachedInfo().Config
		change(&config)
		_, err := js.UpdateStream(t.Context(), config)
		require.NoError(t, err)
	}
	letter := bridge.Letter{Side: bridge.SideOut, Reason: bridge.ReasonNoRule, Key: "k", Subject: "s", Body: []byte("body")}
	put := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		return box.Put(ctx, letter)
	}
	update(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 })
	require.Error(t, put(), "not stored")
	update(func(c *jetstream.StreamConfig) { c.NoAck = true })
	require.Error(t, put(), "stored, and the reply is lost")
	update(func(*jetstream.StreamConfig) {})
	require.NoError(t, put())
	letters, err := box.List(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "body", string(letters[0].Body))
}

// TestLetterThatIsTooBigIsCut: with its headers NATS would not take it.
func TestLetterThatIsTooBigIsCut(t *testing.T) {
	srv := natstest.StartStamp(t)
	relay := srv.Connect("relay")
	box, err := deadletter.Open(t.Context(), relay, srv.Connect("deliver"), 1, prometheus.NewRegistry())
	require.NoError(t, err)
	letter := bridge.Letter{
		Side: bridge.SideOut, Reason: bridge.ReasonInvalid, Key: "k", Subject: "s", Detail: []string{"why"},
		Body: make([]byte, relay.MaxPayload()),
	}
	require.NoError(t, box.Put(t.Context(), letter))
	letters, err := box.List(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Greater(t, len(letters[0].Body), int(relay.MaxPayload())-(4<<10))
	require.Contains(t, letters[0].Detail[1], "cut off")
}

// TestReplayedLetterComesBack: sent on its way it is refused again at once. It
// must not count as one that is stored already.
func TestReplayedLetterComesBack(t *testing.T) {
	srv := natstest.StartStamp(t)
	relay := srv.Connect("relay")
	box, err := deadletter.Open(t.Context(), relay, srv.Connect("deliver"), 1, prometheus.NewRegistry())
	require.NoError(t, err)
	js, err := jetstream.New(relay)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OUT", Subjects: []string{bridge.CapturePrefix + ">"}})
	require.NoError(t, err)
	letter := bridge.Letter{Side: bridge.SideOut, Reason: bridge.ReasonNoRule, Key: "k", Subject: "sh.keptn.x", Body: []byte("body")}
	for i := range 3 {
		require.NoError(t, box.Put(t.Context(), letter))
		require.NoError(t, box.Put(t.Context(), letter))
		letters, err := box.List(t.Context(), 1, 10)
		require.NoError(t, err)
		require.Len(t, letters, 1, "time %d", i)
		require.NoError(t, box.Replay(t.Context(), letters[0].Number))
	}
}

// TestWhatIsNoEventIsNotReplayed: what came between stamps and could not be read would
// be published as if a client had.
func TestWhatIsNoEventIsNotReplayed(t *testing.T) {
	srv := natstest.StartStamp(t)
	box, err := deadletter.Open(t.Context(), srv.Connect("relay"), srv.Connect("deliver"), 1, prometheus.NewRegistry())
	require.NoError(t, err)
	for _, side := range []bridge.Side{bridge.SideIn, bridge.SideOut} {
		require.NoError(t, box.Put(t.Context(), bridge.Letter{
			Side: side, Reason: bridge.ReasonInvalid, Key: "k" + string(side), Subject: bridge.EventSubject("b", "a", "pack.a"), Body: []byte("body"),
		}))
	}
	letters, err := box.List(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Len(t, letters, 2)
	for _, l := range letters {
		require.ErrorContains(t, box.Replay(t.Context(), l.Number), "is no subject of an event")
	}
	letters, err = box.List(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Len(t, letters, 2, "they are kept")
}
