package jstream_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/internal/natstest"
)

// TestStreamThatIsAsWantedIsLeftAlone: it is changed when it is not, and only
// then.
func TestStreamThatIsAsWantedIsLeftAlone(t *testing.T) {
	t.Parallel()
	nc := natstest.StartStamp(t).Connect("relay")
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	updates, err := nc.SubscribeSync("$JS.EVENT.ADVISORY.STREAM.UPDATED.X")
	require.NoError(t, err)
	want := jetstream.StreamConfig{
		Name: "X", Subjects: []string{"put.x.>"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, AllowDirect: true, Replicas: 1,
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: "put.>", Destination: "cap.>"},
	}
	changed := func() int {
		t.Helper()
		_, err := jstream.Ensure(t.Context(), js, want)
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
		n, _, err := updates.Pending()
		require.NoError(t, err)
		return n
	}
	require.Zero(t, changed(), "made")
	require.Zero(t, changed(), "as wanted")
	want.Subjects = append(want.Subjects, "put.y.>")
	require.Equal(t, 1, changed())
	other := want
	other.MaxMsgSize = 5
	_, err = js.UpdateStream(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, 3, changed(), "what somebody else has changed is mended")
	require.Equal(t, 3, changed())
}
