package plane

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge/call"
)

const (
	logPath = "/v1/log"

	maxLogs  = 5 << 20         // bytes of a body, as nginx has it
	maxPlane = 256 << 10       // bytes of a registration, which has to fit into a message
	loadWait = 5 * time.Second // for the bucket to be read, after the start
)

var _ call.Handler = (*Registry)(nil)

// ServeCall answers the calls of Keptn's uniform API and log that are about the
// planes of this stamp. Others are not touched: those about somebody else's
// planes belong to the control plane.
func (r *Registry) ServeCall(w http.ResponseWriter, req *http.Request, c call.Call) bool {
	if c.Service != call.Shipyard {
		return false
	}
	path, query, _ := strings.Cut(c.Target, "?")
	if strings.TrimSuffix(path, "/") == logPath && req.Method == http.MethodPost {
		r.onLog(w, req)
		return true
	}
	rest, ok := strings.CutPrefix(path, registration)
	if !ok || rest != "" && rest[0] != '/' {
		return false
	}
	parts := split(rest)
	if parts == nil {
		return false
	}
	if !r.await(req.Context()) {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "the planes of stamp "+string(r.cfg.Me)+" are not read yet")
		return true
	}
	if len(parts) == 0 {
		return r.serveAll(w, req, c, query)
	}
	return r.serveOne(w, req, c, parts)
}

// split returns the segments of a path; nil if it is none of the uniform API.
func split(rest string) []string {
	out := []string{}
	for p := range strings.SplitSeq(strings.Trim(rest, "/"), "/") {
		if p == "" {
			break
		}
		s, err := url.PathUnescape(p)
		if err != nil {
			return nil
		}
		out = append(out, s)
	}
	if len(out) > 3 || len(out) > 1 && out[1] != "ping" && out[1] != "subscription" {
		return nil
	}
	return out
}

// await waits until the bucket was read once.
func (r *Registry) await(ctx context.Context) bool {
	select {
	case <-r.loaded:
		return true
	default:
	}
	t := time.NewTimer(loadWait)
	defer t.Stop()
	select {
	case <-r.loaded:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

func (r *Registry) serveAll(w http.ResponseWriter, req *http.Request, c call.Call, query string) bool {
	switch req.Method {
	case http.MethodPost:
		r.onRegister(w, req, c)
		return true
	case http.MethodGet:
		return r.onList(w, query)
	}
	return false
}

func (r *Registry) serveOne(w http.ResponseWriter, req *http.Request, c call.Call, parts []string) bool {
	id := parts[0]
	r.know(req.Context(), id)
	rec, seen := r.record(id)
	if rec == nil {
		if len(parts) == 2 && parts[1] == "ping" && req.Method == http.MethodPut {
			r.onStranger(w, req, c, id)
			return true
		}
		if r.alone() {
			if gone := len(parts) == 1 || len(parts) == 3; gone && req.Method == http.MethodDelete {
				answer(w, http.StatusOK, struct{}{}) // Keptn does not mind either
				return true
			}
			refuse(w, http.StatusNotFound, errNotFound.Error())
			return true
		}
		return false
	}
	switch {
	case len(parts) == 1 && req.Method == http.MethodDelete:
		r.onRemove(w, req, rec)
	case len(parts) == 1:
		return false
	case parts[1] == "ping" && len(parts) == 2 && req.Method == http.MethodPut:
		r.onPing(w, req, id)
	case parts[1] != "subscription":
		return false
	case len(parts) == 2 && req.Method == http.MethodGet:
		answer(w, http.StatusOK, rec.inward(seen).Subscriptions)
	case len(parts) == 3 && req.Method == http.MethodGet:
		subs := rec.subscriptions()
		i := slices.IndexFunc(subs, func(s Subscription) bool { return s.ID == parts[2] })
		if i < 0 {
			refuse(w, http.StatusNotFound, errNotFound.Error())
			return true
		}
		answer(w, http.StatusOK, subs[i])
	case len(parts) == 2 && req.Method == http.MethodPost, len(parts) == 3 && req.Method == http.MethodPut:
		r.onEdit(w, req, id, append(parts, "")[2])
	case len(parts) == 3 && req.Method == http.MethodDelete:
		r.onDrop(w, req, id, parts[2])
	default:
		return false
	}
	return true
}

// know reads a plane that another replica may have written just now.
func (r *Registry) know(ctx context.Context, id string) {
	r.mu.Lock()
	h := r.planes[id]
	r.mu.Unlock()
	kv := r.kv.Load()
	if h != nil || kv == nil || r.cfg.Replicas == 1 {
		return
	}
	if s, err := get(ctx, *kv, id); err == nil && s != nil {
		r.mu.Lock()
		r.take(s)
		r.mu.Unlock()
	}
}

// alone reports whether no control plane of this stamp has an API: then the
// registry is all there is.
func (r *Registry) alone() bool {
	for _, cp := range r.cfg.View().ControlPlanes {
		if hasAPI(cp) {
			return false
		}
	}
	return true
}

// onList answers with the planes of this stamp. What asks for others is not
// taken, unless there is nobody else to ask.
func (r *Registry) onList(w http.ResponseWriter, query string) bool {
	q, err := url.ParseQuery(query)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return true
	}
	alone := r.alone()
	if !alone && r.atHome() && q.Get("id")+q.Get("name") == "" {
		return false
	}
	var every []Integration
	for rec, seen := range r.records() {
		every = append(every, rec.inward(seen))
	}
	if alone {
		every = append(every, r.foreign()...)
	}
	out := []Integration{}
	for _, i := range every {
		if asks(q, i) {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b Integration) int { return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID) })
	if len(out) == 0 && !alone {
		return false
	}
	answer(w, http.StatusOK, out)
	return true
}

