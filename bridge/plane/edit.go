package plane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// onRemove takes a plane out. The control planes hear of it as soon as they can.
func (r *Registry) onRemove(w http.ResponseWriter, req *http.Request, rec *Record) {
	r.takeOut(context.WithoutCancel(req.Context()), rec)
	answer(w, http.StatusOK, struct{}{})
}

// takeOut takes a plane out, here and where it is registered.
func (r *Registry) takeOut(ctx context.Context, rec *Record) {
	ctx, cancel := context.WithTimeout(ctx, passWait)
	defer cancel()
	defer r.lock(rec.ID)()
	r.change(ctx, rec.ID, func(rec *Record) *Record {
		if rec != nil {
			rec.Deleted = time.Now().UTC()
		}
		return rec
	})
	r.cfg.Log.Info("plane taken out", "plane", rec.Asked.Name)
	if err := r.forget(ctx, rec); err != nil {
		r.cfg.Log.Warn("plane not deregistered, will try again", "plane", rec.Asked.Name, "err", err)
	}
	r.nudge()
}

// onEdit creates a subscription, with a new id or with sub.
func (r *Registry) onEdit(w http.ResponseWriter, req *http.Request, id, sub string) {
	var s Subscription
	if !read(w, req, maxPlane, &s) {
		return
	}
	if s.ID = sub; s.ID == "" {
		s.ID = newUUID()
	}
	rec, _ := r.record(id)
	s.Filter = union(r.scopes(rec.Asked.Name)).about(s.Event).narrow(s.Filter)
	err := r.edit(req.Context(), id, func(ctx context.Context, a *api, remote string, sc scope) error {
		is := s
		is.Filter = sc.about(s.Event).narrow(s.Filter)
		return a.put(ctx, remote, is)
	}, func(own []Subscription) []Subscription {
		if i := slices.IndexFunc(own, func(o Subscription) bool { return o.ID == s.ID }); i >= 0 {
			own[i] = s
			return own
		}
		return append(own, s)
	})
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusCreated, idBody{s.ID})
}

func (r *Registry) onDrop(w http.ResponseWriter, req *http.Request, id, sub string) {
	err := r.dropOwn(req.Context(), id, sub)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

// edit changes subscriptions where the plane is registered, or here if that is
// nowhere.
func (r *Registry) edit(
	ctx context.Context, id string, there func(context.Context, *api, string, scope) error, here func([]Subscription) []Subscription,
) error {
	ctx, cancel := context.WithTimeout(ctx, passWait)
	defer cancel()
	defer r.lock(id)()
	rec, _ := r.record(id)
	if rec == nil {
		return errNotFound
	}
	var errs []error
	told := false
	for _, s := range r.scopes(rec.Asked.Name) {
		a, m := r.api(s.control), rec.Remotes[s.control.Name]
		if a == nil {
			continue
		}
		told = true
		err := errors.New("not registered there yet")
		if m.ID != "" {
			err = there(ctx, a, m.ID, s)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("control plane %s: %w", s.control.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if told {
		r.pass(ctx, id, false)
		return nil
	}
	r.change(ctx, id, func(rec *Record) *Record {
		if rec != nil {
			rec.Own = here(rec.Own)
		}
		return rec
	})
	r.nudge()
	return nil
}
