package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrEnded reports a component that returned without an error although nobody
// had told it to stop.
var ErrEnded = errors.New("ended by itself")

// ErrGrace reports a component that was still running when its time to stop
// was over. Its goroutines live on; the process should end.
var ErrGrace = errors.New("did not stop in time")

// A Component is something that runs until it is told to stop.
//
// Run calls ready once, when the component can serve the layers above it. It
// returns only after every goroutine it started has finished, and returns nil
// when it stopped because ctx was cancelled. Run is called once.
type Component interface {
	Run(ctx context.Context, ready func()) error
}

// Func makes a Component of a function.
type Func func(ctx context.Context, ready func()) error

// Run calls f.
func (f Func) Run(ctx context.Context, ready func()) error { return f(ctx, ready) }

// A Stack is a Component made of layers. The zero value is an empty stack.
// Push everything before Run; a Stack is not for concurrent use.
type Stack struct {
	// Grace is how long each layer may take to stop; 0 is without limit.
	Grace time.Duration

	layers []*layer
}

// A layer is one component and what became of it.
type layer struct {
	name  string
	part  Component
	stop  context.CancelCauseFunc
	ready chan struct{}
	done  chan struct{} // closed after err is set
	err   error
}

// Push puts c on top of the stack. The name is for errors.
func (s *Stack) Push(name string, c Component) {
	s.layers = append(s.layers, &layer{name: name, part: c})
}

// Run starts the layers from the bottom, each when the one below it is ready,
// calls ready when all are, and waits until ctx is cancelled or a layer ends.
// Then it stops the layers from the top, each within Grace. It returns the
// errors of all layers, joined, each with the layer's name.
func (s *Stack) Run(ctx context.Context, ready func()) error {
	var wg sync.WaitGroup
	ended := make(chan struct{}, len(s.layers))
	started := 0
	up := func() bool {
		for _, l := range s.layers {
			started++
			l.start(ctx, &wg, ended)
			select {
			case <-l.ready:
			case <-ended:
				return false
			case <-ctx.Done():
				return false
			}
		}
		return true
	}
	if up() {
		ready()
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
	asked := ctx.Err() != nil
	var errs []error
	late := false
	for _, l := range slices.Backward(s.layers[:started]) {
		err := l.end(s.Grace, asked)
		late = late || errors.Is(err, ErrGrace)
		errs = append(errs, err)
	}
	if !late {
		wg.Wait()
	}
	return errors.Join(errs...)
}

// start runs the layer on a goroutine of wg and sends to ended when it is over.
func (l *layer) start(ctx context.Context, wg *sync.WaitGroup, ended chan<- struct{}) {
	// A layer must outlive the layers above it, so the cancellation of ctx
	// does not reach it; end does.
	ctx, l.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	l.ready, l.done = make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		l.err = l.part.Run(ctx, sync.OnceFunc(func() { close(l.ready) }))
		close(l.done)
		ended <- struct{}{}
	})
}

// end stops the layer and returns its error. asked says that the whole stack
// was told to stop, so that ending was right.
func (l *layer) end(grace time.Duration, asked bool) error {
	select {
	case <-l.done:
		if l.err == nil && !asked {
			return fmt.Errorf("%s: %w", l.name, ErrEnded)
		}
	default:
		l.stop(context.Canceled)
		if !l.wait(grace) {
			return fmt.Errorf("%s: %w (%v)", l.name, ErrGrace, grace)
		}
	}
	l.stop(context.Canceled) // frees the context of a layer that ended by itself
	if l.err != nil && !errors.Is(l.err, context.Canceled) {
		return fmt.Errorf("%s: %w", l.name, l.err)
	}
	return nil
}

func (l *layer) wait(grace time.Duration) bool {
	if grace <= 0 {
		<-l.done
		return true
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-l.done:
		return true
	case <-t.C:
		return false
	}
}
