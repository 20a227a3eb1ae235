package plane

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// Subjects in account RELAY, on which the replicas of a stamp tell each other
// what has changed. Nobody stores them.
const (
	changedSubject = "planes.changed" // a news
	seenSubject    = "planes.seen"    // a sighting
)

// A Registry knows the planes of a stamp, and what other stamps say of theirs.
// Its exported methods are safe for concurrent use.
type Registry struct {
	cfg     Config
	name    string // of this process, to tell its own news
	store   *store
	metrics *metrics
	kv      atomic.Pointer[jetstream.KeyValue] // nil: not opened yet
	loaded  chan struct{}                      // closed once the bucket was read
	nudged  chan struct{}                      // one place: something is to be passed on
	logged  chan struct{}                      // one place: a plane has something for the log

	mu      sync.Mutex // guards the following fields
	planes  map[string]*held
	copies  map[topology.StampID]*Copy
	polled  map[string]map[string]time.Time // by caller and type: when it was asked for last
	census  map[string]sighted              // clients of NATS, by server
	met     map[string]bool                 // planes that registered and subscribe, by id
	locks   map[string]*sync.Mutex          // by id: who changes a plane
	fresh   map[registered]time.Time        // when a control plane last confirmed a plane, where that is not stored
	refused map[registered]time.Time        // when a control plane refused a plane

	unsettled atomic.Bool               // a plane may not be ready
	polls     atomic.Pointer[pollIndex] // nil: to be made anew
	takers    atomic.Pointer[bridge.Planes]
	weighed   string // what takers was made of; owned by tellAll

	acting  atomic.Bool   // this replica speaks for the stamp
	rev     atomic.Uint64 // of what it told other stamps
	remotes remotes       // how it is going with the control planes
}

// held is a Record in memory. rec is replaced and never changed.
type held struct {
	stored

	seen    time.Time // when the plane last spoke
	pinged  time.Time // when it last became ready
	unsaved bool      // the bucket has something older
}

// replace puts rec in the place of what h has, and notes when the plane becomes
// ready by it. mu is held.
func (r *Registry) replace(h *held, rec *Record) {
	r.polls.Store(nil)
	if len(rec.Unready) > 0 || h.rec != nil && len(h.rec.Unready) > 0 {
		r.unsettled.Store(true)
	}
	if h.rec != nil && len(h.rec.Unready) > 0 && len(rec.Unready) == 0 {
		h.pinged = time.Now()
	}
	h.rec = rec
}

// New checks cfg and returns a Registry that knows nothing until Run.
func New(cfg Config) (*Registry, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s, err := newStore(cfg.Relay, cfg.Replicas)
	if err != nil {
		return nil, err
	}
	r := &Registry{
		cfg: cfg, name: rand.Text(), store: s,
		loaded: make(chan struct{}), nudged: make(chan struct{}, 1), logged: make(chan struct{}, 1),
		planes: map[string]*held{}, copies: map[topology.StampID]*Copy{}, polled: map[string]map[string]time.Time{},
		census: map[string]sighted{}, locks: map[string]*sync.Mutex{}, fresh: map[registered]time.Time{}, refused: map[registered]time.Time{},
		remotes: remotes{down: map[string]*outage{}},
	}
	r.metrics = newMetrics(cfg.Metrics, r)
	return r, nil
}

// A news is a Record that a replica has written.
type news struct {
	From string  `json:"from"`
	Rev  uint64  `json:"rev"`
	Rec  *Record `json:"rec"`
}

// A sighting says that planes have spoken.
type sighting struct {
	From   string   `json:"from"`
	Planes []string `json:"planes,omitempty"` // ids
	Caller string   `json:"caller,omitempty"` // that polls for Event
	Event  string   `json:"event,omitempty"`
}

// Run keeps the registry until ctx is cancelled: every replica of a stamp runs
// it. It calls ready when it hears the others; what they wrote before is read
// when the bucket can be.
func (r *Registry) Run(ctx context.Context, ready func()) error {
	subs := make([]*nats.Subscription, 0, 3)
	defer func() {
		for _, s := range subs {
			_ = s.Unsubscribe() // the connection may be closed already
		}
	}()
	for subject, f := range map[string]nats.MsgHandler{changedSubject: r.onNews, seenSubject: r.onSeen, clientsSubject: r.onClients} {
		s, err := r.cfg.Relay.Subscribe(subject, f)
		if err != nil {
			return fmt.Errorf("subscribe what other replicas say: %w", err)
		}
		subs = append(subs, s)
	}
	s, err := r.hearStamps()
	if err != nil {
		return err
	}
	subs = append(subs, s)
	ready()
	var wg sync.WaitGroup
	wg.Go(func() { r.lookOut(ctx) })
	r.keep(ctx)
	wg.Wait()
	return nil
}

