package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounds of the wait before a part of the bridge is run again.
const (
	firstRerun = 100 * time.Millisecond
	lastRerun  = 5 * time.Second
)

// slowStart is after what time a part that is not ready yet is spoken of, and
// how often.
const slowStart = 5 * time.Second

// A keeper runs a part of the bridge again when it fails: a disk that is full
// for a minute must not end the process, and with it the NATS of the stamp.
type keeper struct {
	name  string
	run   func(ctx context.Context, ready func()) error
	board *board
	log   *slog.Logger
}

// Run returns when ctx ends. It calls ready when the part was ready for the
// first time.
func (k *keeper) Run(ctx context.Context, ready func()) error {
	called := false
	k.board.set(k.name, "starting")
	began := time.Now()
	up := make(chan struct{})
	var watch sync.WaitGroup
	defer watch.Wait()
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	watch.Go(func() { k.watch(watching, began, up) })
	for wait := firstRerun; ; wait = min(2*wait, lastRerun) {
		err := k.run(ctx, func() {
			k.board.set(k.name, "ok")
			wait = firstRerun
			if !called {
				called = true
				close(up)
				k.log.Debug("part ready", "component", k.name, "after", time.Since(began).Round(time.Millisecond))
				ready()
			}
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		state := "ended"
		if err != nil {
			state = err.Error()
		}
		k.board.set(k.name, state)
		k.log.Error("part failed, will run again", "component", k.name, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// watch says that the part is not up, as long as it is not.
func (k *keeper) watch(ctx context.Context, began time.Time, up <-chan struct{}) {
	tick := time.NewTicker(slowStart)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-up:
			return
		case <-tick.C:
			k.log.Warn("part not ready yet", "component", k.name, "after", time.Since(began).Round(time.Millisecond))
		}
	}
}
