package plane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringway/ringway/topology"
)

// scopes returns what of each control plane concerns a plane called name.
func (r *Registry) scopes(name string) []scope {
	out := scopesOf(r.cfg.View())
	for i, s := range out {
		out[i] = s.of(name, r.cfg.Me)
	}
	return out
}

// asked returns the filter that the plane itself gave to a subscription.
func (r *Record) asked(s Subscription) (Filter, bool) {
	if !slices.ContainsFunc(r.Own, func(o Subscription) bool { return o.ID == s.ID }) {
		return Filter{}, false
	}
	i := slices.IndexFunc(r.Asked.Subscriptions, func(a Subscription) bool { return a.Event == s.Event })
	if i < 0 {
		return Filter{}, false
	}
	return r.Asked.Subscriptions[i].Filter, true
}

// rescope makes the filters of a plane those of the topology in force. The caller
// holds the plane's lock.
func (r *Registry) rescope(ctx context.Context, id string) {
	rec, _ := r.record(id)
	if rec == nil || rec.Scope == r.scopeOf(rec).fingerprint() {
		return
	}
	r.change(ctx, id, func(rec *Record) *Record {
		if rec == nil {
			return nil
		}
		is := r.scopeOf(rec)
		for i, s := range rec.Own {
			asked, _ := rec.asked(s)
			rec.Own[i].Filter = is.move(s.Event, s.Filter, asked, rec.Scope)
		}
		rec.Scope = is.fingerprint()
		return rec
	})
	r.nudge()
}

// scopeOf returns everything that reaches a plane.
func (r *Registry) scopeOf(rec *Record) scope { return union(r.scopes(rec.Asked.Name)) }

// pass brings a plane's registrations up to date with every control plane that
// can be reached. anew says that the plane has registered again. The caller
// holds the plane's lock.
func (r *Registry) pass(ctx context.Context, id string, anew bool) {
	r.rescope(ctx, id)
	rec, _ := r.record(id)
	if rec == nil {
		return
	}
	for _, s := range r.scopes(rec.Asked.Name) {
		a := r.api(s.control)
		if a == nil {
			continue
		}
		name := s.control.Name
		if ok, why := r.remotes.open(name, time.Now()); !ok {
			r.noteFailure(ctx, id, name, errors.New(why))
			continue
		}
		w := &work{api: a, rec: rec, scope: s, was: rec.Remotes[name], location: string(r.cfg.Me), anew: anew}
		err := w.run(ctx)
		if ctx.Err() != nil && err != nil {
			return // told to stop
		}
		r.noteControl(name, err)
		r.metrics.noteSync(name, err)
		if err != nil {
			if !errors.Is(err, errAway) {
				r.noteRefused(id, name, time.Now())
			}
			r.noteFailure(ctx, id, name, err)
			continue
		}
		if next := r.noteSuccess(ctx, id, name, w); next != nil {
			rec = next
		}
	}
}

func (r *Registry) noteFailure(ctx context.Context, id, control string, err error) {
	is, _ := r.record(id)
	if m, ok := is.remote(control); ok && !m.Since.IsZero() {
		return // it is known
	}
	r.change(ctx, id, func(rec *Record) *Record {
		if rec == nil {
			return nil
		}
		m := rec.Remotes[control]
		m.Since, m.Err = time.Now().UTC(), err.Error()
		rec.Remotes[control] = m
		return rec
	})
	if is != nil {
		r.cfg.Log.Debug("plane not confirmed by its control plane, will try again", "plane", is.Asked.Name, "control", control, "err", err)
	}
}

// noteControl notes what came of a call to a control plane.
func (r *Registry) noteControl(control string, err error) {
	turned, after := r.remotes.note(control, err, time.Now())
	switch {
	case turned && errors.Is(err, errAway):
		r.cfg.Log.Warn("control plane out of reach, planes are answered from what is known", "control", control, "err", err)
	case turned:
		r.cfg.Log.Info("control plane is back", "control", control, "after", after)
	case err != nil && !errors.Is(err, errAway) && !errors.Is(err, errNotFound):
		r.cfg.Log.Warn("control plane refuses a plane, will try again", "control", control, "err", err)
	}
}

