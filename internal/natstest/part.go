package natstest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Part is something that runs until it is told to stop, as the parts of a
// gateway do.
type Part struct {
	t       testing.TB
	cancel  context.CancelFunc
	running sync.WaitGroup
	done    chan error
	watched bool // somebody takes what is in done
	once    sync.Once
}

// Run runs a part until it is stopped or the test ends. It returns when the
// part is ready, which it may say more than once.
func Run(t testing.TB, run func(ctx context.Context, ready func()) error) *Part {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &Part{t: t, cancel: cancel, done: make(chan error, 1)}
	ready := make(chan struct{})
	once := sync.OnceFunc(func() { close(ready) })
	p.running.Go(func() { p.done <- run(ctx, once) })
	select {
	case <-ready:
	case err := <-p.done:
		select {
		case <-ready: // that it has ended is for Stop or Ended to say
			p.done <- err
		default:
			cancel()
			require.NoError(t, err)
			require.Fail(t, "it ended before it was ready")
		}
	}
	t.Cleanup(p.Stop)
	return p
}

// Stop tells the part to stop and waits until it has. The test fails if it ends
// with an error. A second call does nothing, so that a test that has failed here
// can clean up.
func (p *Part) Stop() {
	p.t.Helper()
	p.once.Do(func() {
		p.cancel()
		p.running.Wait()
		if !p.watched {
			require.NoError(p.t, <-p.done)
		}
	})
}

// Ended carries what the part ends with, once, and leaves it to the caller to
// judge that.
func (p *Part) Ended() <-chan error {
	p.watched = true
	return p.done
}
