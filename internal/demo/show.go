package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// ShowConfig is what a Show needs.
type ShowConfig struct {
	Federation Federation
	Controls   []ControlSpec
	// Stages holds, by stamp, the stages whose events a stamp may get. Planes
	// beside a control plane take only these, since they hear everything it
	// says; planes elsewhere take all that arrives, to show that nothing wrong
	// does.
	Stages map[string][]string
	Work   time.Duration // that a plane takes for a task

	For    time.Duration // sends for so long; 0 is until Events are sent or ctx is cancelled
	Events int           // sends at least so many deliveries; 0 is without bound
	Cuts   []CutSpec
	Drain  time.Duration // longest wait for what is on its way at the end; 0 is 30 s
	Linger time.Duration // look-out for late copies after that; 0 is 500 ms

	Log   *slog.Logger // nil discards
	Now   func() time.Time
	OnLog func(string) // told, in one line, what a person should see; nil for nobody
}

// A ControlSpec is a control plane of the show.
type ControlSpec struct {
	Stamp string
	Flow  Flow
}

// A CutSpec cuts a stamp off for a while.
type CutSpec struct {
	Stamp string
	After time.Duration // from the first event
	For   time.Duration
}

// A Show runs control planes and planes on a federation and keeps the Ledger
// of what they saw.
type Show struct {
	cfg      ShowConfig
	ledger   *Ledger
	controls []*ControlPlane
	parts    []part

	mu    sync.Mutex
	phase string
}

// A part is a component of a Show.
type part struct {
	name string
	run  func(ctx context.Context, ready func()) error
}

// The services of every execution stamp. That they have the same names
// everywhere is the point: in one NATS account they would share their queue
// groups and lose each other's events.
const (
	deployer = "helm-service"
	tester   = "jmeter-service"
	notifier = "notification-service"
)

// NewShow builds what cfg describes. Federation must be running, for its
// stamps' URLs to be known.
func NewShow(cfg ShowConfig) (*Show, error) {
	cfg.Drain = cmp.Or(cfg.Drain, 30*time.Second)
	cfg.Linger = cmp.Or(cfg.Linger, 500*time.Millisecond)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OnLog == nil {
		cfg.OnLog = func(string) {}
	}
	s := &Show{cfg: cfg, phase: "starting"}
	s.ledger = NewLedger(LedgerConfig{Route: cfg.Federation.Route, Now: cfg.Now})
	stamps := cfg.Federation.Stamps()
	for _, spec := range cfg.Controls {
		if err := s.addControl(stamps, spec); err != nil {
			return nil, err
		}
	}
	if len(s.controls) == 0 {
		return nil, errors.New("no stamp has a control plane")
	}
	for _, info := range stamps {
		if err := s.addPlanes(info); err != nil {
			return nil, err
		}
	}
	for _, c := range cfg.Cuts {
		if !slices.ContainsFunc(stamps, func(i StampInfo) bool { return i.Name == c.Stamp }) {
			return nil, fmt.Errorf("cut %s: no such stamp", c.Stamp)
		}
	}
	return s, nil
}

// addControl adds the control plane of spec.
func (s *Show) addControl(stamps []StampInfo, spec ControlSpec) error {
	i := slices.IndexFunc(stamps, func(i StampInfo) bool { return i.Name == spec.Stamp })
	if i < 0 {
		return fmt.Errorf("control plane in %s: no such stamp", spec.Stamp)
	}
	c, err := NewControlPlane(ControlConfig{
		URL: stamps[i].URL, Seat: s.ledger.Join(NewControlParty(spec.Stamp)), Flow: spec.Flow,
		Log: s.cfg.Log.With("stamp", spec.Stamp), Now: s.cfg.Now, OnLog: s.cfg.OnLog,
	})
	if err != nil {
		return fmt.Errorf("control plane in %s: %w", spec.Stamp, err)
	}
	s.controls = append(s.controls, c)
	s.parts = append(s.parts, part{"control plane in " + spec.Stamp, c.Run})
	return nil
}

