package takeover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

const (
	// maxQueue bounds what was read and not passed.
	maxQueue = 2048
	// heartbeat is how often the external server says that the reader is alive.
	heartbeat = time.Second
	// stepTime is how often what waits is looked at.
	stepTime = 50 * time.Millisecond
	// tailTime is how often it is asked whether there is more.
	tailTime = 500 * time.Millisecond
	// saveTime is how often the place is kept.
	saveTime = 250 * time.Millisecond
	// sayTime is how often it is said that there were some.
	sayTime = 5 * time.Second
	// maxAge is how old an event may be to be taken over: for as long stamps know
	// what they had.
	maxAge = 24 * time.Hour
)

// errMissing reports a delivery that was lost on its way.
var errMissing = errors.New("a delivery is missing")

// An entry is an event of the stream that was not passed yet.
type entry struct {
	seq     uint64
	key     bridge.Key
	subject string
	body    []byte
	read    time.Time
	pass    bool      // nobody has to capture it
	fed     time.Time // when it was put into RW_OUT; zero: not yet
}

// A follower is one reader of the stream.
type follower struct {
	t     *Takeover
	cons  jetstream.Consumer
	at    place
	saved place
	keptn time.Time // when saved was kept
	queue []*entry
	n     uint64    // deliveries
	asked time.Time // whether there is more
	pause time.Time // nothing is put into RW_OUT before
	fresh int       // taken over since it was said
	said  time.Time
}

// follow reads the stream until that fails, and returns how far it has come.
func (t *Takeover) follow(ctx context.Context, last *place) (*place, error) {
	s, info, err := t.open(ctx)
	if err != nil {
		return last, err
	}
	f := &follower{t: t, at: t.begin(last, info)}
	f.saved.Seq = f.at.Seq + 1 // not kept yet
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.cons, err = reader(ctx, s, f.at.Seq+1); err != nil {
		if errors.Is(err, context.DeadlineExceeded) && t.cfg.External.IsConnected() {
			err = errSilent
		}
		return &f.at, fmt.Errorf("read stream %s of %s: %w", External, t.cfg.External.ConnectedAddr(), err)
	}
	defer f.forget(context.WithoutCancel(ctx), s)
	msgs, err := f.cons.Messages(jetstream.PullMaxMessages(500), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return &f.at, fmt.Errorf("read stream %s: %w", External, err)
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	defer msgs.Stop()
	t.cfg.Log.Info("stream of the external NATS is followed", "stream", External, "n", f.at.Seq)
	t.note(func(s *State) { s.Following, s.Since, s.Err, s.Absent = true, time.Now(), "", false })
	t.marks.set(following)
	come, failed := make(chan jetstream.Msg), make(chan error, 1)
	reading.Go(func() {
		for {
			m, err := msgs.Next()
			if err != nil {
				failed <- err
				return
			}
			select {
			case come <- m:
			case <-ctx.Done():
				return
			}
		}
	})
	err = f.run(ctx, come, failed)
	f.save(context.WithoutCancel(ctx), time.Time{})
	return &f.at, err
}

// readerIdle is how long the external server keeps a consumer that nobody reads.
const readerIdle = 5 * time.Second

// reader makes a consumer that delivers the stream once, without
// acknowledgements. It lives in the memory of the external server.
func reader(ctx context.Context, s jetstream.Stream, from uint64) (jetstream.Consumer, error) {
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return s.CreateConsumer(asking, jetstream.ConsumerConfig{ //nolint:wrapcheck // the caller says which stream
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: readerIdle, MaxDeliver: 1,
	})
}

// forget removes the consumer. One that cannot be reached goes by itself.
func (f *follower) forget(ctx context.Context, s jetstream.Stream) {
	if !f.t.cfg.External.IsConnected() {
		return
	}
	asking, cancel := context.WithTimeout(ctx, askTime/4)
	defer cancel()
	_ = s.DeleteConsumer(asking, f.cons.CachedInfo().Name)
}

func (f *follower) run(ctx context.Context, come <-chan jetstream.Msg, failed <-chan error) error {
	tick := time.NewTicker(stepTime)
	defer tick.Stop()
	for {
		in := come
		if len(f.queue) >= maxQueue {
			in = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return fmt.Errorf("read stream %s: %w", External, err)
		case m := <-in:
			if err := f.take(m); err != nil {
				return err
			}
		case <-f.t.marks.heard:
		case <-tick.C:
			if !f.t.cfg.External.IsConnected() {
				return errAway
			}
			f.tail(ctx)
		}
		f.step(ctx)
		f.save(ctx, time.Now())
	}
}

// take takes in one event of the stream.
func (f *follower) take(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read metadata: %w", err)
	}
	if f.n++; meta.Sequence.Consumer != f.n {
		return fmt.Errorf("read stream %s: %w", External, errMissing)
	}
	e := &entry{seq: meta.Sequence.Stream, subject: m.Subject(), body: m.Data(), read: time.Now()}
	ev, err := bridge.Parse(e.subject, e.body)
	if err == nil {
		e.key = ev.Key()
	} else {
		e.key = bridge.KeyOf(string(e.body), "", e.subject)
	}
	switch {
	case m.Headers().Get(bridge.HeaderOrigin) != "": // we delivered it
		e.pass = true
	case !strings.HasPrefix(e.subject, "sh.keptn."):
		e.pass = true
	case time.Since(meta.Timestamp) > maxAge:
		if _, captured := f.t.marks.pass(e.key); !captured {
			f.t.metrics.skipped.WithLabelValues(tooOld).Inc()
			f.t.note(func(s *State) { s.Missed++ })
		}
		e.pass = true
	}
	f.queue = append(f.queue, e)
	return nil
}

// step passes what was captured, and takes over the next that was not.
func (f *follower) step(ctx context.Context) {
	for len(f.queue) > 0 {
		e := f.queue[0]
		if !e.pass {
			at, captured := f.t.marks.pass(e.key)
			if !captured {
				break
			}
			if e.fed.IsZero() && at.After(f.at.Since) {
				f.at.Since = at
			}
		}
		f.at.Seq = e.seq
		f.queue = f.queue[1:]
	}
	if len(f.queue) == 0 {
		f.queue = nil
		return
	}
	f.feed(ctx)
}

// tail asks whether the stream has more than was read, while something waits
// for that.
func (f *follower) tail(ctx context.Context) {
	now := time.Now()
	if len(f.queue) > 0 || now.Sub(f.asked) < tailTime || !f.t.marks.waiting() {
		return
	}
	f.asked = now
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	info, err := f.cons.Info(asking)
	if err == nil && info.NumPending == 0 && info.Delivered.Consumer == f.n {
		f.t.marks.readAll(now)
	}
}

// save keeps the place now and then; with a zero time in any case. What is not
// kept is compared again.
func (f *follower) save(ctx context.Context, now time.Time) {
	if f.at == f.saved || !now.IsZero() && now.Sub(f.keptn) < saveTime {
		return
	}
	f.keptn = now
	if f.fresh > 0 && (now.IsZero() || now.Sub(f.said) > sayTime) {
		f.t.cfg.Log.Info("events of the external NATS taken over", "stream", External, "n", f.fresh)
		f.fresh, f.said = 0, now
	}
	f.t.note(func(s *State) { s.Seq = f.at.Seq })
	saving, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := f.t.shelf.save(saving, f.at); err != nil {
		f.t.cfg.Log.Warn("place in the stream of the external NATS not kept, will try again", "stream", Stream, "err", err)
		return
	}
	f.saved = f.at
}