// remote returns the plane's registration with a control plane.
func (r *Record) remote(control string) (Remote, bool) {
	if r == nil {
		return Remote{}, false
	}
	m, ok := r.Remotes[control]
	return m, ok
}

// noteSuccess notes what a work came to.
func (r *Registry) noteSuccess(ctx context.Context, id, control string, w *work) *Record {
	now := time.Now().UTC()
	if old, _ := r.record(id); old != nil && !w.news && sameRemote(old.Remotes[control], w.is) {
		r.refreshed(id, control, now)
		return old
	}
	next := r.change(ctx, id, func(rec *Record) *Record {
		if rec == nil {
			return nil
		}
		m := w.is
		m.Fresh = now
		rec.Remotes[control] = m
		for i, s := range rec.Own {
			if to := w.renamed[s.ID]; to != "" {
				rec.Own[i].ID = to
			}
		}
		return rec
	})
	r.nudge()
	return next
}

// sameRemote reports whether nothing but the time differs.
func sameRemote(a, b Remote) bool {
	return a.ID == b.ID && a.Scope == b.Scope && a.Err == b.Err && a.Since.IsZero() && b.Since.IsZero() &&
		slices.Equal(a.Dropped, b.Dropped) && slices.EqualFunc(a.Subscriptions, b.Subscriptions, sameSubscription)
}

func sameSubscription(a, b Subscription) bool {
	return a.ID == b.ID && a.Event == b.Event && a.Filter.equal(b.Filter)
}

// A work brings one registration up to date.
type work struct {
	api      *api
	rec      *Record
	scope    scope
	was      Remote
	location string
	anew     bool

	is      Remote            // what came of it
	news    bool              // it is something else than before
	renamed map[string]string // ids of Own that the control plane chose otherwise
}

func (w *work) run(ctx context.Context) error {
	w.is = Remote{ID: w.was.ID, Dropped: w.was.Dropped, Scope: w.scope.fingerprint()}
	w.renamed = map[string]string{}
	if w.was.ID != "" && !w.anew {
		got, err := w.api.ping(ctx, w.was.ID)
		if err == nil {
			return w.reconcile(ctx, got, false)
		}
		if !errors.Is(err, errNotFound) {
			return err
		}
	}
	return w.register(ctx)
}

// register registers the plane, or again. A plane that may know the ids of its
// subscriptions gets them back under those, as does what was made in the Bridge.
func (w *work) register(ctx context.Context) error {
	w.news = true
	subs := []Subscription{}
	if !w.rec.Shown && !w.rec.registered() {
		for _, s := range w.rec.Own {
			subs = append(subs, Subscription{Event: s.Event, Filter: w.scope.about(s.Event).narrow(s.Filter)})
		}
	}
	got, err := w.create(ctx, subs)
	if err != nil {
		return err
	}
	return w.reconcile(ctx, got, got.ID != w.was.ID || len(got.Subscriptions) == 0)
}

// create registers with subs and returns what the control plane has then.
// Subscriptions without id, which nobody can change any more, are got rid of.
func (w *work) create(ctx context.Context, subs []Subscription) (Integration, error) {
	var got Integration
	for range 2 {
		id, err := w.api.register(ctx, w.rec.outward(w.location, subs))
		if err != nil {
			return got, err
		}
		if got, err = w.api.get(ctx, id); err != nil {
			if errors.Is(err, errNotFound) {
				err = fmt.Errorf("%w: it does not know what it has registered", errAway)
			}
			return got, err
		}
		if !slices.ContainsFunc(got.Subscriptions, func(s Subscription) bool { return s.ID == "" }) {
			return got, nil
		}
		if err := w.api.remove(ctx, id); err != nil {
			return got, err
		}
		for _, s := range got.Subscriptions {
			if s.ID != "" && !slices.ContainsFunc(w.was.Subscriptions, func(o Subscription) bool { return o.ID == s.ID }) {
				w.was.Subscriptions = append(w.was.Subscriptions, s) // made in the Bridge: to be given back
			}
		}
	}
	return got, fmt.Errorf("%w: it gives subscriptions no ids", errAway)
}

