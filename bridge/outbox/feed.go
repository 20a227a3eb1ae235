package outbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/ringway/ringway/bridge"
)

// feedBatch bounds how many events a sink is given at once.
const feedBatch = 256

// A feeder gives one sink what it wants of what was captured, in order, and
// tries again until it is stored. It holds up nobody: what it has is in hand, so
// there is no more of it than the ledger has room for.
type feeder struct {
	sink bridge.Sink
	log  *slog.Logger
	in   chan fed
}

// fed is one event for a sink. done is called once it is stored.
type fed struct {
	event bridge.Passing
	done  func()
}

func newFeeder(s bridge.Sink, log *slog.Logger) *feeder {
	return &feeder{sink: s, log: log, in: make(chan fed, 2*maxUnsettled)}
}

// offer has left count the sink, too, if it wants the event.
func (f *feeder) offer(p bridge.Passing, left *countdown) {
	if !bridge.Draws(f.sink, p.Subject) {
		return
	}
	left.add(1)
	select {
	case f.in <- fed{p, left.done}:
	default: // more was tried again than there is room for; it is read again after the next start
	}
}

// run feeds until ctx ends. What is left then is still in RW_OUT.
func (f *feeder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-f.in:
			f.put(ctx, f.batch(first))
		}
	}
}

// batch adds to first what has come meanwhile.
func (f *feeder) batch(first fed) []fed {
	batch := []fed{first}
	for len(batch) < feedBatch {
		select {
		case next := <-f.in:
			batch = append(batch, next)
			continue
		default:
		}
		break
	}
	return batch
}

// put stores a batch, sooner or later.
func (f *feeder) put(ctx context.Context, batch []fed) {
	events := make([]bridge.Passing, len(batch))
	for i, b := range batch {
		events[i] = b.event
	}
	for wait := firstFeed; ; wait = min(2*wait, lastFeed) {
		err := f.sink.Put(ctx, events)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		f.log.Warn("events not given to those who poll, will try again", "n", len(batch), "err", err)
		sleep(ctx, wait)
	}
	for _, b := range batch {
		b.done()
	}
}

// How long a batch that was not stored waits for the next try.
const (
	firstFeed = 50 * time.Millisecond
	lastFeed  = 5 * time.Second
)
