package plane

import (
	"context"
	"sync"
	"time"

	"github.com/ringway/ringway/topology"
)

// passing bounds how many planes are passed on at once.
const passing = 8

// Act speaks for the planes until ctx is cancelled: to the control planes and to
// other stamps. One replica of a stamp does at a time.
func (r *Registry) Act(ctx context.Context, ready func()) error {
	ready()
	r.acting.Store(true)
	defer r.acting.Store(false)
	var wg sync.WaitGroup
	for _, f := range []func(context.Context){r.passAll, r.passLogs, r.tellAll, r.watchClients} {
		wg.Go(func() {
			select {
			case <-r.loaded:
				f(ctx)
			case <-ctx.Done():
			}
		})
	}
	wg.Wait()
	return nil
}

// step is how often it is looked at what there is to do.
func (r *Registry) step() time.Duration {
	return max(min(r.cfg.Refresh/8, time.Second), 10*time.Millisecond)
}

// passAll keeps registrations fresh, and takes out who is gone.
func (r *Registry) passAll(ctx context.Context) {
	tick := time.NewTicker(r.step())
	defer tick.Stop()
	for {
		slots := make(chan struct{}, passing)
		var wg sync.WaitGroup
		for rec, seen := range r.records() {
			f := r.task(rec, seen, time.Now())
			if f == nil || ctx.Err() != nil {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				f(ctx)
			})
		}
		r.buryGone(ctx)
		wg.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// task returns what is to be done about a plane now, or nil.
func (r *Registry) task(rec *Record, seen, now time.Time) func(context.Context) {
	gone := now.Sub(seen)
	switch {
	case rec.How == OnBehalf && gone > r.cfg.Grace, gone > forgetAfter:
		return func(ctx context.Context) {
			if _, at := r.record(rec.ID); at.Equal(seen) {
				r.takeOut(ctx, rec)
			}
		}
	case gone > r.cfg.Lease:
		return nil
	case r.due(rec, now):
		return func(ctx context.Context) {
			defer r.lock(rec.ID)()
			r.leave(ctx, rec)
			r.pass(ctx, rec.ID, false)
		}
	case seen.Sub(rec.Seen) > r.cfg.Lease/2:
		return func(ctx context.Context) {
			defer r.lock(rec.ID)()
			r.change(ctx, rec.ID, func(rec *Record) *Record {
				if rec != nil {
					rec.Seen = seen.UTC()
				}
				return rec
			})
		}
	}
	return nil
}

// due reports whether a control plane is to hear of a plane.
func (r *Registry) due(rec *Record, now time.Time) bool {
	scopes := r.scopes(rec.Asked.Name)
	if rec.Scope != union(scopes).fingerprint() {
		return true
	}
	for _, s := range scopes {
		if r.api(s.control) == nil {
			continue
		}
		m := rec.Remotes[s.control.Name]
		if r.refusedNow(rec.ID, s.control.Name, now) {
			continue
		}
		if m.ID == "" || !m.Since.IsZero() || m.Scope != s.fingerprint() || now.Sub(r.freshAt(rec.ID, s.control.Name, m)) >= r.cfg.Refresh {
			return true
		}
	}
	return len(strays(rec, scopes)) > 0
}

// strays returns the control planes that a plane is registered with although no
// stage of theirs reaches the stamp any more.
func strays(rec *Record, scopes []scope) []string {
	var out []string
	for name := range rec.Remotes {
		has := false
		for _, s := range scopes {
			has = has || s.control.Name == name
		}
		if !has {
			out = append(out, name)
		}
	}
	return out
}

// leave takes a plane out of control planes that have nothing for it any more.
// The caller holds the plane's lock.
func (r *Registry) leave(ctx context.Context, rec *Record) {
	for _, name := range strays(rec, r.scopes(rec.Asked.Name)) {
		var a *api
		if cp := controlPlane(r.cfg.View(), name); cp != nil {
			a = r.api(cp)
		}
		if id := rec.Remotes[name].ID; a != nil && id != "" {
			if ok, _ := r.remotes.open(name, time.Now()); !ok {
				continue
			}
			err := a.remove(ctx, id)
			r.noteControl(name, err)
			if err != nil {
				continue
			}
		}
		r.change(ctx, rec.ID, func(rec *Record) *Record {
			if rec != nil {
				delete(rec.Remotes, name)
			}
			return rec
		})
	}
}

// buryGone takes planes that were taken out from where they are registered
// still, and forgets them in the end.
func (r *Registry) buryGone(ctx context.Context) {
	r.mu.Lock()
	var gone []*Record
	for _, h := range r.planes {
		if !h.rec.Deleted.IsZero() {
			gone = append(gone, h.rec)
		}
	}
	r.mu.Unlock()
	for _, rec := range gone {
		unlock := r.lock(rec.ID)
		if rec = r.tomb(rec.ID); rec == nil { // it is back
			unlock()
			continue
		}
		if len(rec.Remotes) > 0 {
			if err := r.forget(ctx, rec); err != nil {
				r.cfg.Log.Debug("plane not deregistered, will try again", "plane", rec.Asked.Name, "err", err)
			}
		} else if kv := r.kv.Load(); time.Since(rec.Deleted) > tombAfter && kv != nil {
			if err := (*kv).Purge(ctx, keyOf(rec.ID)); err == nil {
				r.mu.Lock()
				delete(r.planes, rec.ID)
				r.mu.Unlock()
			}
		}
		unlock()
	}
}

// tomb returns a plane that was taken out, or nil.
func (r *Registry) tomb(id string) *Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.planes[id]; h != nil && !h.rec.Deleted.IsZero() {
		return h.rec
	}
	return nil
}

// A registered is a plane at a control plane.
type registered struct{ id, control string }

// refreshed notes that a control plane has confirmed a plane. That alone is not
// stored.
func (r *Registry) refreshed(id, control string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fresh[registered{id, control}] = at
}

func (r *Registry) freshAt(id, control string, m Remote) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.fresh[registered{id, control}]; at.After(m.Fresh) {
		return at
	}
	return m.Fresh
}

// noteRefused notes that a control plane was asked and refuses; it is not asked
// again before the next refresh.
func (r *Registry) noteRefused(id, control string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[registered{id, control}] = at
}

func (r *Registry) refusedNow(id, control string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Sub(r.refused[registered{id, control}]) < r.cfg.Refresh
}

// state says in a word how a plane is.
func (r *Registry) state(rec *Record, seen, now time.Time) State {
	since, _ := rec.stale()
	switch {
	case now.Sub(seen) > r.cfg.Lease:
		return Gone
	case !since.IsZero():
		return Stale
	}
	for _, s := range r.scopes(rec.Asked.Name) {
		if hasAPI(s.control) && rec.Remotes[s.control.Name].ID == "" {
			return Stale
		}
	}
	return Fresh
}

// peers returns the stamps that are told of this one's planes.
func (r *Registry) peers() []topology.StampID { return r.cfg.View().Peers() }
