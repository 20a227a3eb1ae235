package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

const (
	// fresh is for how long the state of the store stands for its state now.
	fresh = time.Second
	// storeTimeout is how long reading the state of the store may take.
	storeTimeout = 2 * time.Second
	// maxAsking bounds the questions that wait for the state of the store.
	maxAsking = 4096
	// group is the queue group of the gateways of a stamp: any one answers.
	group = "canary"
)

// AnswerConfig is what an Answerer needs. All fields but Hold are required.
type AnswerConfig struct {
	Me      topology.StampID
	Fed     *nats.Conn                      // account FED
	Store   func(ctx context.Context) error // reads the state of the stream that stores events
	Hash    func() string                   // of the topology in force
	Version string                          // of this program
	Packs   bool                            // whether it reads several events in one message
	Hold    func() string                   // why the stamp holds what begins something new, a word; empty if it does not
	Log     *slog.Logger
}

// An Answerer answers the questions of other stamps. Every gateway of a stamp
// runs one.
type Answerer struct {
	cfg AnswerConfig
	wg  sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	asking  []waiting  // for the state of the store
	looking bool       // somebody reads it
	looked  time.Time  // when it was last read
	problem string     // what came of it
}

// waiting is a question that has arrived.
type waiting struct {
	question
	from topology.StampID
	got  time.Time
}

// NewAnswerer checks cfg and returns an Answerer that does nothing until Run.
func NewAnswerer(cfg AnswerConfig) (*Answerer, error) {
	if cfg.Me == "" || cfg.Fed == nil || cfg.Store == nil || cfg.Hash == nil || cfg.Log == nil {
		return nil, errors.New("canary: incomplete configuration")
	}
	return &Answerer{cfg: cfg}, nil
}

// Run answers until ctx is cancelled. It may be called again after it has
// returned.
func (a *Answerer) Run(ctx context.Context, ready func()) error {
	sub, err := a.cfg.Fed.QueueSubscribe(bridge.CanaryAsksFor(a.cfg.Me), group, func(m *nats.Msg) { a.asked(ctx, m) })
	if err != nil {
		return fmt.Errorf("subscribe canaries: %w", err)
	}
	defer a.wg.Wait()
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	ready()
	<-ctx.Done()
	return nil
}

// asked answers a question, at once if the state of the store is known well
// enough. Where the answer goes follows from who asked: a reply subject that
// the asker chose could lead anywhere.
func (a *Answerer) asked(ctx context.Context, m *nats.Msg) {
	w := waiting{got: time.Now()}
	var ok bool
	_, w.from, _, ok = bridge.Address(m.Subject)
	if !ok || json.Unmarshal(m.Data, &w.question) != nil || !token(w.Asker) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx.Err() != nil || len(a.asking) >= maxAsking {
		return
	}
	a.asking = append(a.asking, w)
	switch {
	case a.looking:
	case time.Since(a.looked) < fresh:
		a.answerAll()
	default:
		a.looking = true
		a.wg.Go(func() { a.look(ctx) })
	}
}

// look reads the state of the store and answers whoever waits for it.
func (a *Answerer) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := a.cfg.Store(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.problem = ""
	if err != nil {
		a.problem = err.Error()
	}
	a.looked, a.looking = time.Now(), false
	a.answerAll()
}

// answerAll answers every question that waits. The caller holds mu.
func (a *Answerer) answerAll() {
	hold := ""
	if a.cfg.Hold != nil {
		hold = a.cfg.Hold()
	}
	for _, w := range a.asking {
		b, _ := json.Marshal(answer{ // numbers and texts
			question: w.question, Got: w.got.UnixNano(), Sent: w.got.Add(time.Since(w.got)).UnixNano(),
			Hash: a.cfg.Hash(), Version: a.cfg.Version, Packs: a.cfg.Packs, Hold: hold, Err: a.problem,
		})
		if err := a.cfg.Fed.Publish(bridge.CanaryAnswer(w.from, a.cfg.Me, w.Asker), b); err != nil {
			a.cfg.Log.Debug("canary not answered", "peer", w.from, "err", err)
		}
	}
	a.asking = a.asking[:0]
}

// token reports whether s can be one part of a subject.
func token(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 32
}
