package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/crash"
	"github.com/ringway/ringway/topology"
)

// DeadLetters keeps events that cannot be delivered. Put returns once the
// letter is stored.
type DeadLetters interface {
	Put(ctx context.Context, l bridge.Letter) error
}

// Config is what an Inbox needs. All fields but Metrics and those with a
// default are required.
type Config struct {
	Me          topology.StampID
	Fed         *nats.Conn                // account FED of the local server, with JetStream
	Relay       *nats.Conn                // account RELAY of the local server, with JetStream
	Deliver     *nats.Conn                // account DELIVER of the local server
	Interest    func(subject string) bool // whether a client of the stamp subscribes
	Router      func() *bridge.Router
	DeadLetters DeadLetters
	Gate        Gate
	Window      time.Duration // how long an event is known after delivery; 0 is 24 h, which is the least
	MaxWait     time.Duration // how long an event may wait for a subscriber; 0 is 72 h
	MaxWaiting  int           // how many events may wait; 0 is 100,000
	Replicas    int           // of the streams; 0 is 1
	Log         *slog.Logger
	Metrics     prometheus.Registerer
}

func (c Config) check() error {
	switch {
	case c.Me == "":
		return errors.New("inbox: no stamp")
	case c.Fed == nil || c.Relay == nil || c.Deliver == nil:
		return errors.New("inbox: no connection")
	case c.Interest == nil || c.Router == nil || c.DeadLetters == nil || c.Gate == nil || c.Log == nil:
		return errors.New("inbox: no interest, router, dead letters, gate or log")
	case c.Window != 0 && c.Window < 24*time.Hour:
		return fmt.Errorf("inbox: window %s is shorter than 24h", c.Window)
	}
	return nil
}

// An Inbox delivers the events of one stamp. Its exported methods are safe for
// concurrent use.
type Inbox struct {
	cfg     Config
	metrics *metrics
	state   *stateStore
	stream  jetstream.Stream
	report  atomic.Pointer[[]Waiting]

	// owned by run
	progress progress
	loaded   bool // progress was read from RW_STATE
	known    *memory
	waiting  *waitlist
	claims   *claims
	fresh    []uint64 // settled, but not yet in RW_STATE
	seen     delivery
}

// New checks cfg and returns an Inbox that does nothing until Run.
func New(cfg Config) (*Inbox, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Window == 0 {
		cfg.Window = 24 * time.Hour
	}
	if cfg.MaxWait == 0 {
		cfg.MaxWait = 72 * time.Hour
	}
	if cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = 100_000
	}
	cfg.Replicas = max(cfg.Replicas, 1)
	in := &Inbox{cfg: cfg, metrics: newMetrics(cfg.Metrics)}
	in.report.Store(&[]Waiting{})
	return in, nil
}

// askTimeout is how long an answer of JetStream is waited for. Where a stamp
// has replicas, the one that should answer may be gone, and asking the next is
// sooner than waiting.
const askTimeout = time.Second

// heartbeat is how often the server says that a consumer is alive, where it may
// move from one replica to another.
const heartbeat = time.Second

// batchSize bounds how many events are published between two writes of the
// progress, and so how many a crash between them could repeat.
const batchSize = 256

// Run stores and delivers until ctx is cancelled. It calls ready once events
// can be stored and delivered, and returns when every goroutine it started has
// ended. It may be called again after it has returned.
func (in *Inbox) Run(ctx context.Context, ready func()) error {
	in.waiting, in.claims, in.fresh = newWaitlist(), newClaims(in.cfg.Fed, in.cfg.Me), nil
	in.seen = delivery{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // lets go of a delivery that nobody reads any more
	if err := in.open(ctx); err != nil {
		return err
	}
	js, err := jetstream.New(in.cfg.Fed, jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	cons, err := js.OrderedConsumer(ctx, StreamIn, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   in.progress.Floor + 1,
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", StreamIn, err)
	}
	arrived := make(chan jetstream.Msg, 1024)
	cc, err := cons.Consume(func(m jetstream.Msg) {
		select {
		case arrived <- m:
		case <-ctx.Done():
		}
	}, in.pull()...)
	if err != nil {
		return fmt.Errorf("read %s: %w", StreamIn, err)
	}
	defer func() {
		cancel()
		cc.Stop()
		<-cc.Closed()
	}()
	answers, err := in.claims.listen(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = answers.Unsubscribe() }() // the connection may be closed already
	ready()
	return in.loop(ctx, arrived)
}

func (in *Inbox) pull() []jetstream.PullConsumeOpt {
	opts := []jetstream.PullConsumeOpt{jetstream.PullMaxMessages(1000)}
	if in.cfg.Replicas > 1 {
		opts = append(opts, jetstream.PullHeartbeat(heartbeat))
	}
	return opts
}

// open makes the streams and reads what an earlier process left.
func (in *Inbox) open(ctx context.Context) error {
	fed, err := jetstream.New(in.cfg.Fed, jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	if in.stream, err = fed.CreateOrUpdateStream(ctx, inStream(in.cfg.Me, in.cfg.Replicas)); err != nil {
		return fmt.Errorf("open stream %s: %w", StreamIn, err)
	}
	relay, err := jetstream.New(in.cfg.Relay, jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	if in.state, err = openState(ctx, relay, in.cfg.Replicas); err != nil {
		return err
	}
	if !in.loaded { // a later run knows more than a disk that could not be written
		if in.progress, err = in.state.load(ctx); err != nil {
			return err
		}
		in.loaded = true
	}
	in.progress.clip(in.stream.CachedInfo().State.LastSeq)
	in.known, err = remember(ctx, in.stream, in.cfg.Me)
	return err
}

// loop delivers what arrives, and looks from time to time for subscribers of
// what waits.
func (in *Inbox) loop(ctx context.Context, arrived <-chan jetstream.Msg) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	forget := time.NewTicker(time.Minute)
	defer forget.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case m := <-arrived:
			err = in.take(ctx, m, arrived)
		case answer := <-in.claims.answers:
			err = in.granted(ctx, answer)
		case <-in.cfg.Gate.Wake():
			err = in.readmit(ctx)
		case now := <-look.C:
			err = errors.Join(in.retry(ctx, now), in.askClaims(now))
		case now := <-forget.C:
			in.forget(ctx, now)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// take handles m and whatever else has arrived, up to a batch, and writes the
// progress down.
func (in *Inbox) take(ctx context.Context, m jetstream.Msg, arrived <-chan jetstream.Msg) error {
	err := in.arrive(ctx, m)
	for n := 1; err == nil && n < batchSize; n++ {
		select {
		case m = <-arrived:
			err = in.arrive(ctx, m)
			continue
		default:
		}
		break
	}
	return errors.Join(err, in.commit(ctx))
}

// commit makes sure that the server has what was published, then notes it as
// delivered. A crash before the flush delivers again what nobody got; one
// between the flush and the note delivers the batch twice: docs/invariants.md
// says how narrow that is, and what Keptn's own stream makes of it.
func (in *Inbox) commit(ctx context.Context) error {
	if len(in.fresh) == 0 {
		return nil
	}
	// A stop must not come between what was published and the note of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := in.cfg.Deliver.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("flush deliveries: %w", err)
	}
	crash.At(crash.InboxFlushed)
	defer crash.At(crash.InboxSaved)
	if err := in.cfg.Gate.Commit(ctx); err != nil {
		return err
	}
	crash.At(crash.InboxFlushed)
	defer crash.At(crash.InboxSaved)
	for _, seq := range in.fresh {
		in.progress.done(seq)
	}
	in.fresh = in.fresh[:0]
	return in.state.save(ctx, in.progress)
}
