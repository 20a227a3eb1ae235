package run_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/run"
)

// A diary collects what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) part(name string) run.Component {
	return run.Func(func(ctx context.Context, ready func()) error {
		d.add("+" + name)
		ready()
		<-ctx.Done()
		d.add("-" + name)
		return nil
	})
}

func TestLayersStartUpwardsAndStopDownwards(t *testing.T) {
	var d diary
	var s run.Stack
	for _, name := range []string{"a", "b", "c"} {
		s.Push(name, d.part(name))
	}
	ctx, stop := context.WithCancel(t.Context())
	require.NoError(t, s.Run(ctx, func() { d.add("ready"); stop() }))
	require.Equal(t, []string{"+a", "+b", "+c", "ready", "-c", "-b", "-a"}, d.lines)
}

func TestLayerThatEndsStopsTheOthers(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		err  error
		want error
		text string
	}{
		"error":   {broken, broken, "b: broken"},
		"nothing": {nil, run.ErrEnded, "b: ended by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			var s run.Stack
			s.Push("a", d.part("a"))
			s.Push("b", run.Func(func(_ context.Context, ready func()) error { ready(); return tc.err }))
			err := s.Run(t.Context(), func() {})
			require.ErrorIs(t, err, tc.want)
			require.EqualError(t, err, tc.text)
			require.Equal(t, []string{"+a", "-a"}, d.lines)
		})
	}
}

func TestLayerThatFailsBeforeReadyKeepsTheNextDown(t *testing.T) {
	var d diary
	var s run.Stack
	s.Push("a", d.part("a"))
	s.Push("b", run.Func(func(context.Context, func()) error { return errors.New("no port") }))
	s.Push("c", d.part("c"))
	require.EqualError(t, s.Run(t.Context(), func() { d.add("ready") }), "b: no port")
	require.Equal(t, []string{"+a", "-a"}, d.lines)
}

func TestCancelledWhileStarting(t *testing.T) {
	var d diary
	var s run.Stack
	ctx, stop := context.WithCancel(t.Context())
	s.Push("a", d.part("a"))
	s.Push("b", run.Func(func(ctx context.Context, _ func()) error { stop(); <-ctx.Done(); return ctx.Err() }))
	s.Push("c", d.part("c"))
	require.NoError(t, s.Run(ctx, func() { d.add("ready") }))
	require.Equal(t, []string{"+a", "-a"}, d.lines)
}

func TestLayerThatDoesNotStopIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		s := run.Stack{Grace: time.Second}
		free := make(chan struct{})
		defer close(free)
		s.Push("a", d.part("a"))
		s.Push("b", run.Func(func(_ context.Context, ready func()) error { ready(); <-free; return nil }))
		ctx, stop := context.WithCancel(t.Context())
		err := s.Run(ctx, stop)
		require.ErrorIs(t, err, run.ErrGrace)
		require.EqualError(t, err, "b: did not stop in time (1s)")
		require.Equal(t, []string{"+a", "-a"}, d.lines)
	})
}

func TestEmptyStackWaits(t *testing.T) {
	var s run.Stack
	ctx, stop := context.WithCancel(t.Context())
	require.NoError(t, s.Run(ctx, stop))
}
