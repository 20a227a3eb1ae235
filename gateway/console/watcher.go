package console

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// lookEvery is how often all stamps are asked while somebody looks.
	lookEvery = 3 * time.Second
	// lookLimit bounds one look. The gateway's own limit is shorter.
	lookLimit = 5 * time.Second
	// lookFor is for how long they are asked after somebody last looked.
	lookFor = 15 * time.Second
	// lookStale is how old what is shown at once may be.
	lookStale = 2*lookEvery + lookLimit
	// lookPatience is how long a page waits for the first look.
	lookPatience = lookLimit + time.Second
)

// A look is what was found when all stamps were asked once.
type look struct {
	n     uint64 // counts from 1
	at    time.Time
	fed   federation
	shape Shape
}

// name names a look, also after the process began anew.
func (l *look) name() string { return fmt.Sprintf("%d-%d", l.n, l.at.UnixNano()) }

// A watcher asks all stamps, as long as somebody wants to know. It is safe for
// concurrent use.
type watcher struct {
	ask   func(context.Context) (federation, error)
	shape func() Shape
	every time.Duration
	log   *slog.Logger
	wake  chan struct{} // one place

	mu     sync.Mutex
	latest *look
	next   chan struct{} // closed when latest changes
	wanted time.Time     // until then
}

func newWatcher(ask func(context.Context) (federation, error), shape func() Shape, log *slog.Logger) *watcher {
	return &watcher{ask: ask, shape: shape, every: lookEvery, log: log, wake: make(chan struct{}, 1), next: make(chan struct{})}
}

// run asks until ctx ends.
func (w *watcher) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !w.isWanted() {
			select {
			case <-ctx.Done():
				return
			case <-w.wake:
			}
		}
		w.look(ctx)
		timer.Reset(w.every)
	}
}

func (w *watcher) isWanted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.wanted)
}

func (w *watcher) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	fed, err := w.ask(ctx)
	if err != nil {
		w.log.Warn("console sees nothing, will look again", "err", err)
		return
	}
	shape := w.shape()
	w.mu.Lock()
	defer w.mu.Unlock()
	is := &look{n: 1, at: time.Now(), fed: fed, shape: shape}
	if w.latest != nil {
		is.n = w.latest.n + 1
	}
	w.latest = is
	close(w.next)
	w.next = make(chan struct{})
}

// want says that somebody looks. It returns the last look, which may be nil,
// and what is closed at the next one.
func (w *watcher) want() (*look, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.After(w.wanted) {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	w.wanted = now.Add(lookFor)
	return w.latest, w.next
}

// get returns a look that is not stale, or, if none comes soon, the last there
// was; nil if there was none.
func (w *watcher) get(ctx context.Context) *look {
	is, next := w.want()
	if is != nil && time.Since(is.at) < lookStale {
		return is
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	select {
	case <-next:
	case <-ctx.Done():
	}
	is, _ = w.want()
	return is
}
