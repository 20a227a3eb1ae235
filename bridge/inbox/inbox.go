package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
	// Ready reports whether the planes of a subject can take events, and if
	// not, why. nil is always.
	Ready func(subject string) (ok bool, why string)
	// Subscribers returns the stamp's clients that subscribe to a subject. nil
	// is nobody that is known: nothing is paced.
	Subscribers func(subject string) []Subscriber
	// Unanswered reports whether it is sure that no plane of this stamp has
	// answered a task. nil is never known to have.
	Unanswered func(triggered string) bool

	Window     time.Duration // how long an event is known after delivery; 0 is 24 h, which is the least
	MaxWait    time.Duration // how long an event may wait for a subscriber; 0 is 72 h
	MaxWaiting int           // how many events may wait for a subscriber; 0 is 100,000
	// MaxWaitingBytes is how much may wait for a subscriber; 0 is 1 GiB.
	MaxWaitingBytes int64
	// DoubtTime is how long an answer is waited for before a task is given
	// again that a plane may have got; 0 is 3 s.
	DoubtTime time.Duration
	// ReofferAfter is after what time a task that nobody answered is given
	// again, at most ReofferTimes times; 0 is never.
	ReofferAfter time.Duration
	ReofferTimes int // 0 is 1
	Replicas     int // of the streams; 0 is 1
	Log          *slog.Logger
	Metrics      prometheus.Registerer
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

func (c *Config) setDefaults() {
	c.Window = cmp.Or(c.Window, 24*time.Hour)
	c.MaxWait = cmp.Or(c.MaxWait, 72*time.Hour)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 100_000)
	c.MaxWaitingBytes = cmp.Or(c.MaxWaitingBytes, 1<<30)
	c.DoubtTime = cmp.Or(c.DoubtTime, 3*time.Second)
	c.ReofferTimes = cmp.Or(c.ReofferTimes, 1)
	c.Replicas = max(c.Replicas, 1)
	if c.Ready == nil {
		c.Ready = func(string) (bool, string) { return true, "" }
	}
	if c.Subscribers == nil {
		c.Subscribers = func(string) []Subscriber { return nil }
	}
	if c.Unanswered == nil {
		c.Unanswered = func(string) bool { return true }
	}
}

// An Inbox delivers the events of one stamp. Its exported methods are safe for
// concurrent use.
type Inbox struct {
	cfg     Config
	metrics *metrics
	state   *stateStore
	stream  jetstream.Stream
	report  atomic.Pointer[[]Waiting]

	nudged chan struct{} // one place: commit soon
	asked  chan func()   // questions to run

	mu      sync.Mutex // guards the following fields
	running bool
	noted   []string // ids of tasks that planes answered
	after   []func() // to be called after a commit

	// owned by run
	progress   progress
	loaded     bool // progress was read from RW_STATE
	known      *memory
	waiting    *waitlist
	claims     *claims
	fresh      []uint64 // settled, but not yet in RW_STATE
	dirty      bool     // RW_STATE lacks something else
	unflushed  bool     // something was published since the last flush
	stale      bool     // the report is not what waits
	lanes      map[string]*lane
	slow       map[string]bool // subjects whose subscribers do not keep up
	busy       map[string]int  // contexts of which an event waits, and how many do
	behind     map[string][]*waiter
	nBehind    int
	freed      []string // contexts that may go on
	givens     *givens
	doubts     map[string]*doubt          // by id
	seen       map[string]map[uint64]bool // subscribers at the last look, by subject
	suspects   map[string]int             // how many more arrivals of a subject may have been published before; nil: none
	suspectsTo uint64                     // the last of RW_IN that may
	lookedAt   time.Time
}

