package natstest_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

func TestServerKeepsStreams(t *testing.T) {
	js := natstest.Start(t).JetStream()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	require.NoError(t, err)
	ack, err := js.Publish(t.Context(), "s.a", []byte("x"))
	require.NoError(t, err)
	require.Equal(t, uint64(1), ack.Sequence)
}

func TestAddrIsGivenOnce(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		a := natstest.Addr(t)
		require.False(t, seen[a])
		seen[a] = true
	}
}
