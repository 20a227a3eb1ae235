package plane

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge/call"
)

// incomplete is what Keptn says of a registration that has no place of its own.
// An empty name or namespace would stand for every other, and take over their
// subscriptions.
const incomplete = "incomplete integration ID. At least 'name','namespace' and 'nodename' must be set"

// passWait bounds how long who registers waits for the control plane. It is
// registered here whatever comes of that.
const passWait = 5 * time.Second

func (r *Registry) onRegister(w http.ResponseWriter, req *http.Request, c call.Call) {
	var in Integration
	if !read(w, req, maxPlane, &in) {
		return
	}
	if in.Name == "" || in.Metadata.Kubernetes.Namespace == "" {
		refuse(w, http.StatusBadRequest, incomplete)
		return
	}
	id, created := r.enrol(req.Context(), in, c.Plane, howOf(c), addrOf(req), "")
	if created {
		answer(w, http.StatusCreated, idBody{id})
		return
	}
	answer(w, http.StatusOK, idBody{id})
}

// howOf returns how a plane talks that makes a call: those on NATS know the names in
// the cluster, and no other API.
func howOf(c call.Call) How {
	if c.Public {
		return HTTP
	}
	return NATS
}

// addrOf returns the host that a request comes from.
func addrOf(req *http.Request) string {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return req.RemoteAddr
	}
	return host
}

// enrol registers a plane, or takes note that one registers again: name, its own
// namespace and its caller decide. It gets the id known, unless that is empty.
func (r *Registry) enrol(ctx context.Context, in Integration, caller string, how How, addr, known string) (id string, created bool) {
	// What the plane has begun is finished though it hang up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), passWait)
	defer cancel()
	unlock := r.lock("\x00" + in.Name) // one at a time chooses its place
	id, created = r.settle(ctx, in, caller, how, addr, known)
	unlock()
	defer r.lock(id)()
	r.pass(ctx, id, !created)
	r.nudge()
	return id, created
}

// settle stores a registration.
func (r *Registry) settle(ctx context.Context, in Integration, caller string, how How, addr, known string) (id string, created bool) {
	old := r.find(in, caller)
	now := time.Now().UTC()
	scope := union(r.scopes(in.Name))
	if old == nil {
		rec := r.place(in, caller, how)
		if known != "" {
			rec.ID, rec.Shown = known, true
		}
		rec.Own, rec.Scope, rec.Registered, rec.Seen = own(in.Subscriptions, scope), scope.fingerprint(), now, now
		if how == NATS && addr != "" {
			rec.Unready = map[string]time.Time{addr: now}
		}
		r.change(ctx, rec.ID, func(was *Record) *Record { // one that was taken out comes back
			if was != nil {
				rec.Remotes = was.Remotes
			}
			return rec.clone()
		})
		r.cfg.Log.Info("plane registers", "plane", in.Name, "n", len(rec.Own))
		return rec.ID, true
	}
	alone := r.alone()
	r.change(ctx, old.ID, func(rec *Record) *Record {
		if rec == nil {
			return nil
		}
		before := rec.Asked.Subscriptions
		rec.Asked, rec.Registered, rec.Seen = in, now, now
		if how == NATS && addr != "" && rec.How != HTTP {
			rec.Unready[addr] = now
		}
		if rec.How == OnBehalf {
			rec.How = how
		}
		switch {
		case len(rec.subscriptions()) == 0:
			rec.Own = own(in.Subscriptions, scope)
		case !alone: // Keptn passes over what is new; a control plane is told of it
			rec.Own = append(rec.Own, own(fresh(in.Subscriptions, before, rec.Own), scope)...)
		}
		return rec
	})
	return old.ID, false
}

// fresh returns those of asked whose events were neither asked for before nor
// are among own.
func fresh(asked, before, own []Subscription) []Subscription {
	var out []Subscription
	for _, s := range asked {
		same := func(o Subscription) bool { return o.Event == s.Event }
		if !slices.ContainsFunc(before, same) && !slices.ContainsFunc(own, same) {
			out = append(out, s)
		}
	}
	return out
}

// own returns what is made of the subscriptions that a plane asks for.
func own(asked []Subscription, s scope) []Subscription {
	out := []Subscription{}
	for _, a := range asked {
		if a.Event != "" { // Keptn stores it, and nothing ever matches
			out = append(out, Subscription{ID: newUUID(), Event: a.Event, Filter: s.about(a.Event).narrow(a.Filter)})
		}
	}
	return out
}

// find returns the plane that in is about, or nil. One that was taken over from a
// control plane is known by the namespace that those are told, until it registers
// again; one that the gateway has registered on behalf of a client of that name is
// that one.
func (r *Registry) find(in Integration, caller string) *Record {
	var behalf, taken *Record
	outward := r.namespace(in, caller)
	for rec := range r.records() {
		if rec.Asked.Name != in.Name {
			continue
		}
		if rec.How == OnBehalf {
			if rec.Caller == caller || rec.Caller == "" {
				behalf = rec
			}
			continue
		}
		if rec.Caller != caller {
			continue
		}
		switch rec.Asked.Metadata.Kubernetes.Namespace {
		case in.Metadata.Kubernetes.Namespace:
			return rec
		case outward:
			taken = rec
		}
	}
	if taken != nil {
		return taken
	}
	return behalf
}

// namespace returns what control planes are told for the namespace of a plane.
func (r *Registry) namespace(in Integration, caller string) string {
	return strings.NewReplacer(
		"{{stamp}}", string(r.cfg.Me), "{{namespace}}", in.Metadata.Kubernetes.Namespace, "{{plane}}", caller,
	).Replace(r.cfg.Namespace)
}

// place gives a new plane a name, namespace and id that no other has.
func (r *Registry) place(in Integration, caller string, how How) *Record {
	namespace := r.namespace(in, caller)
	rec := &Record{Caller: caller, Asked: in, How: how, Hostname: in.Metadata.Hostname}
	if rec.Hostname == "" {
		rec.Hostname = string(r.cfg.Me) + "-gw"
	}
	taken := map[string]bool{}
	for other := range r.records() {
		if other.Asked.Name == in.Name {
			taken[other.Namespace] = true
		}
	}
	rec.Namespace = namespace
	for _, more := range []string{caller, in.Metadata.Kubernetes.Namespace, caller + "." + in.Metadata.Kubernetes.Namespace} {
		if taken[rec.Namespace] && more != "" {
			rec.Namespace = namespace + "." + more
		}
	}
	rec.ID = idOf(in.Name, rec.Namespace, rec.Hostname)
	return rec
}