// New checks cfg and returns an Inbox that does nothing until Run.
func New(cfg Config) (*Inbox, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	in := &Inbox{cfg: cfg, metrics: newMetrics(cfg.Metrics), nudged: make(chan struct{}, 1), asked: make(chan func())}
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
// progress, and so how many are doubtful after a crash.
const batchSize = 256

// reset forgets what an earlier run had in hand: it is still in the stream.
func (in *Inbox) reset() {
	in.waiting, in.claims = newWaitlist(), newClaims(in.cfg.Fed, in.cfg.Me)
	in.fresh, in.dirty, in.unflushed, in.stale = nil, false, false, true
	in.lanes, in.slow = map[string]*lane{}, map[string]bool{}
	in.busy, in.behind = map[string]int{}, map[string][]*waiter{}
	in.nBehind, in.freed = 0, nil
	in.doubts, in.seen = map[string]*doubt{}, map[string]map[uint64]bool{}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running = true
}

// rest lets nobody wait for a commit that does not come.
func (in *Inbox) rest() {
	in.mu.Lock()
	in.running = false
	in.mu.Unlock()
	for _, f := range in.takeAfter() {
		f()
	}
}

// Run stores and delivers until ctx is cancelled. It calls ready once events
// can be stored and delivered, and returns when every goroutine it started has
// ended. It may be called again after it has returned.
func (in *Inbox) Run(ctx context.Context, ready func()) error {
	in.reset()
	defer in.rest()
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
	if err = in.recall(ctx); err != nil {
		return err
	}
	in.known, err = remember(ctx, in.stream, in.cfg.Me)
	return err
}

// recall reads how far an earlier run or process has come, and what of it is
// in doubt.
func (in *Inbox) recall(ctx context.Context) error {
	p, err := in.state.load(ctx)
	if err != nil {
		return err
	}
	if !in.loaded { // a later run knows more than a disk that could not be written
		in.progress, in.loaded = p, true
	}
	last := in.stream.CachedInfo().State.LastSeq
	in.progress.clip(last)
	in.suspects, in.suspectsTo = nil, last
	if !in.progress.Clean {
		in.suspects = map[string]int{}
	}
	in.givens = newGivens(in.progress.Answering)
	for _, seq := range in.progress.Given {
		if err := in.recallGiven(ctx, seq); err != nil {
			return err
		}
	}
	in.progress.Clean = false
	return in.state.save(ctx, in.progress)
}

// recallGiven doubts a task that planes were given before this start: their
// connections ended with the process.
func (in *Inbox) recallGiven(ctx context.Context, seq uint64) error {
	a, err := in.reread(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e, err := bridge.Parse(a.subject, a.body)
	if err != nil || !in.givens.answering[a.subject] {
		return nil //nolint:nilerr // it was delivered; only its answer would count
	}
	a.id, a.context = e.ID, e.Context
	in.doubt(waiterOf(a), 0)
	return nil
}

// How often what waits is looked at: quickly while something that was published
// has not reached its subscribers' sockets.
const (
	lookEvery = 50 * time.Millisecond
	lookSoon  = time.Millisecond
)

// loop delivers what arrives, and looks from time to time for subscribers of
// what waits.
func (in *Inbox) loop(ctx context.Context, arrived <-chan jetstream.Msg) error {
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	forget := time.NewTicker(time.Minute)
	defer forget.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return in.finish(ctx)
		case m := <-arrived:
			err = in.take(ctx, m, arrived)
		case answer := <-in.claims.answers:
			err = in.granted(ctx, answer)
		case <-in.cfg.Gate.Wake():
			err = in.readmit(ctx)
		case <-in.nudged:
			err = in.commit(ctx)
		case question := <-in.asked:
			question()
		case now := <-look.C:
			err = in.look(ctx, now)
			look.Reset(in.lookAgain())
		case now := <-forget.C:
			in.forget(ctx, now)
		}
		if err == nil {
			err = in.advance(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if len(in.lanes) > 0 {
			look.Reset(lookSoon)
		}
	}
}

func (in *Inbox) lookAgain() time.Duration {
	if len(in.lanes) > 0 {
		return lookSoon
	}
	return lookEvery
}

// look does what nobody tells of.
func (in *Inbox) look(ctx context.Context, now time.Time) error {
	if now.Sub(in.lookedAt) >= lookEvery {
		in.lookedAt = now
		in.watchPlanes(now)
		if err := in.askClaims(now); err != nil {
			return err
		}
		if in.stale {
			in.publishReport()
		}
	}
	return in.retry(ctx, now)
}

// finish notes what was delivered before an orderly stop.
func (in *Inbox) finish(ctx context.Context) error {
	if err := in.commit(ctx); err != nil {
		return err
	}
	in.progress.Clean = len(in.lanes) == 0
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout*4)
	defer cancel()
	return in.note(ctx)
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

// note writes down what is settled.
func (in *Inbox) note(ctx context.Context) error {
	crash.At(crash.InboxFlushed)
	defer crash.At(crash.InboxSaved)
	if err := in.cfg.Gate.Commit(ctx); err != nil {
		return err
	}
	for _, seq := range in.fresh {
		in.progress.done(seq)
	}
	in.fresh, in.dirty = in.fresh[:0], false
	in.progress.Given, in.progress.Answering = in.givens.seqs(), in.givens.subjects()
	return in.state.save(ctx, in.progress)
}
