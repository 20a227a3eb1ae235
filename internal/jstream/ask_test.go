package jstream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/internal/natstest"
)

// An answer that is lost costs one short wait, however long the caller has.
func TestLostAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	nc := natstest.Start(t).Connect()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "s.1", []byte("1"))
	require.NoError(t, err)

	asked := 0
	m, err := jstream.AskFor(t.Context(), 20*time.Millisecond, 3, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		if asked++; asked < 3 {
			_, err := nc.RequestWithContext(ctx, "answered.by.nobody", nil)
			if errors.Is(err, nats.ErrNoResponders) {
				<-ctx.Done() // as if somebody had heard it
				err = ctx.Err()
			}
			return nil, err
		}
		return s.GetLastMsgForSubject(ctx, "s.1")
	})
	require.NoError(t, err)
	require.Equal(t, "1", string(m.Data))
	require.Equal(t, 3, asked)
}

// That there is no JetStream may be so for a moment only.
func TestAbsenceIsAskedAboutAgain(t *testing.T) {
	t.Parallel()
	nc := natstest.Start(t).Connect()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	elsewhere, err := jetstream.NewWithDomain(nc, "nowhere")
	require.NoError(t, err)
	asked := 0
	_, err = jstream.Ask(t.Context(), func(ctx context.Context) (*jetstream.AccountInfo, error) {
		if asked++; asked < 3 {
			return elsewhere.AccountInfo(ctx)
		}
		return js.AccountInfo(ctx)
	})
	require.NoError(t, err)
	require.Equal(t, 3, asked)
}

// What is answered with a refusal, and what nobody waits for, is not asked again.
func TestRefusalIsAnAnswer(t *testing.T) {
	t.Parallel()
	asked := 0
	_, err := jstream.Ask(t.Context(), func(context.Context) (int, error) { asked++; return 0, jetstream.ErrMsgNotFound })
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
	require.Equal(t, 1, asked)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	err = jstream.Tell(over, func(ctx context.Context) error { asked++; return ctx.Err() })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, asked)
}
