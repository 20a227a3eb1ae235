package hold

import (
	"context"
	"encoding/json"
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
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// subject is the subject of the record.
const subject = "state.hold"

// MaxKept bounds the orders that are remembered.
const MaxKept = 200

const (
	// readEvery is how often the record is read again, where another replica may
	// have written it.
	readEvery = time.Second
	// askTimeout is how long an answer of JetStream is waited for.
	askTimeout = time.Second
	// writeTries is how often an order is tried that another came before.
	writeTries = 5
)

// Config is what a Keeper needs. All fields but Metrics are required.
type Config struct {
	Me      topology.StampID
	Relay   *nats.Conn             // account RELAY of the local server, with JetStream
	Stream  jetstream.StreamConfig // in which the record is
	Changed func(now State)        // is told what is in force, when that changes and at the start; one call at a time
	Log     *slog.Logger           //
	Metrics prometheus.Registerer  //
	Now     func() time.Time       // nil is time.Now
	// Replay sends dead letters on their way again, in order, and returns those
	// that went; the error is about the next. nil: this stamp keeps none.
	Replay func(ctx context.Context, letters []uint64) ([]uint64, error)
}

// A State is what is in force.
type State struct {
	bridge.Holding
	Level      string        `json:"level,omitempty"` // of logs; empty: as configured
	LevelUntil time.Time     `json:"levelUntil,omitzero"`
	Orders     []bridge.Done `json:"orders,omitempty"` // that were carried out, oldest first, MaxKept at most
}

// A Keeper keeps the State of a stamp. Its methods are safe for concurrent use.
type Keeper struct {
	cfg     Config
	metrics *metrics
	state   atomic.Pointer[State]

	mu     sync.Mutex // held while the record is read or written
	js     jetstream.JetStream
	stream jetstream.Stream // nil: not opened yet
	rev    uint64           // sequence of what was last read or written
	told   string           // what Changed was last told
	unsure bool             // the last write was not answered: the record is read again
}

// New checks cfg and returns a Keeper that knows of nothing until Load.
func New(cfg Config) (*Keeper, error) {
	if cfg.Me == "" || cfg.Relay == nil || cfg.Stream.Name == "" || cfg.Changed == nil || cfg.Log == nil {
		return nil, errors.New("hold: incomplete configuration")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	js, err := jetstream.New(cfg.Relay, jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	k := &Keeper{cfg: cfg, js: js, metrics: newMetrics(cfg.Metrics)}
	k.state.Store(&State{})
	return k, nil
}

// State returns what is in force, as far as it is known.
func (k *Keeper) State() State { return *k.state.Load() }

// Run reads the record, calls ready, and follows it until ctx is cancelled. It
// fails if the record cannot be read at first: whoever delivers has to know. It
// may be called again after it has returned, and by several at once.
func (k *Keeper) Run(ctx context.Context, ready func()) error {
	if err := k.Load(ctx); err != nil {
		return err
	}
	ready()
	k.Follow(ctx)
	return nil
}

// Follow reads the record from time to time until ctx is cancelled. That it
// cannot be read changes nothing.
func (k *Keeper) Follow(ctx context.Context) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if k.cfg.Stream.Replicas > 1 || k.doubts() {
			if err := k.Load(ctx); err != nil && ctx.Err() == nil {
				k.cfg.Log.Debug("orders not read, will try again", "err", err)
			}
		}
		k.mu.Lock()
		k.expire()
		k.mu.Unlock()
	}
}

// doubts reports whether an order may be in the record that is not in force here.
func (k *Keeper) doubts() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unsure
}

// Load reads the record.
func (k *Keeper) Load(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.load(ctx)
}

// load is Load. The caller holds mu.
func (k *Keeper) load(ctx context.Context) error {
	if k.stream == nil {
		s, err := jstream.Ensure(ctx, k.js, k.cfg.Stream)
		if err != nil {
			return fmt.Errorf("open stream %s: %w", k.cfg.Stream.Name, err)
		}
		k.stream = s
	}
	m, err := jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return k.stream.GetLastMsgForSubject(ctx, subject)
	})
	var s State
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		k.rev = 0
	case err != nil:
		k.stream = nil
		return fmt.Errorf("read %s: %w", k.cfg.Stream.Name, err)
	default:
		k.rev = m.Sequence
		if err := json.Unmarshal(m.Data, &s); err != nil {
			return fmt.Errorf("read %s: %w", k.cfg.Stream.Name, err)
		}
	}
	k.unsure = false
	k.state.Store(&s)
	k.tell(s)
	return nil
}

