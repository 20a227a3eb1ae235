package takeover

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
)

// External is the name of Keptn's stream.
const External = "keptn"

// Config is what a Takeover needs. All fields but Replicas and Metrics are
// required.
type Config struct {
	External *nats.Conn // a client of the external NATS; it may be away
	Relay    *nats.Conn // account RELAY of the local server, with JetStream
	// Delivered reports, to several at once, whether the event with a key was brought into this stamp
	// by us.
	Delivered func(ctx context.Context, key bridge.Key) (bool, error)
	// ReadAll waits until everything that is captured by now was told by Heard;
	// it returns false when ctx ends before.
	ReadAll  func(ctx context.Context) bool
	Replicas int // of the stamp; 0 is 1
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil makes metrics that nobody sees
}

// A State says how a Takeover is doing.
type State struct {
	Following bool      `json:"following"`     // the stream is being read
	Seq       uint64    `json:"seq"`           // up to here it was compared
	Taken     uint64    `json:"taken"`         // events taken over since the start
	Missed    uint64    `json:"missed"`        // events removed or too old before they could be, since the start
	Since     time.Time `json:"since"`         // of the last change of Following
	Err       string    `json:"err,omitempty"` // why it does not follow
	Absent    bool      `json:"absent"`        // there is no stream keptn, which is as it should be where no Keptn runs
}

// A Takeover takes over what was not captured. Its methods are safe for
// concurrent use.
type Takeover struct {
	cfg     Config
	ext     jetstream.JetStream
	js      jetstream.JetStream // of RELAY
	shelf   *shelf
	marks   *marks
	metrics *metrics
	state   atomic.Pointer[State]
}

// askTime bounds one question.
const askTime = 2 * time.Second

// New checks cfg and returns a Takeover that holds up what is captured for a
// moment until Run has found out more.
func New(cfg Config) (*Takeover, error) {
	if cfg.External == nil || cfg.Relay == nil || cfg.Delivered == nil || cfg.ReadAll == nil || cfg.Log == nil {
		return nil, errors.New("takeover: no connection, way to ask or log")
	}
	t := &Takeover{cfg: cfg, marks: newMarks(time.Now()), metrics: newMetrics(cfg.Metrics)}
	var err error
	if t.ext, err = jetstream.New(cfg.External, jetstream.WithDefaultTimeout(askTime)); err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	if t.js, err = jetstream.New(cfg.Relay, jetstream.WithDefaultTimeout(askTime)); err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	t.shelf = &shelf{js: t.js, replicas: cfg.Replicas}
	t.state.Store(&State{Since: time.Now(), Err: "not asked yet"})
	return t, nil
}

// Heard implements outbox.Order.
func (t *Takeover) Heard(key bridge.Key, at time.Time) { t.marks.add(key, at) }

// May implements outbox.Order.
func (t *Takeover) May(key bridge.Key, at time.Time) bool { return t.marks.may(key, at, time.Now()) }

// Passed is for the outbox; see outbox.Order.
func (t *Takeover) Passed() []bridge.Key { return t.marks.told() }

// Changed implements outbox.Order.
func (t *Takeover) Changed() <-chan struct{} { return t.marks.changed }

// State returns how it is doing.
func (t *Takeover) State() State { return *t.state.Load() }

// Bounds of the wait before the stream is looked for again.
const (
	firstLook = 100 * time.Millisecond
	lastLook  = 2 * time.Second
	// silentLook is the same where nobody answers: each question is one that the
	// external server logs.
	silentLook = 30 * time.Second
)

// Run follows the external stream until ctx ends. It calls ready at once: a
// stream that is not there keeps nobody.
func (t *Takeover) Run(ctx context.Context, ready func()) error {
	ready()
	at, err := t.shelf.load(ctx)
	if err != nil {
		return err
	}
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		began := time.Now()
		at, err = t.follow(ctx, at)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		t.lost(err)
		switch {
		case errors.Is(err, errSilent):
			wait = silentLook
		case time.Since(began) > lastLook:
			wait = firstLook
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// lost takes note that the stream is not being read.
func (t *Takeover) lost(err error) {
	s := t.State()
	s.Absent = isAbsent(err)
	if was := s.Err; s.Following || was != err.Error() {
		if s.Absent {
			t.cfg.Log.Info("external NATS has no stream of Keptn", "stream", External, "err", err)
		} else {
			t.cfg.Log.Warn("stream of the external NATS is not followed, will try again", "stream", External, "err", err)
		}
	}
	if s.Following {
		s.Following, s.Since = false, time.Now()
	}
	s.Err = err.Error()
	t.state.Store(&s)
	// One that may not be read may not be read again in a moment, either. One
	// that was read a moment ago will be.
	switch {
	case s.Absent || errors.Is(err, errSilent):
		t.marks.set(absent)
	default:
		t.marks.set(unknown)
	}
}

// errSilent reports that the external NATS is there and does not answer: it
// does not let us ask.
var errSilent = errors.New("no answer: its user may not read the stream")

// errAway reports that there is no connection.
var errAway = errors.New("not connected")

func isAbsent(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

// open looks for the stream.
func (t *Takeover) open(ctx context.Context) (jetstream.Stream, *jetstream.StreamInfo, error) {
	if !t.cfg.External.IsConnected() {
		return nil, nil, errAway
	}
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	s, err := t.ext.Stream(asking, External)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && t.cfg.External.IsConnected() {
		err = errSilent
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open stream %s of %s: %w", External, t.cfg.External.ConnectedAddr(), err)
	}
	return s, s.CachedInfo(), nil
}

// begin returns where to read on.
func (t *Takeover) begin(at *place, info *jetstream.StreamInfo) place {
	first, last := max(info.State.FirstSeq, 1), info.State.LastSeq
	switch {
	case at == nil:
		t.cfg.Log.Info("stream of the external NATS is followed from now on", "stream", External, "n", last)
		return place{Created: info.Created, Seq: last}
	case !at.Created.Equal(info.Created), last < at.Seq:
		// Everything in it may have been published while we were away; what was
		// not is refused where it has been.
		t.cfg.Log.Warn("stream of the external NATS was made anew", "stream", External, "n", info.State.Msgs)
		return place{Created: info.Created, Seq: first - 1, Since: at.Since}
	case first > at.Seq+1:
		n := first - at.Seq - 1
		t.metrics.skipped.WithLabelValues(removed).Add(float64(n))
		t.note(func(s *State) { s.Missed += n })
		t.cfg.Log.Warn("events were removed from the stream of the external NATS before they were compared", "stream", External, "n", n)
		return place{Created: at.Created, Seq: first - 1, Since: at.Since}
	}
	return *at
}

// Reasons why an event is not taken over.
const (
	removed = "removed"
	tooOld  = "too-old"
)

// note changes the state. It is called by Run only.
func (t *Takeover) note(change func(*State)) {
	s := t.State()
	change(&s)
	t.state.Store(&s)
}