// addPlanes adds the planes of one stamp.
func (s *Show) addPlanes(info StampInfo) error {
	var stages []string
	if info.Control {
		if stages = s.cfg.Stages[info.Name]; len(stages) == 0 {
			return nil
		}
	}
	if !info.Execution {
		return nil
	}
	for _, p := range []Party{
		NewPlaneParty(info.Name, deployer, []string{"deployment"}, stages),
		NewPlaneParty(info.Name, tester, []string{"test"}, stages),
		NewWatcherParty(info.Name, notifier, typePrefix+"*.delivery.>"),
	} {
		plane, err := NewPlane(PlaneConfig{
			URL: info.URL, Seat: s.ledger.Join(p), Work: s.cfg.Work,
			Log: s.cfg.Log.With("stamp", info.Name, "plane", p.Name), Now: s.cfg.Now,
		})
		if err != nil {
			return fmt.Errorf("plane %s in %s: %w", p.Name, info.Name, err)
		}
		s.parts = append(s.parts, part{fmt.Sprintf("plane %s in %s", p.Name, info.Name), plane.Run})
	}
	return nil
}

// Run starts everybody, calls ready, sends until it has sent what it should or
// ctx is cancelled, waits for what is on its way, and returns when all is
// over. The error is about the show itself; whether anything was lost is in
// the Summary. Run is called once.
func (s *Show) Run(ctx context.Context, ready func()) (Summary, error) {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end(nil)
	if err := s.start(ctx, life, end, &wg); err != nil {
		return Summary{}, err
	}
	s.enter("running")
	ready()
	began := s.cfg.Now()
	s.send(ctx, life)
	s.settle(life)
	took := s.cfg.Now().Sub(began)
	if cause := context.Cause(life); cause != nil {
		return Summary{}, cause
	}
	s.enter("over")
	return s.summary(took), nil
}

// start runs every part and returns when all are ready. A part that fails ends
// life with its error.
func (s *Show) start(ctx, life context.Context, end context.CancelCauseFunc, wg *sync.WaitGroup) error {
	up := make(chan struct{}, len(s.parts))
	for _, p := range s.parts {
		wg.Go(func() {
			if err := p.run(life, func() { up <- struct{}{} }); err != nil {
				end(fmt.Errorf("%s: %w", p.name, err))
			}
		})
	}
	for range s.parts {
		select {
		case <-up:
		case <-life.Done():
			return context.Cause(life)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// send runs the sequences and the cuts, and returns when the last sequence has
// ended and every cut is healed.
func (s *Show) send(ctx, life context.Context) {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	if s.cfg.For > 0 {
		defer time.AfterFunc(s.cfg.For, stop).Stop()
	}
	var cuts, drives sync.WaitGroup
	for _, c := range s.cfg.Cuts {
		cuts.Go(func() { s.cut(sending, life, c) })
	}
	for i, c := range s.controls {
		drives.Go(func() {
			if err := c.Drive(sending, s.sequences(i)); err != nil {
				s.cfg.Log.Debug("sending ended", "err", err) // life has ended, and knows why
			}
		})
	}
	drives.Wait()
	stop()
	cuts.Wait()
}

// sequences returns how many sequences control plane i runs to send its share
// of Events; 0 is without bound.
func (s *Show) sequences(i int) int {
	if s.cfg.Events == 0 {
		return 0
	}
	share := (s.cfg.Events + len(s.controls) - 1) / len(s.controls)
	n := 0
	for share > 0 && n < s.cfg.Events {
		share -= max(1, s.controls[i].Cost(n))
		n++
	}
	return n
}

// settle waits until everything has arrived, or not in time, and then for late
// copies.
func (s *Show) settle(life context.Context) {
	s.enter("draining")
	ctx, cancel := context.WithTimeout(life, s.cfg.Drain)
	defer cancel()
	if err := s.ledger.Wait(ctx); err != nil {
		s.cfg.OnLog(fmt.Sprintf("gave up waiting after %s: %d events have not arrived", s.cfg.Drain, s.ledger.Totals().Lost))
	}
	pause(life, s.cfg.Linger)
}

// enter notes a phase.
func (s *Show) enter(phase string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phase
}

// pause waits for d, and reports false if ctx was cancelled first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
