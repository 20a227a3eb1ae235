package keptn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An Exit is why a program ended its process.
type Exit struct {
	Program string
	Code    int // of the process; 2 is a panic
	Why     string
	Err     error // the cause, or nil
}

func (e *Exit) Error() string {
	s := fmt.Sprintf("%s exits with %d: %s", e.Program, e.Code, e.Why)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Exit) Unwrap() error { return e.Err }

// A Clock compresses time. Its zero value is the time of the originals.
type Clock struct {
	Second time.Duration // what a second of the originals takes; 0 is a second
}

// of returns the duration that d of an original takes.
func (c Clock) of(d time.Duration) time.Duration {
	if c.Second == 0 {
		return d
	}
	return time.Duration(float64(d) * float64(c.Second) / float64(time.Second))
}

// pause waits for d of an original. It reports whether ctx is still alive.
func (c Clock) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(c.of(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// A Program is a stand-in. Run calls ready when the program serves or
// subscribes, and returns nil when ctx has ended, else an *Exit. It is called
// once.
type Program interface {
	Run(ctx context.Context, ready func()) error
}

// A Process is a program that Start has started.
type Process struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ready  chan struct{}
	over   chan struct{}
	err    error // set when over is closed
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// Launch runs p until the test ends, Stop is called or p exits.
func Launch(t testing.TB, p Program) *Process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &Process{cancel: cancel, ready: make(chan struct{}), over: make(chan struct{})}
	r.wg.Go(func() {
		defer close(r.over)
		r.err = p.Run(ctx, sync.OnceFunc(func() { close(r.ready) }))
	})
	t.Cleanup(func() {
		r.Stop()
		if t.Failed() && r.err != nil {
			t.Log(r.err) // a program that ends is why tests that wait for it fail
		}
	})
	return r
}

// Start is Launch that waits until p is ready.
func Start(t testing.TB, p Program) *Process {
	t.Helper()
	r := Launch(t, p)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-r.ready:
	case <-r.over:
		require.NoError(t, r.err, "program ends before it is ready")
		require.Fail(t, "program ends before it is ready")
	case <-limit.C:
		require.Fail(t, "program is not ready")
	}
	return r
}

// Stop ends the program, as SIGTERM does, and returns when it has ended.
func (r *Process) Stop() {
	r.cancel()
	r.wg.Wait()
}

// Exited returns a channel that is closed when the program has ended.
func (r *Process) Exited() <-chan struct{} { return r.over }

// Exit waits until the program has ended by itself and returns why.
func (r *Process) Exit(t testing.TB) *Exit {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-r.over:
	case <-limit.C:
		require.Fail(t, "program does not exit")
	}
	var exit *Exit
	require.True(t, errors.As(r.err, &exit), "program ended with %v", r.err)
	return exit
}

// Alive fails the test if the program has ended.
func (r *Process) Alive(t testing.TB) {
	t.Helper()
	select {
	case <-r.over:
		require.Fail(t, "program has ended", "%v", r.err)
	default:
	}
}
