package canary

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

const (
	// minPatience is how long an answer may take before the question counts as
	// lost, if the interval is not longer.
	minPatience = 2 * time.Second
	// firstWithin is how long after the start the first questions are spread.
	firstWithin = time.Second
	// grain is how long questions that are due are collected: one wake-up
	// sends them all.
	grain = 20 * time.Millisecond
	// After a start and a change of links, peers from which there is no good answer
	// are asked between times, for some time: a way opens in a moment, and what a
	// peer says decides how events are sent to it. That nobody answers such a
	// question is no loss.
	soonEvery = 500 * time.Millisecond
	soonFor   = 3 * time.Second
	// soonMost bounds these questions to one peer, where links come and go all the
	// time. One more is allowed with each of the others.
	soonMost = 10
	// soonSpread is over which time they are spread.
	soonSpread = 100 * time.Millisecond
)

// AskConfig is what an Asker needs. All fields but Metrics are required.
type AskConfig struct {
	Me       topology.StampID
	Fed      *nats.Conn                // account FED
	Peers    func() []topology.StampID // whom to ask; called by Run and Refresh
	Interval time.Duration             // between two questions to a peer, a tenth more or less
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}

// An Asker asks every peer whether events get through. Of several gateways of
// a stamp one asks. Its methods are safe for concurrent use.
type Asker struct {
	cfg     AskConfig
	name    string // of this process, for answers to find it
	metrics *metrics
	kicked  chan struct{} // one place: the peers may have changed
	linked  chan struct{} // one place: links have changed

	mu    sync.Mutex // guards the following fields
	peers map[topology.StampID]*record
	eager time.Time // until then, who does not answer is asked again soon
}

// NewAsker checks cfg and returns an Asker that does nothing until Run.
func NewAsker(cfg AskConfig) (*Asker, error) {
	switch {
	case cfg.Me == "" || cfg.Fed == nil || cfg.Peers == nil || cfg.Log == nil:
		return nil, errors.New("canary: incomplete configuration")
	case cfg.Interval <= 0:
		return nil, fmt.Errorf("canary: interval %s is not positive", cfg.Interval)
	}
	a := &Asker{
		cfg: cfg, name: strings.ToLower(rand.Text()),
		kicked: make(chan struct{}, 1), linked: make(chan struct{}, 1), peers: map[topology.StampID]*record{},
	}
	a.metrics = newMetrics(cfg.Metrics, a.Peers)
	return a, nil
}

// Run asks until ctx is cancelled. It may be called again after it has
// returned, and then knows nothing of the run before.
func (a *Asker) Run(ctx context.Context, ready func()) error {
	sub, err := a.cfg.Fed.Subscribe(bridge.CanaryAnswersFor(a.cfg.Me, a.name), a.answered)
	if err != nil {
		return fmt.Errorf("subscribe canary answers: %w", err)
	}
	defer a.forget()
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	select {
	case <-a.linked: // of a time before this run
	default:
	}
	a.meet(time.Now())
	a.hurry(time.Now())
	ready()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var next time.Time // when timer fires
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.kicked:
			a.meet(time.Now())
			timer.Reset(0)
		case <-a.linked:
			now := time.Now()
			a.hurry(now)
			if soon := now.Add(grain); soon.Before(next) { // never later: links may change all the time
				timer.Reset(grain)
				next = soon
			}
		case now := <-timer.C:
			pause := a.round(now)
			timer.Reset(pause)
			next = time.Now().Add(pause)
		}
	}
}

// Refresh asks for the peers again. Call it when the topology has changed.
func (a *Asker) Refresh() {
	select {
	case a.kicked <- struct{}{}:
	default: // on its way
	}
}

// LinksChanged asks the peers again that have not answered. Call it when a link goes up
// or down.
func (a *Asker) LinksChanged() {
	select {
	case a.linked <- struct{}{}:
	default: // on its way
	}
}

