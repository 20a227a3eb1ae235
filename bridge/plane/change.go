package plane

import (
	"context"
	"errors"
	"sync"
)

// lock lets one at a time bring a plane and what control planes know of it
// together, and returns how to let the next. It may be held for as long as a
// control plane takes to answer.
func (r *Registry) lock(id string) func() {
	r.mu.Lock()
	l := r.locks[id]
	if l == nil {
		l = &sync.Mutex{}
		r.locks[id] = l
	}
	r.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// change replaces a plane by what f makes of a copy of it; nil if there is none.
// f may be called again, with what another replica has made of it. If it returns
// nil nothing is changed. What cannot be stored is true all the same, and stored
// later. It takes as long as the bucket does, whoever holds the plane's lock.
func (r *Registry) change(ctx context.Context, id string, f func(*Record) *Record) *Record {
	defer r.lock("\x01" + id)()
	for range 5 {
		r.mu.Lock()
		old := held{}
		if h := r.planes[id]; h != nil {
			old = *h
		}
		r.mu.Unlock()
		var is *Record
		if old.rec != nil {
			is = old.rec.clone()
		}
		next := f(is)
		if next == nil {
			return old.rec
		}
		rev, err := r.write(ctx, next, old.rev)
		if errors.Is(err, errConflict) {
			if s, err := get(ctx, *r.kv.Load(), id); err == nil && s != nil {
				r.mu.Lock()
				r.take(s)
				r.mu.Unlock()
				continue
			}
		}
		r.adopt(next, max(rev, old.rev), err)
		return next
	}
	return nil
}

func (r *Registry) write(ctx context.Context, rec *Record, rev uint64) (uint64, error) {
	kv := r.kv.Load()
	if kv == nil {
		return 0, errors.New("bucket " + Bucket + " is not open yet")
	}
	return put(ctx, *kv, rec, rev)
}

// adopt makes rec what is true of a plane.
func (r *Registry) adopt(rec *Record, rev uint64, err error) {
	r.mu.Lock()
	h := r.planes[rec.ID]
	if h == nil {
		h = &held{}
		r.planes[rec.ID] = h
	}
	r.replace(h, rec)
	h.rev, h.unsaved = rev, err != nil
	if rec.Seen.After(h.seen) {
		h.seen = rec.Seen
	}
	r.mu.Unlock()
	if err != nil {
		r.cfg.Log.Warn("plane not stored, will try again", "plane", rec.Asked.Name, "err", err)
		return
	}
	r.say(changedSubject, news{r.name, rev, rec})
}

// saveRest writes what could not be written before.
func (r *Registry) saveRest(ctx context.Context) {
	r.mu.Lock()
	var ids []string
	for id, h := range r.planes {
		if h.unsaved {
			ids = append(ids, id)
		}
	}
	r.mu.Unlock()
	for _, id := range ids {
		unlock := r.lock(id)
		r.change(ctx, id, func(rec *Record) *Record { return rec })
		unlock()
	}
}
