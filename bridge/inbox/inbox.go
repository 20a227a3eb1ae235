package inbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
)

// An Inbox delivers the events of one stamp. Its exported methods are safe for
// concurrent use.
type Inbox struct {
	cfg     Config
	metrics *metrics
	state   *stateStore
	stream  jetstream.Stream
	report  atomic.Pointer[[]Waiting]

	heldNow atomic.Int64           // as in the report
	known   atomic.Pointer[memory] // of the run; nil before it has read what there is

	nudged chan struct{} // one place: commit soon
	asked  chan func()   // questions to run

	mu    sync.Mutex // guards the following fields
	noted []string   // ids of tasks that planes answered
	after []func()   // to be called after a commit

	// owned by run
	progress   progress
	id         string    // of this Inbox, in what it writes
	loaded     bool      // progress was read from RW_STATE
	yields     time.Time // until then another replica is left in peace
	waiting    *waitlist
	bodies     *bodies        // of some that wait
	outgoing   nats.Msg       // the last one that was published
	headers    nats.Header    // of it
	lastPack   pack           // the one that was read again last
	holding    bridge.Holding // what an operator wants, as last heeded
	thawing    []*waiter      // what was held and is being let go, in order of arrival
	claims     *claims
	held       map[place]bool // answers that the gate holds
	fresh      []place        // settled, but not yet in RW_STATE
	dirty      bool           // RW_STATE lacks something else
	staged     []arrival      // in their lanes, to be published once that is noted
	opened     [][2]place     // announced by an earlier run or process
	reopened   map[place]bool // those of them that were met again
	published  int            // without staging, since the last write of the progress
	unsaved    []string       // ids of tasks that were answered, which RW_STATE may not know of
	unflushed  bool           // something was published since the last flush
	stale      bool           // the report is not what waits
	lanes      map[string]*lane
	slow       map[string]bool // subjects whose subscribers do not keep up
	eager      bool            // what waits may be deliverable by now
	busy       map[string]int  // contexts of which an event waits, and how many do
	behind     map[string][]*waiter
	nBehind    int
	freed      []string // contexts that may go on
	givens     *givens
	doubts     map[string]*doubt // by id
	subscribed map[string]*crowd // subscribers at the last look, by subject
	suspects   map[string]int    // how many more arrivals of a subject may have been published before; nil: none
	suspectsTo place             // the last of RW_IN that may
	passed     []place           // published, no tasks, and not noted yet
	early      map[string]bool   // answered, and not read again since the start
	lookedAt   time.Time
	seen       delivery
}

// New checks cfg and returns an Inbox that does nothing until Run.
func New(cfg Config) (*Inbox, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	in := &Inbox{cfg: cfg, metrics: newMetrics(cfg.Metrics), nudged: make(chan struct{}, 1), asked: make(chan func()), id: rand.Text()}
	in.report.Store(&[]Waiting{})
	return in, nil
}

// askTimeout is how long an answer of JetStream is waited for. Where a stamp
// has replicas, the one that should answer may be gone, and asking the next is
// sooner than waiting.
const askTimeout = time.Second

// yieldTime is how long one that was deposed does not run again: longer than a
// lease, so that by then it is told to stop, if another has it. To begin writes
// the progress, and so it would depose the other in turn.
const yieldTime = 2 * time.Second

// heartbeat is how often the server says that a consumer is alive, where it may
// move from one replica to another.
const heartbeat = time.Second

// batchSize bounds how many events are taken, or published by a single replica,
// between two writes of the progress.
const batchSize = 256

// reset forgets what an earlier run had in hand: it is still in the stream. What
// that had published and not noted is known to be published, and only after the
// death of a process nobody knows; tasks are doubted all the same, until they are
// answered.
func (in *Inbox) reset() {
	for _, seq := range in.passed {
		in.progress.done(seq)
	}
	in.passed = nil
	in.holding, in.thawing = in.cfg.Holding(), nil
	in.waiting, in.bodies, in.claims = newWaitlist(), newBodies(), newClaims(in.cfg.Fed, in.cfg.Me)
	in.held, in.lastPack = map[place]bool{}, pack{}
	in.fresh, in.dirty, in.unflushed, in.stale = nil, false, false, true
	in.staged, in.published = nil, 0
	in.lanes, in.slow, in.eager = map[string]*lane{}, map[string]bool{}, false
	in.busy, in.behind = map[string]int{}, map[string][]*waiter{}
	in.nBehind, in.freed = 0, nil
	in.doubts, in.subscribed = map[string]*doubt{}, map[string]*crowd{}
	in.early = map[string]bool{}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.noted, in.unsaved = append(in.unsaved, in.noted...), nil
}

// Run stores and delivers until ctx is cancelled. It calls ready once events
// can be stored and delivered, and returns when every goroutine it started has
// ended. It may be called again after it has returned.
func (in *Inbox) Run(ctx context.Context, ready func()) (err error) {
	select {
	case <-time.After(time.Until(in.yields)):
	case <-ctx.Done():
		return nil
	}
	defer func() {
		if errors.Is(err, errDeposed) {
			in.yields = time.Now().Add(yieldTime)
		}
	}()
	in.reset()
	defer in.known.Store(nil) // another replica may meet what comes from now on
	in.seen = delivery{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // lets go of a delivery that nobody reads any more
	if err := in.open(ctx); err != nil {
		return err
	}
	cons, err := jstream.Reader(ctx, in.stream, max(1, in.progress.unread()))
	if err != nil {
		return fmt.Errorf("open consumer of %s: %w", StreamIn, err)
	}
	arrived, lost := make(chan jetstream.Msg, 1024), make(chan error, 1)
	cc, err := cons.Consume(func(m jetstream.Msg) {
		select {
		case arrived <- m:
		case <-ctx.Done():
		}
	}, in.pull(lost)...)
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
	return in.loop(ctx, arrived, lost)
}

// pull says how to read. What ails the consumer comes by lost.
func (in *Inbox) pull(lost chan<- error) []jetstream.PullConsumeOpt {
	opts := []jetstream.PullConsumeOpt{
		jetstream.PullMaxMessages(1000),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			select {
			case lost <- err:
			default: // one is enough
			}
		}),
	}
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
	if in.stream, err = jstream.Ensure(ctx, fed, inStream(in.cfg.Me, in.cfg.Replicas)); err != nil {
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
	known, err := remember(ctx, in.stream, in.cfg.Me)
	if err != nil {
		return err
	}
	in.known.Store(known)
	return nil
}