// tell says what is in force, if that has changed. The caller holds mu.
func (k *Keeper) tell(s State) {
	if !s.LevelUntil.IsZero() && !k.cfg.Now().Before(s.LevelUntil) {
		s.Level, s.LevelUntil = "", time.Time{}
	}
	s.Orders = nil
	if is := fmt.Sprint(s.Holding, s.Ended, s.Level, s.LevelUntil); is != k.told {
		k.told = is
		k.metrics.set(s.Holding)
		k.cfg.Changed(s)
	}
}

// expire ends a log level whose time is over. The caller holds mu.
func (k *Keeper) expire() { k.tell(*k.state.Load()) }

// An Outcome is what came of an order.
type Outcome struct {
	bridge.Done
	Repeated bool // it was carried out before
}

// Do carries out an order of who, a name and a public key, that came by the
// gateway of stamp via. It returns when that is stored. The same order does
// nothing the second time.
func (k *Keeper) Do(ctx context.Context, o bridge.Order, who, key string, via topology.StampID) (Outcome, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Now().UTC().Round(0) // as it is read again
	if err := o.Check(k.cfg.Me, now); err != nil {
		k.metrics.orders.WithLabelValues(verbLabel(o.Verb), "refused").Inc()
		return Outcome{}, err
	}
	var replayed replay
	for try := 1; ; try++ {
		if err := k.load(ctx); err != nil { // another replica may have written it
			return Outcome{}, err
		}
		s := *k.state.Load()
		for _, d := range s.Orders {
			if d.ID == o.ID {
				return Outcome{Done: d, Repeated: true}, nil
			}
		}
		d := bridge.Done{ID: o.ID, At: now, Verb: o.Verb, By: who, Key: key, Via: string(via), Reason: o.Reason}
		if o.Verb != bridge.VerbReplay {
			d.Result = s.apply(o, &d)
		} else if err := replayed.do(ctx, k.cfg.Replay, o.Letters, &d); err != nil {
			return Outcome{}, err
		}
		s.Orders = append(s.Orders[max(0, len(s.Orders)+1-MaxKept):len(s.Orders):len(s.Orders)], d)
		err := k.save(ctx, s)
		if errors.Is(err, errLate) && try < writeTries {
			continue
		}
		if err != nil {
			return Outcome{}, err
		}
		k.metrics.orders.WithLabelValues(verbLabel(o.Verb), "done").Inc()
		k.cfg.Log.Info("order carried out", "order", o.Verb, "by", who, "key", key, "peer", via, "reason", o.Reason)
		return Outcome{Done: d}, nil
	}
}

// apply changes what is in force, and says in a line what that came to.
func (s *State) apply(o bridge.Order, d *bridge.Done) string {
	switch {
	case o.Holds() && s.Mode == o.Verb:
		return "it was " + s.String() + " already"
	case o.Holds():
		was := s.Why()
		s.Holding = bridge.Holding{Mode: o.Verb, Since: d.At, By: d.By, Reason: o.Reason, Ended: s.Ended}
		if was != "" {
			return s.Why() + ", before that " + was
		}
		return s.Why()
	case o.Releases() && !s.On():
		return "it held nothing"
	case o.Releases():
		was := s.Holding
		s.Holding = bridge.Holding{Ended: d.At}
		return fmt.Sprintf("resumed, was %s for %s", was.Why(), d.At.Sub(was.Since).Round(time.Second))
	}
	s.Level, s.LevelUntil = o.Level, time.Time{}
	d.Level = o.Level
	switch {
	case o.Level == "":
		return "logs as configured"
	case o.For > 0:
		s.LevelUntil = d.At.Add(o.For)
		d.Until = s.LevelUntil
		return fmt.Sprintf("logs at level %s until %s", o.Level, d.Until.Format(time.RFC3339))
	}
	return "logs at level " + o.Level
}

// errLate reports that somebody else has written the record.
var errLate = errors.New("another order came first")

// save writes the record and puts it in force. The caller holds mu.
func (k *Keeper) save(ctx context.Context, s State) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write %s: %w", k.cfg.Stream.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	ack, err := k.js.Publish(ctx, subject, b, jetstream.WithExpectLastSequencePerSubject(k.rev))
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return errLate
	}
	if err != nil {
		k.unsure = true // it may have been written
		return fmt.Errorf("write %s: %w", k.cfg.Stream.Name, err)
	}
	k.rev = ack.Sequence
	k.state.Store(&s)
	k.tell(s)
	return nil
}

// verbLabel keeps what a stranger may write out of the labels of metrics.
func verbLabel(v bridge.Verb) string {
	switch v {
	case bridge.VerbFreeze, bridge.VerbDrain, bridge.VerbResume, bridge.VerbPromote, bridge.VerbLevel, bridge.VerbReplay:
		return string(v)
	}
	return "unknown"
}
