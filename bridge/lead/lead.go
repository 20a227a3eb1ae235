package lead

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// How long a lease lasts. Together with the times of elections (gateway/node)
// they make a hand-over after a crash take less than 3 s: the wait for the
// lease and the election of the streams' leaders go on at the same time.
const (
	DefaultTTL = 1300 * time.Millisecond
	// renewals is how many times a lease is renewed while it lasts.
	renewals = 6
	// margin is the part of TTL that others wait longer: for clocks that run at
	// different speeds, and for the holder to stop.
	margin = 5
	// asks is the part of TTL for which an answer to one question is waited for.
	asks = 4
	// looks is how many times others look at the lease while it lasts.
	looks = 10
)

// Config is what a Lease needs. TTL has a default.
type Config struct {
	Relay    *nats.Conn // account RELAY of the local server, with JetStream
	Name     string     // of this replica
	Replicas int        // of the stream
	TTL      time.Duration
	Log      *slog.Logger
	// Gone reports whether a holder is sure to reach no majority of the
	// replicas, so that it renews its lease no more and the others need not wait
	// for its end. nil is never.
	Gone func(ctx context.Context, holder string) bool
}

// A State is what is known of a lease.
type State struct {
	Active bool      // this replica holds it
	Holder string    // who held it when last seen; empty if nobody
	Since  time.Time // when Active last changed; for people
	Err    string    // why it cannot be had or seen
}

// A Lease lets one of several replicas act at a time. Its methods are safe for
// concurrent use.
type Lease struct {
	cfg   Config
	store *store
	woken chan struct{} // one place: somebody gave the lease back
	taken chan struct{} // one place: somebody else took it

	mu    sync.Mutex // guards the following field
	state State
}

// New checks cfg and returns a Lease that does nothing until Run.
func New(cfg Config) (*Lease, error) {
	if cfg.Relay == nil || cfg.Name == "" || cfg.Replicas < 1 || cfg.Log == nil {
		return nil, errors.New("lead: incomplete configuration")
	}
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
	}
	if cfg.Gone == nil {
		cfg.Gone = func(context.Context, string) bool { return false }
	}
	s, err := newStore(cfg.Relay, cfg.Name, cfg.Replicas)
	if err != nil {
		return nil, err
	}
	return &Lease{cfg: cfg, store: s, woken: make(chan struct{}, 1), taken: make(chan struct{}, 1), state: State{Since: time.Now()}}, nil
}

// State returns what is known now.
func (l *Lease) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

func (l *Lease) note(change func(*State)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.state.Active
	change(&l.state)
	if l.state.Active != was {
		l.state.Since = time.Now()
	}
}

