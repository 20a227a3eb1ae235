package poll

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// An index is what RW_OPEN holds, in memory. It is a function of what was read
// from the stream, so that all replicas come to the same; only time is their own.
// It is safe for concurrent use.
type index struct {
	mu      sync.RWMutex // guards the following fields
	loaded  bool         // what the stream had at the start was read
	applied uint64       // sequence that was read last
	version uint64       // counts changes; never 0 once something changed
	byKey   map[bridge.Key]*entry
	byID    map[string][]*entry
	shelves map[string]*shelf     // by type
	ended   map[bridge.Key]ending // what is over
	garbage []uint64              // sequences of what is to be removed from the stream
	due     []*entry              // ended without a word in the stream; see over
	bytes   int                   // of the bodies of what is open
	waiting int                   // how many wait for news
	news    chan struct{}         // closed at the next change
}

// A shelf holds the open events of one type, in order of the stream.
type shelf struct {
	version uint64 // of the index at the last change
	entries []*entry
}

func newIndex() *index {
	x := &index{news: make(chan struct{})}
	x.clear()
	return x
}

// clear forgets everything. The caller holds mu, or is the only one.
func (x *index) clear() {
	x.loaded, x.applied = false, 0
	x.byKey, x.byID = map[bridge.Key]*entry{}, map[string][]*entry{}
	x.shelves, x.ended, x.garbage, x.due = map[string]*shelf{}, map[bridge.Key]ending{}, nil, nil
	x.bytes = 0
}

// reset forgets everything: the stream is not the one that was read.
func (x *index) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.clear()
	x.change(nil)
}

// change takes note that something has changed, on a shelf if not nil. The caller
// holds mu.
func (x *index) change(s *shelf) {
	x.version++
	if s != nil {
		s.version = x.version
	}
	x.tell()
}

// tell wakes whoever waits. The caller holds mu.
func (x *index) tell() {
	if x.waiting > 0 {
		close(x.news)
		x.news, x.waiting = make(chan struct{}), 0
	}
}

// hear returns a channel that is closed at the next change after a version.
func (x *index) hear(after uint64) <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.version > after {
		c := make(chan struct{})
		close(c)
		return c
	}
	x.waiting++
	return x.news
}

// read takes note that the stream was read up to a sequence.
func (x *index) read(seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.applied = max(x.applied, seq)
	x.tell()
}

// load takes note that everything was read that was there at the start.
func (x *index) load() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loaded = true
	x.tell()
}

// appliedTo returns up to where the stream was read.
func (x *index) appliedTo() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.applied
}

func (x *index) isLoaded() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.loaded
}

