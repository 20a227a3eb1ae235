package natstest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

// TestReadyAndOver: a part that was ready and then ended has been ready, however
// soon it ended; its end is for whoever asks for it.
func TestReadyAndOver(t *testing.T) {
	t.Parallel()
	over := errors.New("over")
	for range 200 {
		p := natstest.Run(t, func(_ context.Context, ready func()) error { ready(); return over })
		require.ErrorIs(t, <-p.Ended(), over)
	}
}