// reconcile makes what the control plane has what it should have. lost says that
// it has forgotten what it had.
func (w *work) reconcile(ctx context.Context, got Integration, lost bool) error {
	w.is.ID = got.ID
	for _, s := range got.Subscriptions {
		is := s
		is.Filter = w.scope.about(s.Event).narrow(s.Filter)
		if asked, ok := w.rec.asked(s); ok {
			is.Filter = w.scope.move(s.Event, s.Filter, asked, w.was.Scope)
		}
		if !is.Filter.equal(s.Filter) {
			if err := w.api.put(ctx, got.ID, is); err != nil {
				return err
			}
			w.news = true
		}
		w.is.Subscriptions = append(w.is.Subscriptions, is)
	}
	for _, s := range w.missing(lost) {
		s.Filter = w.scope.about(s.Event).narrow(s.Filter)
		if err := w.api.put(ctx, got.ID, s); err != nil {
			return err
		}
		w.news = true
		w.is.Subscriptions = append(w.is.Subscriptions, s)
	}
	return nil
}

// missing returns what the plane should have and the control plane has not.
func (w *work) missing(lost bool) []Subscription {
	has := func(list []Subscription, id string) bool {
		return slices.ContainsFunc(list, func(s Subscription) bool { return s.ID == id })
	}
	var out []Subscription
	for _, s := range w.was.Subscriptions { // what was made in the Bridge as well
		switch {
		case has(w.is.Subscriptions, s.ID):
		case lost && !w.twin(s):
			out = append(out, s)
		case !lost && has(w.rec.Own, s.ID):
			w.is.Dropped = add(slices.Clone(w.is.Dropped), s.ID)
		}
	}
	for _, s := range w.rec.Own {
		switch {
		case has(w.is.Subscriptions, s.ID), has(out, s.ID), slices.Contains(w.is.Dropped, s.ID), w.twin(s):
		default:
			out = append(out, s)
		}
	}
	return out
}

// registered reports whether any control plane has the plane.
func (r *Record) registered() bool {
	for _, m := range r.Remotes {
		if m.ID != "" {
			return true
		}
	}
	return false
}

// elsewhere reports whether another control plane has a subscription with id.
func (w *work) elsewhere(id string) bool {
	for name, m := range w.rec.Remotes {
		if name != w.api.name && slices.ContainsFunc(m.Subscriptions, func(s Subscription) bool { return s.ID == id }) {
			return true
		}
	}
	return false
}

// twin reports whether the control plane has a subscription to the same events
// by another id, that no other subscription of the plane has, and takes it for s.
func (w *work) twin(s Subscription) bool {
	for _, o := range w.is.Subscriptions {
		taken := o.Event != s.Event || slices.ContainsFunc(w.was.Subscriptions, func(k Subscription) bool { return k.ID == o.ID }) ||
			slices.ContainsFunc(w.rec.Own, func(k Subscription) bool { return k.ID == o.ID })
		for _, to := range w.renamed {
			taken = taken || to == o.ID
		}
		if !taken {
			if !w.elsewhere(s.ID) {
				w.renamed[s.ID], w.news = o.ID, true
			}
			return true
		}
	}
	return false
}

// forget takes a plane out of the control planes it is registered with.
func (r *Registry) forget(ctx context.Context, rec *Record) error {
	var errs []error
	for name, m := range rec.Remotes {
		cp := controlPlane(r.cfg.View(), name)
		if m.ID == "" || cp == nil {
			continue
		}
		a := r.api(cp)
		if a == nil {
			continue
		}
		if ok, why := r.remotes.open(name, time.Now()); !ok {
			errs = append(errs, fmt.Errorf("control plane %s: %s", name, why))
			continue
		}
		err := a.remove(ctx, m.ID)
		r.noteControl(name, err)
		if errors.Is(err, errNotFound) {
			err = nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("control plane %s: %w", name, err))
			continue
		}
		r.change(ctx, rec.ID, func(rec *Record) *Record {
			if rec != nil {
				delete(rec.Remotes, name)
			}
			return rec
		})
	}
	return errors.Join(errs...)
}

func controlPlane(view *topology.View, name string) *topology.ControlPlane {
	i := slices.IndexFunc(view.ControlPlanes, func(c *topology.ControlPlane) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return view.ControlPlanes[i]
}
