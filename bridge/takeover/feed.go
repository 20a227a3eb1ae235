package takeover

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

const (
	// grace is for how long an event of the stream may still be on its way into
	// RW_OUT.
	grace = 500 * time.Millisecond
	// readTime is how much longer the outbox may take to read what is there.
	readTime = 2 * time.Second
	// maxFeed is how many events are put into RW_OUT at once.
	maxFeed = 256
	// maxAsking is about how many events it is asked at once whether we delivered
	// them.
	maxAsking = 32
	// feedAgain is after what time an event that was put into RW_OUT and did not
	// come out is put there again.
	feedAgain = 10 * time.Second
	// feedPause is how long is waited after one that could not be put there.
	feedPause = 250 * time.Millisecond
)

// feed puts the first events of the queue into RW_OUT, if they have not come by
// themselves.
func (f *follower) feed(ctx context.Context) {
	now := time.Now()
	if e := f.queue[0]; now.Sub(e.read) < grace || now.Sub(e.fed) < feedAgain || now.Before(f.pause) {
		return
	}
	reading, cancel := context.WithTimeout(ctx, readTime)
	f.t.cfg.ReadAll(reading) // what is there and not read is put there twice
	cancel()
	if err := f.put(ctx, f.strangers(ctx, f.missing(now))); err != nil {
		f.fail(err)
	}
}

// missing returns the first events of the queue that were not captured.
func (f *follower) missing(now time.Time) (out []*entry) {
	for _, e := range f.queue {
		switch {
		case len(out) == maxFeed, now.Sub(e.read) < grace:
			return out
		case e.pass:
		case f.t.marks.has(e.key):
			return out // what comes after it has another place
		default:
			out = append(out, e)
		}
	}
	return out
}

// strangers returns the first of all that were not delivered by us. Each takes a
// question, so several are asked at once.
func (f *follower) strangers(ctx context.Context, all []*entry) (out []*entry) {
	errs := make([]error, len(all))
	var asking sync.WaitGroup
	room := make(chan struct{}, maxAsking)
	for i, e := range all {
		room <- struct{}{}
		asking.Go(func() {
			e.pass, errs[i] = f.t.cfg.Delivered(ctx, e.key)
			<-room
		})
	}
	asking.Wait()
	for i, e := range all {
		if errs[i] != nil {
			f.fail(errs[i])
			return out
		}
		if !e.pass {
			out = append(out, e)
		}
	}
	return out
}

func (f *follower) fail(err error) {
	f.pause = time.Now().Add(feedPause)
	f.t.cfg.Log.Warn("events of the external NATS not taken over, will try again", "stream", External, "err", err)
}

// put stores events in RW_OUT, in order.
func (f *follower) put(ctx context.Context, batch []*entry) error {
	prefix := bridge.CapturePrefix
	if f.t.cfg.Replicas > 1 {
		prefix = bridge.StorePrefix
	}
	since := strconv.FormatInt(f.at.Since.UnixNano(), 10)
	if f.at.Since.IsZero() {
		since = "0"
	}
	putting, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	acks := make([]jetstream.PubAckFuture, len(batch))
	for i, e := range batch {
		m := &nats.Msg{Subject: prefix + e.subject, Data: e.body, Header: nats.Header{
			bridge.HeaderTaken: {since},
			// A copy that is put there again is no second one.
			nats.MsgIdHdr: {fmt.Sprintf("%s:%d:%d", External, f.at.Created.UnixNano(), e.seq)},
		}}
		var err error
		if acks[i], err = f.t.js.PublishMsgAsync(m); err != nil {
			return fmt.Errorf("store event of stream %s: %w", External, err)
		}
	}
	for i, e := range batch {
		select {
		case ack := <-acks[i].Ok():
			e.fed = time.Now()
			if ack.Duplicate { // by an earlier process; it may have left RW_OUT already
				e.pass = true
				continue
			}
			f.fresh++
			f.t.metrics.taken.Inc()
			f.t.note(func(s *State) { s.Taken++ })
		case err := <-acks[i].Err():
			return fmt.Errorf("store event of stream %s: %w", External, err)
		case <-putting.Done():
			return fmt.Errorf("store event of stream %s: %w", External, putting.Err())
		}
	}
	return nil
}
