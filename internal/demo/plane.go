package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// connectWait bounds a first connection: a machine that starts many stamps at
// once is busy.
const connectWait = 20 * time.Second

// PlaneConfig is what a Plane needs.
type PlaneConfig struct {
	URL  string // of the stamp's NATS, as EVENTBROKER
	Seat *Seat  // joined with NewPlaneParty or NewWatcherParty
	// Work is how long a task takes, between .started and .finished.
	Work time.Duration
	Log  *slog.Logger // nil discards
	Now  func() time.Time
}

// NewPlaneParty returns the party of the service name in stamp that answers
// tasks, of the given stages only or of all if there are none.
func NewPlaneParty(stamp, name string, tasks, stages []string) Party {
	p := Party{Stamp: stamp, Name: name, Answers: true, Stages: stages}
	for _, t := range tasks {
		p.Patterns = append(p.Patterns, typePrefix+t+".triggered")
	}
	return p
}

// NewWatcherParty returns the party of a service that only looks on, as a
// notification service does.
func NewWatcherParty(stamp, name string, patterns ...string) Party {
	return Party{Stamp: stamp, Name: name, Patterns: patterns}
}

// A Plane behaves as a service made with Keptn's go-sdk, in NATS mode: it joins
// the queue group of its name, filters after delivery, does not notice
// duplicates, and answers without headers.
type Plane struct {
	cfg   PlaneConfig
	log   *slog.Logger
	slots chan struct{} // tasks at work

	publishing sync.Mutex // keeps the Ledger's order the order on the wire
}

// maxWork bounds the tasks that a Plane works on at once; more wait in the
// subscription.
const maxWork = 256

// NewPlane returns the Plane that cfg describes.
func NewPlane(cfg PlaneConfig) (*Plane, error) {
	if cfg.URL == "" || cfg.Seat == nil || cfg.Seat.Control {
		return nil, errors.New("plane needs a URL and the seat of a plane")
	}
	p := &Plane{cfg: cfg, log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)), slots: make(chan struct{}, maxWork)}
	if p.cfg.Now == nil {
		p.cfg.Now = time.Now
	}
	return p, nil
}

// Run subscribes, calls ready when the server knows it, and answers until ctx
// is cancelled. Run is called once.
func (p *Plane) Run(ctx context.Context, ready func()) error {
	nc, err := nats.Connect(p.cfg.URL, nats.Name(p.cfg.Seat.Name), nats.Timeout(connectWait),
		nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", p.cfg.URL, err)
	}
	defer nc.Close()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, pattern := range p.cfg.Seat.Patterns {
		sub, err := nc.QueueSubscribeSync(pattern, p.cfg.Seat.Name)
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", pattern, err)
		}
		if err := sub.SetPendingLimits(-1, -1); err != nil { // a demonstration must not lose events by itself
			return fmt.Errorf("subscribe to %s: %w", pattern, err)
		}
		wg.Go(func() { p.receive(ctx, nc, sub, &wg) })
	}
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	ready()
	<-ctx.Done()
	return nil
}

// receive takes in the events of one subscription until ctx is cancelled.
func (p *Plane) receive(ctx context.Context, nc *nats.Conn, sub *nats.Subscription, wg *sync.WaitGroup) {
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Error("subscription ended", "subject", sub.Subject, "err", err)
			}
			return
		}
		done := p.cfg.Seat.Work()
		p.cfg.Seat.Seen(m.Data)
		h, err := readHead(m.Data)
		if err != nil || !p.cfg.Seat.Answers || !p.cfg.Seat.takes(h.Data.Stage) {
			done()
			continue
		}
		if p.cfg.Work == 0 {
			p.answer(ctx, nc, h, m.Data)
			done()
			continue
		}
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			done()
			return
		}
		wg.Go(func() {
			defer done()
			defer func() { <-p.slots }()
			p.answer(ctx, nc, h, m.Data)
		})
	}
}

// answer does the work of one task: .started, a while, .finished.
func (p *Plane) answer(ctx context.Context, nc *nats.Conn, h head, body []byte) {
	var e struct {
		Data common `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		p.log.Debug("event dropped", "err", err) // as go-sdk does with what it cannot decode
		return
	}
	seat := p.cfg.Seat
	data := common{Project: e.Data.Project, Stage: e.Data.Stage, Service: e.Data.Service, Labels: map[string]string{}}
	for k, v := range e.Data.Labels {
		data.Labels[k] = v
	}
	data.Labels["stamp"] = seat.Stamp
	kind := strings.TrimSuffix(h.Type, ".triggered")
	p.publish(nc, h, kind+".started", data)
	if p.cfg.Work > 0 {
		t := time.NewTimer(p.cfg.Work)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
	data.Status, data.Result, data.Message = "succeeded", "pass", seat.Name+" in "+seat.Stamp
	p.publish(nc, h, kind+".finished", data)
}

// publish sends one answer. A failure is logged and the answer dropped, as in
// go-sdk.
func (p *Plane) publish(nc *nats.Conn, to head, typ string, data common) {
	body, err := newAnswer(to, typ, p.cfg.Seat.Name, data, p.cfg.Now())
	if err != nil {
		p.log.Error("answer dropped", "err", err)
		return
	}
	p.publishing.Lock()
	defer p.publishing.Unlock()
	p.cfg.Seat.Sent(body)
	if err := nc.Publish(typ, body); err != nil {
		p.cfg.Seat.Withdraw(body)
		p.log.Error("answer dropped", "err", err)
	}
}