const (
	firstRead = 50 * time.Millisecond
	lastRead  = 2 * time.Second
	// reread is how often the bucket is read again: a replica may have missed
	// what another one said.
	reread = time.Minute
)

// keep reads the bucket, and writes what could not be written.
func (r *Registry) keep(ctx context.Context) {
	wait, read := firstRead, (time.Time{})
	for {
		if time.Since(read) > reread {
			if err := r.load(ctx); err == nil {
				read, wait = time.Now(), lastRead
			} else if ctx.Err() == nil {
				r.cfg.Log.Debug("planes not read, will try again", "err", err, "after", wait)
			}
		}
		r.saveRest(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRead)
	}
}

// load reads the bucket.
func (r *Registry) load(ctx context.Context) error {
	kv := r.kv.Load()
	if kv == nil {
		opened, err := r.store.open(ctx)
		if err != nil {
			return err
		}
		kv = &opened
		r.kv.Store(kv)
	}
	recs, reports, err := all(ctx, *kv)
	if err != nil {
		return err
	}
	r.mu.Lock()
	for _, s := range recs {
		r.take(s)
	}
	r.restore(reports)
	r.mu.Unlock()
	select {
	case <-r.loaded:
	default:
		r.cfg.Log.Info("planes read", "n", len(recs))
		close(r.loaded)
	}
	return nil
}

// take puts what the bucket holds in the place of something older. mu is held.
func (r *Registry) take(s *stored) {
	h := r.planes[s.rec.ID]
	if h == nil {
		h = &held{}
		r.planes[s.rec.ID] = h
	}
	if s.rev <= h.rev {
		return
	}
	r.replace(h, s.rec)
	h.rev, h.unsaved = s.rev, false
	if s.rec.Seen.After(h.seen) {
		h.seen = s.rec.Seen
	}
}

func (r *Registry) onNews(m *nats.Msg) {
	var n news
	if json.Unmarshal(m.Data, &n) != nil || n.From == r.name || n.Rec == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.take(&stored{n.Rec, n.Rev})
}

func (r *Registry) onSeen(m *nats.Msg) {
	var s sighting
	if json.Unmarshal(m.Data, &s) != nil || s.From == r.name {
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Event != "" {
		if r.polled[s.Caller] == nil {
			r.polled[s.Caller] = map[string]time.Time{}
		}
		r.polled[s.Caller][s.Event] = now
		r.polls.Store(nil)
	}
	for _, id := range s.Planes {
		if h := r.planes[id]; h != nil {
			h.seen = now
		}
	}
}

// see notes that a plane has spoken.
func (r *Registry) see(id string) {
	r.mu.Lock()
	if h := r.planes[id]; h != nil {
		h.seen = time.Now()
	}
	r.mu.Unlock()
	if r.cfg.Replicas > 1 {
		r.say(seenSubject, sighting{From: r.name, Planes: []string{id}})
	}
}

// say tells the other replicas. What gets lost is read from the bucket later.
func (r *Registry) say(subject string, v any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = r.cfg.Relay.Publish(subject, b)
	}
	if err != nil {
		r.cfg.Log.Debug("other replicas not told", "subject", subject, "err", err)
	}
}

// record returns a plane and when it last spoke, or nil.
func (r *Registry) record(id string) (*Record, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.planes[id]
	if h == nil || !h.rec.Deleted.IsZero() {
		return nil, time.Time{}
	}
	return h.rec, h.seen
}

// records returns all planes that were not taken out, and when each last spoke.
func (r *Registry) records() map[*Record]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[*Record]time.Time, len(r.planes))
	for _, h := range r.planes {
		if h.rec.Deleted.IsZero() {
			out[h.rec] = h.seen
		}
	}
	return out
}

// nudge has the active replica pass on what is new, soon.
func (r *Registry) nudge() {
	select {
	case r.nudged <- struct{}{}:
	default:
	}
}