// atHome reports whether this is the stamp of a control plane with an API: there
// the whole list is that of all stamps, which the control plane has.
func (r *Registry) atHome() bool {
	for _, cp := range r.cfg.View().ControlPlanes {
		if cp.Stamp == r.cfg.Me && hasAPI(cp) {
			return true
		}
	}
	return false
}

// asks reports whether a query is about i, by Keptn's rules.
func asks(q url.Values, i Integration) bool {
	is := func(key, value string) bool { return q.Get(key) == "" || q.Get(key) == value }
	if !is("id", i.ID) || !is("name", i.Name) || !is("namespace", i.Metadata.Kubernetes.Namespace) || !is("hostname", i.Metadata.Hostname) {
		return false
	}
	if q.Get("project")+q.Get("stage")+q.Get("service") == "" {
		return true
	}
	in := func(key string, names []string) bool { return q.Get(key) == "" || slices.Contains(names, q.Get(key)) }
	return slices.ContainsFunc(i.Subscriptions, func(s Subscription) bool {
		return in("project", s.Filter.Projects) && in("stage", s.Filter.Stages) && in("service", s.Filter.Services)
	})
}

// answer writes v as Keptn does.
func answer(w http.ResponseWriter, status int, v any) {
	b, err := encode(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"code":500,"message":"answer not written"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client has gone
}

// refuse writes an error in the shape of Keptn's.
func refuse(w http.ResponseWriter, status int, message string) {
	if status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "5")
	}
	answer(w, status, struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{status, message})
}

// read decodes the body of a request, or refuses it. What follows the first
// value is passed over, as Keptn does.
func read(w http.ResponseWriter, req *http.Request, limit int64, v any) bool {
	body := http.MaxBytesReader(w, req.Body, limit)
	if err := json.NewDecoder(body).Decode(v); err != nil {
		status := http.StatusBadRequest
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			status = http.StatusRequestEntityTooLarge
		}
		refuse(w, status, err.Error())
		return false
	}
	return true
}

type idBody struct {
	ID string `json:"id"`
}