// Run competes for the lease until ctx ends. While it holds it, act runs; the
// context of act ends when the lease does, and nobody else acts before act had
// a fifth of TTL to return. Before Run returns it has waited for act and given
// the lease back.
func (l *Lease) Run(ctx context.Context, act func(context.Context)) error {
	sub, err := l.cfg.Relay.Subscribe(Subject, l.hear)
	if err != nil {
		return fmt.Errorf("listen for lease: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	w := watch{l: l}
	tick := time.NewTicker(l.cfg.TTL / looks)
	defer tick.Stop()
	for ctx.Err() == nil {
		if g, ok := w.tryTake(ctx); ok {
			l.hold(ctx, g, act)
			w = watch{l: l}
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-l.woken:
		}
	}
	return nil
}

// hear is told of every record. One that gives the lease back is a reason to
// look at once; what it says is not relied upon.
func (l *Lease) hear(m *nats.Msg) {
	r, err := parse(m.Data)
	if err != nil || r.Token == l.store.token {
		return
	}
	to := l.taken
	if r.Released {
		to = l.woken
	}
	select {
	case to <- struct{}{}:
	default: // it is known already
	}
}

// A grant is a lease that was given: nobody else has it before until and the
// margin.
type grant struct {
	seq   uint64
	until time.Time // by the monotonic clock
}

// A watch is what one who wants the lease has seen of it.
type watch struct {
	l    *Lease
	seq  uint64    // of the record last seen
	at   time.Time // when it was first seen
	seen bool
}

// tryTake takes the lease if nobody can have it any more.
func (w *watch) tryTake(ctx context.Context) (grant, bool) {
	l := w.l
	// A question that meets no leader is not answered when there is one again.
	asking, cancel := context.WithTimeout(ctx, l.cfg.TTL/asks)
	seq, last, err := l.store.last(asking)
	cancel()
	if err != nil {
		l.note(func(s *State) { s.Err = err.Error() })
		return grant{}, false
	}
	if !w.seen || seq != w.seq {
		w.seen, w.seq, w.at = true, seq, time.Now()
	}
	l.note(func(s *State) { s.Holder, s.Err = last.holder(), "" })
	free := seq == 0 || last.Released || last.Token == l.store.token
	if !free && time.Since(w.at) < l.cfg.TTL+l.cfg.TTL/margin && !l.cfg.Gone(ctx, last.Holder) {
		return grant{}, false
	}
	ctx, cancel = context.WithTimeout(ctx, l.cfg.TTL)
	defer cancel()
	sent := time.Now()
	got, err := l.store.write(ctx, seq, false)
	if err != nil {
		if !errors.Is(err, errLost) { // another was faster
			l.note(func(s *State) { s.Err = err.Error() })
		}
		return grant{}, false
	}
	return grant{got, sent.Add(l.cfg.TTL)}, true
}

// hold runs act as long as the lease can be renewed.
func (l *Lease) hold(ctx context.Context, g grant, act func(context.Context)) {
	l.note(func(s *State) { s.Active, s.Holder, s.Err = true, l.cfg.Name, "" })
	l.cfg.Log.Info("replica active", "n", g.seq)
	acting, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { defer close(done); act(acting) })
	g, err := l.keep(ctx, g, done)
	stop()
	wg.Wait()
	l.note(func(s *State) { s.Active, s.Holder = false, "" })
	if err != nil {
		l.note(func(s *State) { s.Err = err.Error() })
		l.cfg.Log.Warn("replica lost its lease", "err", err)
		return
	}
	select {
	case <-l.taken: // of an earlier time
	default:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.TTL/4)
	defer cancel()
	if _, err := l.store.write(ctx, g.seq, true); err != nil {
		l.cfg.Log.Warn("lease not given back, others wait for its end", "err", err)
		return
	}
	l.cfg.Log.Info("replica stands by")
	// Whoever takes over asks the streams, which this process may lead: it does
	// not go before.
	select {
	case <-l.taken:
	case <-ctx.Done():
	}
}

// errExpired reports that no renewal was granted in time.
var errExpired = errors.New("lease was not renewed in time")

// keep renews g until act is over or the lease is lost. An act that was told to
// stop still needs the lease.
func (l *Lease) keep(ctx context.Context, g grant, done <-chan struct{}) (grant, error) {
	type answer struct {
		g   grant
		err error
	}
	answers := make(chan answer, 1)
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	busy := false
	ask := func() {
		if busy {
			return
		}
		busy = true
		was := g
		wg.Go(func() { next, err := l.renew(asking, was); answers <- answer{next, err} })
	}
	tick := time.NewTicker(l.cfg.TTL / renewals)
	defer tick.Stop()
	end := time.NewTimer(time.Until(g.until))
	defer end.Stop()
	for {
		select {
		case <-done:
			if busy { // its outcome says which record is the last
				if a := <-answers; a.err == nil {
					g = a.g
				}
			}
			return g, nil
		case <-end.C:
			return g, errExpired
		case <-tick.C:
			ask()
		case <-l.taken: // another says so
			ask()
		case a := <-answers:
			busy = false
			switch {
			case a.err == nil:
				g = a.g
				end.Reset(time.Until(g.until))
			case errors.Is(a.err, errLost):
				return g, a.err
			default: // tried again until the end
				l.note(func(s *State) { s.Err = a.err.Error() })
			}
		}
	}
}

// renew writes the next record. If the outcome of an earlier try is not known,
// the last record says it.
func (l *Lease) renew(ctx context.Context, g grant) (grant, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.TTL/2)
	defer cancel()
	sent := time.Now()
	seq, err := l.store.write(ctx, g.seq, false)
	if errors.Is(err, errLost) {
		last, r, readErr := l.store.last(ctx)
		if readErr != nil {
			return g, readErr
		}
		if r.Token != l.store.token || r.Released {
			return g, fmt.Errorf("%w to %s", errLost, r.Holder)
		}
		sent = time.Now()
		seq, err = l.store.write(ctx, last, false)
	}
	if err != nil {
		return g, err
	}
	l.note(func(s *State) { s.Err = "" })
	return grant{seq, sent.Add(l.cfg.TTL)}, nil
}
