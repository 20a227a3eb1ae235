package plane

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ringway/ringway/bridge/call"
)

// onPing answers from what is known. Somebody else tells the control plane.
func (r *Registry) onPing(w http.ResponseWriter, req *http.Request, id string) {
	rec := r.pinged(req.Context(), id, addrOf(req))
	if rec == nil {
		refuse(w, http.StatusNotFound, errNotFound.Error())
		return
	}
	r.see(id)
	r.metrics.pings.Inc()
	answer(w, http.StatusOK, rec.inward(time.Now()))
}

// pinged notes the first ping after a registration, before it is answered.
func (r *Registry) pinged(ctx context.Context, id, addr string) *Record {
	rec, _ := r.record(id)
	if rec == nil {
		return nil
	}
	if _, waits := rec.Unready[addr]; rec.Shown && !waits {
		return rec
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	next := r.change(ctx, id, func(rec *Record) *Record {
		if rec == nil {
			return nil
		}
		rec.Shown, rec.Seen = true, time.Now().UTC()
		delete(rec.Unready, addr)
		for a, since := range rec.Unready {
			if time.Since(since) > unreadyFor {
				delete(rec.Unready, a)
			}
		}
		return rec
	})
	if next == nil {
		return rec
	}
	return next
}

// onStranger answers the ping of a plane that registered with the control plane
// before this gateway was there, or before it lost its store: if the control plane
// knows it, so do we from now on, as a plane of who pings.
func (r *Registry) onStranger(w http.ResponseWriter, req *http.Request, c call.Call, id string) {
	for _, s := range scopesOf(r.cfg.View()) {
		a := r.api(s.control)
		if a == nil {
			continue
		}
		got, err := a.get(req.Context(), id)
		switch {
		case errors.Is(err, errNotFound):
			continue
		case err != nil:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusServiceUnavailable, "control plane "+a.name+" may know this integration: "+err.Error())
			return
		case got.Name == "" || got.Metadata.Kubernetes.Namespace == "":
			continue
		}
		got.ID = ""
		r.enrol(req.Context(), got, c.Plane, howOf(c), "", id)
		r.onPing(w, req, id)
		return
	}
	refuse(w, http.StatusNotFound, errNotFound.Error())
}