// hurry has those asked soon who do not answer.
func (a *Asker) hurry(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.eager = now.Add(soonFor)
	for _, r := range a.peers {
		r.askSoon(now.Add(mrand.N(soonSpread))) //nolint:gosec // jitter
	}
}

// Packs reports whether a peer has said that it reads several events in one
// message.
func (a *Asker) Packs(peer topology.StampID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.peers[peer]
	return r != nil && r.Packs
}

// Peers returns what is known of every peer, by name. It is empty while Run
// does not run.
func (a *Asker) Peers() []Peer {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Peer, 0, len(a.peers))
	for _, r := range a.peers {
		out = append(out, r.Peer)
	}
	slices.SortFunc(out, func(x, y Peer) int { return strings.Compare(string(x.Stamp), string(y.Stamp)) })
	return out
}

// meet adds new peers and drops those that are peers no longer.
func (a *Asker) meet(now time.Time) {
	want := map[topology.StampID]bool{}
	for _, id := range a.cfg.Peers() {
		want[id] = id != a.cfg.Me
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.peers {
		if !want[id] {
			delete(a.peers, id)
			a.metrics.drop(id)
		}
	}
	spread := min(a.cfg.Interval, firstWithin)
	for id, is := range want {
		if is && a.peers[id] == nil {
			a.peers[id] = &record{
				Peer: Peer{Stamp: id, Since: now}, extra: soonMost,
				due: now.Add(mrand.N(spread)), //nolint:gosec // jitter
			}
		}
	}
}

func (a *Asker) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.peers {
		a.metrics.drop(id)
	}
	clear(a.peers)
}

// round asks whoever is due and returns when the next one is.
func (a *Asker) round(now time.Time) time.Duration {
	patience := max(a.cfg.Interval, minPatience)
	a.mu.Lock()
	defer a.mu.Unlock()
	next := a.cfg.Interval
	for id, r := range a.peers {
		a.metrics.lose(id, r.expire(now.Add(-patience)))
		switch {
		case !r.due.After(now):
			r.extra = min(r.extra+1, soonMost)
			a.send(id, r.ask(now, a.name, false))
			r.due = now.Add(a.cfg.Interval*9/10 + mrand.N(a.cfg.Interval/5+1)) //nolint:gosec // jitter
		case !r.soon.IsZero() && !r.soon.After(now):
			r.extra--
			a.send(id, r.ask(now, a.name, true))
		}
		if now.Before(a.eager) {
			r.askSoon(now)
		}
		next = min(next, r.due.Sub(now))
		if !r.soon.IsZero() {
			next = min(next, r.soon.Sub(now))
		}
	}
	return max(next, grain)
}

func (a *Asker) send(to topology.StampID, q question) {
	m := nats.NewMsg(bridge.CanaryAsk(to, a.cfg.Me))
	// Only the server answers there, if nobody hears the question.
	m.Reply = bridge.CanaryAnswer(a.cfg.Me, to, a.name)
	m.Data, _ = json.Marshal(q) // numbers and a name
	if err := a.cfg.Fed.PublishMsg(m); err != nil {
		a.cfg.Log.Debug("canary lost", "peer", to, "err", err)
	}
}

// answered takes a peer's answer, or the server's that there is no way.
func (a *Asker) answered(m *nats.Msg) {
	now := time.Now()
	_, from, _, ok := bridge.Address(m.Subject)
	if !ok {
		return
	}
	var ans answer
	refused := m.Header.Get("Status") == "503"
	if !refused && json.Unmarshal(m.Data, &ans) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.peers[from]
	switch {
	case r == nil:
	case refused:
		a.metrics.lose(from, r.refuse(errNoWay.Error()))
	case r.take(now, ans):
		if ans.Err != "" {
			a.metrics.lose(from, 1)
		}
		a.metrics.delay.WithLabelValues(string(from)).Set(r.Delay.Seconds())
	}
}
