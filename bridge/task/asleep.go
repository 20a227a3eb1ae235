package task

import (
	"bytes"
	"hash/maphash"
	"slices"
	"time"

	"github.com/ringway/ringway/topology"
)

// A place says where a task that is asleep is: in which batch, and as which of its
// tasks.
type place struct{ batch, slot uint32 }

// sleepers are the tasks that were noted in a batch and of which nothing was heard
// or asked since. All that is kept of them is the text of the batch, and nothing
// that the garbage collector follows: very many tasks may be open, and what it finds
// of each was a fifth of all that an event costs. Guarded by Tasks.mu.
type sleepers struct {
	hash    func(id string) uint64
	at      map[uint64]place // by the hash of their ids
	batches map[uint32]*batch
	last    uint32 // number of a batch
}

func newSleepers() *sleepers {
	seed := maphash.MakeSeed()
	return &sleepers{
		hash: func(id string) uint64 { return maphash.String(seed, id) },
		at:   map[uint64]place{}, batches: map[uint32]*batch{},
	}
}

// put has t sleep, a task as its batch says it is. Where another has the same hash
// it is false, and t stays awake.
func (s *sleepers) put(t *Task) bool {
	h := s.hash(t.ID)
	if _, taken := s.at[h]; taken || !isOf(t.in.text(t.slot), t.ID) {
		return false
	}
	if t.in.asleep == 0 {
		s.last++
		t.in.nr = s.last
		s.batches[t.in.nr] = t.in
	}
	t.in.asleep++
	s.at[h] = place{t.in.nr, t.slot}
	return true
}

// take returns the task with this id, which is asleep no more; nil if it was not.
func (s *sleepers) take(id string) (*Task, error) {
	h := s.hash(id)
	p, ok := s.at[h]
	if !ok {
		return nil, nil
	}
	b := s.batches[p.batch]
	text := b.text(p.slot)
	if !isOf(text, id) {
		return nil, nil // another has the same hash
	}
	t, err := decode(text)
	if err != nil {
		return nil, err
	}
	t.noted, t.in, t.slot = true, b, p.slot
	delete(s.at, h)
	if b.asleep--; b.asleep == 0 {
		delete(s.batches, b.nr)
	}
	return t, nil
}

// has reports whether the task with this id sleeps in a place.
func (s *sleepers) has(id string, b *batch, slot uint32) bool {
	p, ok := s.at[s.hash(id)]
	return ok && p == place{b.nr, slot} && s.batches[p.batch] == b
}

// inOrder returns the batches that have sleepers, those with the oldest first.
func (s *sleepers) inOrder() []*batch {
	out := make([]*batch, 0, len(s.batches))
	for _, b := range s.batches {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *batch) int { return a.since.Compare(b.since) })
	return out
}

// find returns copies of at most n tasks that sleep, oldest first: with match, of
// those that it is the id or the shkeptncontext of.
func (s *sleepers) find(match string, n int) (out []*Task) {
	as := []byte(match)
	if !plain(match) {
		as = nil // it is not written as it is
	}
	byAge := func(a, b *Task) int { return a.Asked.Compare(b.Asked) }
	for _, b := range s.inOrder() {
		if len(out) >= n {
			// The tasks of one batch may be older than some of those before it.
			slices.SortFunc(out, byAge)
			if out = out[:n]; n == 0 || !b.since.Before(out[n-1].Asked) {
				return out
			}
		}
		if !bytes.Contains(b.body, as) {
			continue
		}
		for slot, it := range b.items {
			if it.gone {
				continue
			}
			text := b.text(uint32(slot)) //nolint:gosec // at most maxBatch
			if !bytes.Contains(text, as) {
				continue
			}
			t, err := decode(text)
			if err == nil && s.has(t.ID, b, uint32(slot)) && (match == "" || t.ID == match || t.Context == match) { //nolint:gosec // the same
				out = append(out, t)
			}
		}
	}
	slices.SortFunc(out, byAge)
	return out[:min(n, len(out))]
}

// of returns the ids of the tasks that sleep, are in a batch with one that was given
// out before a time, unless that is zero, and with one for a stamp that is of interest.
func (s *sleepers) of(before time.Time, interest func(topology.StampID) bool) (ids []string) {
	for _, b := range s.batches {
		if !before.IsZero() && b.since.After(before) || !slices.ContainsFunc(b.stamps, interest) {
			continue
		}
		for slot, it := range b.items {
			if it.gone {
				continue
			}
			if id := b.idAt(uint32(slot)); s.has(id, b, uint32(slot)) { //nolint:gosec // at most maxBatch
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// sleep has a task sleep that nobody has looked at since it was given out, and of
// which nothing was known when it was noted. The caller holds mu.
func (ts *Tasks) sleep(t *Task) {
	_, watched := ts.watched[t.ID]
	if t.seen || watched || !t.fresh() || t.in == nil || ts.open[t.ID] != t || !ts.asleep.put(t) {
		return
	}
	delete(ts.open, t.ID)
}

// fresh reports whether nothing is known of t but who was asked.
func (t *Task) fresh() bool {
	return !slices.ContainsFunc(t.Seats, func(s *Seat) bool { return s.State != Asked || s.Unreached || len(s.Planes) > 0 })
}

// awake returns the task with this id if it is open; one that was asleep is not any
// more. The caller holds mu.
func (ts *Tasks) awake(id string) *Task {
	t := ts.open[id]
	if t == nil {
		var err error
		if t, err = ts.asleep.take(id); err != nil {
			ts.cfg.Log.Error("task not readable any more, its answers will be refused", "task", id, "err", err) // it was readable when it was noted
		}
		if t == nil {
			return nil
		}
		ts.open[id] = t
	}
	t.seen = true
	return t
}

// nOpen is how many tasks are open. The caller holds mu.
func (ts *Tasks) nOpen() int { return len(ts.open) + len(ts.asleep.at) }