// await returns when the stream was read up to a sequence, and the start before
// that; or ctx's error.
func (x *index) await(ctx context.Context, seq uint64) error {
	for {
		x.mu.Lock()
		if x.loaded && x.applied >= seq {
			x.mu.Unlock()
			return nil
		}
		x.waiting++
		news := x.news
		x.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// open takes in an event.
func (x *index) open(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, over := x.ended[e.key]; over || x.byKey[e.key] != nil {
		x.garbage = append(x.garbage, e.seq)
		return
	}
	x.byKey[e.key] = e
	x.byID[e.id] = append(x.byID[e.id], e)
	s := x.shelves[e.typ]
	if s == nil {
		s = &shelf{}
		x.shelves[e.typ] = s
	}
	s.entries = append(s.entries, e)
	x.bytes += len(e.json)
	x.change(s)
}

// A note is something known of an open event.
type note struct {
	key  bridge.Key
	what string // noteBy, noteStarted, noteFinished or noteReleased
	who  string // of noteBy: the plane
	mark string // of noteBy the source; else the key of the answer
	upTo uint64 // of noteReleased: the event is not one that was stored later
	seq  uint64
}

// take takes in a note.
func (x *index) take(n note) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.byKey[n.key]
	if e == nil {
		x.garbage = append(x.garbage, n.seq)
		return
	}
	e.notes = append(e.notes, n.seq)
	switch n.what {
	case noteBy:
		if e.by == nil {
			e.by = map[string]map[string]struct{}{}
		}
		if e.by[n.who] == nil {
			e.by[n.who] = map[string]struct{}{}
		}
		e.by[n.who][n.mark] = struct{}{}
		x.change(x.shelves[e.typ])
	case noteStarted:
		e.started = with(e.started, n.mark)
	case noteFinished:
		// Keptn counts: a task is over when as many have finished as have started
		// (contract §4.6).
		if e.finished = with(e.finished, n.mark); len(e.finished) >= len(e.started) {
			x.finish(e)
			x.due = append(x.due, e)
		}
	case noteReleased:
		if e.seq <= n.upTo {
			x.drop(e)
			x.garbage = append(append(x.garbage, e.seq), e.notes...)
		}
	}
}

func with(set map[string]struct{}, s string) map[string]struct{} {
	if set == nil {
		set = map[string]struct{}{}
	}
	set[s] = struct{}{}
	return set
}

// close takes in that an event is over.
func (x *index) close(key bridge.Key, at time.Time, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.byKey[key]; e != nil {
		x.finish(e)
		x.garbage = append(append(x.garbage, e.seq), e.notes...)
	} else if i := slices.IndexFunc(x.due, func(e *entry) bool { return e.key == key }); i >= 0 {
		e := x.due[i]
		x.due = slices.Delete(x.due, i, i+1)
		x.garbage = append(append(x.garbage, e.seq), e.notes...)
	}
	x.ended[key] = ending{at.Add(forgetAfter), seq}
}

// finish closes an event, and does not open it again. The caller holds mu.
func (x *index) finish(e *entry) {
	x.drop(e)
	x.ended[e.key] = ending{until: time.Now().Add(forgetAfter)}
}

// drop forgets an event. The caller holds mu.
func (x *index) drop(e *entry) {
	delete(x.byKey, e.key)
	x.bytes -= len(e.json)
	is := func(o *entry) bool { return o == e }
	if x.byID[e.id] = slices.DeleteFunc(x.byID[e.id], is); len(x.byID[e.id]) == 0 {
		delete(x.byID, e.id)
	}
	s := x.shelves[e.typ]
	i, found := slices.BinarySearchFunc(s.entries, e.seq, func(o *entry, seq uint64) int { return int(o.seq) - int(seq) }) //nolint:gosec // near each other
	if found {
		s.entries = slices.Delete(s.entries, i, i+1)
	}
	x.change(s)
	if len(s.entries) == 0 {
		delete(x.shelves, e.typ)
	}
}

// get returns the open event with a key, or nil, and whether it was open and is
// over.
func (x *index) get(key bridge.Key) (e *entry, over bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, over = x.ended[key]
	return x.byKey[key], over
}

// withID returns the open events with an id, of whatever type.
func (x *index) withID(id string) []*entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.byID[id])
}

// find returns the open events for which f is true.
func (x *index) find(f func(*entry) bool) []*entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []*entry
	for _, e := range x.byKey {
		if f(e) {
			out = append(out, e)
		}
	}
	return out
}

// has reports whether events of a type are open.
func (x *index) has(typ string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.shelves[typ] != nil
}

// n returns how many events are open.
func (x *index) n() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byKey)
}

// now returns the version of all.
func (x *index) now() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.version
}

// versionOf returns the version of what a type or pattern takes.
func (x *index) versionOf(typ string, pattern bool) uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if pattern {
		return x.version
	}
	if s := x.shelves[typ]; s != nil {
		return s.version
	}
	return 0
}

// look calls f with the open events of a type or pattern, the latest first, while
// nothing changes, and returns their version. f must not keep what may change.
func (x *index) look(typ string, pattern bool, f func(*entry)) uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if !pattern {
		s := x.shelves[typ]
		if s == nil {
			return 0
		}
		for _, e := range slices.Backward(s.entries) {
			f(e)
		}
		return s.version
	}
	var all []*entry
	for _, t := range slices.Sorted(maps.Keys(x.shelves)) {
		if topology.Pattern(typ).Match(topology.Subject(t)) {
			all = append(all, x.shelves[t].entries...)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return int(b.seq) - int(a.seq) }) //nolint:gosec // near each other
	for _, e := range all {
		f(e)
	}
	return x.version
}
