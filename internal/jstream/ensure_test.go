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
	want.AllowDirect = false
	require.Equal(t, 4, changed(), "an earlier version wanted it")
	require.Equal(t, 4, changed())
}

// TestReaderReadsOnce: from a sequence on, each message once.
func TestReaderReadsOnce(t *testing.T) {
	t.Parallel()
	js, err := jetstream.New(natstest.StartStamp(t).Connect("relay"))
	require.NoError(t, err)
	s, err := jstream.Ensure(t.Context(), js, jetstream.StreamConfig{Name: "X", Subjects: []string{"put.x"}, Replicas: 1})
	require.NoError(t, err)
	for range 10 {
		_, err := js.Publish(t.Context(), "put.x", nil)
		require.NoError(t, err)
	}
	c, err := jstream.Reader(t.Context(), s, 4)
	require.NoError(t, err)
	batch, err := c.FetchNoWait(100)
	require.NoError(t, err)
	want := uint64(4)
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		require.NoError(t, err)
		require.Equal(t, want, meta.Sequence.Stream)
		require.Equal(t, want-3, meta.Sequence.Consumer)
		want++
	}
	require.EqualValues(t, 11, want)
}

// TestEachReadsAllThatIsThere: by subject, from a sequence on, until told to end.
func TestEachReadsAllThatIsThere(t *testing.T) {
	t.Parallel()
	js, err := jetstream.New(natstest.StartStamp(t).Connect("relay"))
	require.NoError(t, err)
	s, err := jstream.Ensure(t.Context(), js, jetstream.StreamConfig{Name: "X", Subjects: []string{"put.*"}, Replicas: 1})
	require.NoError(t, err)
	read := func(from uint64, limit int, subjects ...string) (seqs []uint64) {
		t.Helper()
		require.NoError(t, jstream.Each(t.Context(), s, from, subjects, func(_ jetstream.Msg, meta *jetstream.MsgMetadata) bool {
			seqs = append(seqs, meta.Sequence.Stream)
			return len(seqs) != limit
		}))
		return seqs
	}
	require.Empty(t, read(1, 0))
	for i := range 2500 {
		_, err := js.Publish(t.Context(), "put."+string(rune('a'+i%2)), nil)
		require.NoError(t, err)
	}
	require.Len(t, read(1, 0), 2500)
	require.Len(t, read(0, 0, "put.a"), 1250)
	require.Equal(t, []uint64{2499}, read(2498, 0, "put.a", "put.c"))
	require.Equal(t, []uint64{10, 11, 12}, read(10, 3))
	require.Empty(t, read(1, 0, "put.c"))
	require.Empty(t, read(2501, 0))
	require.NoError(t, js.DeleteStream(t.Context(), "X"))
	require.ErrorIs(t, jstream.Each(t.Context(), s, 1, nil, nil), jetstream.ErrStreamNotFound)
}
