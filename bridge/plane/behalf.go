package plane

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// clientsSubject is where, in account RELAY, each replica says which clients it
// has: a sighted.
const clientsSubject = "planes.clients"

// A Client is a connection of a client of the stamp that subscribes.
type Client struct {
	Addr string `json:"addr"` // host that it comes from
	Name string `json:"name"` // that it gives itself; Keptn's programs give none
	Subs []Sub  `json:"subs"`
}

// A Sub is a subscription of a Client.
type Sub struct {
	Subject string `json:"subject"`
	Queue   string `json:"queue"` // cp-connector and go-sdk: the name of the integration
}

// sighted is the clients of one server, and when they were seen.
type sighted struct {
	From    string   `json:"from"`
	Clients []Client `json:"clients"`

	at time.Time
}

// A group is all clients of a queue group.
type group struct {
	subjects []string
	addrs    []string
}

// look is how often clients are looked at.
func (r *Registry) look() time.Duration {
	return max(min(r.cfg.Behalf/3, 5*time.Second), 10*time.Millisecond)
}

// notPlanes are the names that no plane has: Keptn's own services that never
// register.
var notPlanes = []string{"statistics-service", "api-service", "mongodb-datastore", "resource-service", "secret-service", "shipyard-controller"}

// lookOut says which clients this replica has, until ctx ends.
func (r *Registry) lookOut(ctx context.Context) {
	tick := time.NewTicker(r.look())
	defer tick.Stop()
	for {
		s := sighted{From: r.name, at: time.Now()}
		for _, c := range r.cfg.Clients() {
			c.Subs = slices.DeleteFunc(c.Subs, func(s Sub) bool { return !strings.HasPrefix(s.Subject, "sh.keptn.") })
			if len(c.Subs) > 0 {
				s.Clients = append(s.Clients, c)
			}
		}
		r.mu.Lock()
		r.census[r.name] = s
		r.mu.Unlock()
		if r.cfg.Replicas > 1 {
			r.say(clientsSubject, s)
		}
		r.recognize()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *Registry) onClients(m *nats.Msg) {
	var s sighted
	if json.Unmarshal(m.Data, &s) != nil || s.From == r.name {
		return
	}
	s.at = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.census[s.From] = s
}

// groups returns the queue groups that clients of all replicas form, by name. A
// client without one counts by the name it gives itself.
func (r *Registry) groups() map[string]*group {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]*group{}
	for from, s := range r.census {
		if time.Since(s.at) > 3*r.look()+time.Second {
			delete(r.census, from)
			continue
		}
		for _, c := range s.Clients {
			for _, sub := range c.Subs {
				name := sub.Queue
				if name == "" {
					name = c.Name
				}
				if name == "" || strings.HasPrefix(name, "NATS CLI") || slices.Contains(notPlanes, name) {
					continue
				}
				g := out[name]
				if g == nil {
					g = &group{}
					out[name] = g
				}
				g.subjects, g.addrs = add(g.subjects, sub.Subject), add(g.addrs, c.Addr)
			}
		}
	}
	return out
}

// recognize works out which planes that registered also subscribe.
func (r *Registry) recognize() {
	_, met := r.match()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !maps.Equal(met, r.met) {
		r.met = met
		r.polls.Store(nil)
	}
}

// match finds the groups that registered planes stand for, and returns the
// others, and those planes. A plane stands for the group of its name, or for one
// whose subjects are all among its subscriptions, for the group of a distributor
// may be called otherwise.
func (r *Registry) match() (others map[string]*group, met map[string]bool) {
	others, met = r.groups(), map[string]bool{}
	var free []*Record
	for rec, seen := range r.records() {
		switch {
		case rec.How == OnBehalf:
		case others[rec.Asked.Name] != nil:
			met[rec.ID] = true
		case rec.How == NATS && time.Since(seen) < r.cfg.Lease:
			free = append(free, rec)
		}
	}
	for rec := range r.records() {
		if met[rec.ID] {
			delete(others, rec.Asked.Name)
		}
	}
	for name, g := range others {
		if i := slices.IndexFunc(free, func(rec *Record) bool { return rec.covers(g.subjects) }); i >= 0 {
			met[free[i].ID] = true
			free = slices.Delete(free, i, i+1)
			delete(others, name)
		}
	}
	return others, met
}

// watchClients registers on behalf of those who do not, until ctx ends.
func (r *Registry) watchClients(ctx context.Context) {
	first := map[string]time.Time{} // when a plane that does not register was first seen
	tick := time.NewTicker(r.look())
	defer tick.Stop()
	for {
		r.meet(ctx, first, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// A stranger is who talks, and has not registered.
type stranger struct {
	name, caller string
	via          How
	events       []string
}

// meet looks at who is there now.
func (r *Registry) meet(ctx context.Context, first map[string]time.Time, now time.Time) {
	there := map[string]bool{}
	for _, s := range append(r.strangers(), r.pollers(ctx, now)...) {
		key := s.caller + "\x00" + s.name
		there[key] = true
		if first[key].IsZero() {
			first[key] = now
		}
		if rec := r.behalf(s); rec != nil {
			r.see(rec.ID)
			r.amend(ctx, rec, s)
			continue
		}
		if now.Sub(first[key]) < r.cfg.Behalf {
			continue // it may be about to register
		}
		r.introduce(ctx, s)
	}
	for key := range first {
		if !there[key] {
			delete(first, key)
		}
	}
}

// strangers returns the groups that no registered plane stands for.
func (r *Registry) strangers() []stranger {
	control := r.cfg.View().Me.Control
	if control && len(stagesHere(r)) == 0 {
		return nil // Keptn's own services
	}
	groups, _ := r.match()
	var out []stranger
	for name, g := range groups {
		if control && slices.Contains(coreServices, name) {
			continue
		}
		slices.Sort(g.subjects)
		out = append(out, stranger{name: name, via: NATS, events: g.subjects})
	}
	return out
}

// stagesHere returns the stages that reach this stamp.
func stagesHere(r *Registry) []string {
	var out []string
	for _, s := range scopesOf(r.cfg.View()) {
		out = append(out, s.stages...)
	}
	return out
}

// covers reports whether all of subjects are those of subscriptions of the
// plane.
func (r *Record) covers(subjects []string) bool {
	has := append(r.subscriptions(), r.Asked.Subscriptions...)
	for _, s := range subjects {
		if !slices.ContainsFunc(has, func(h Subscription) bool { return h.Event == s }) {
			return false
		}
	}
	return true
}

// behalf returns the plane that stands for s, or nil.
func (r *Registry) behalf(s stranger) *Record {
	for rec := range r.records() {
		if rec.How == OnBehalf && rec.Asked.Name == s.name && rec.Caller == s.caller && rec.Via == s.via {
			return rec
		}
	}
	return nil
}

// introduce registers a plane on its behalf.
func (r *Registry) introduce(ctx context.Context, s stranger) {
	in := Integration{Name: s.name, Metadata: Metadata{
		Hostname: string(r.cfg.Me) + "-gw", DistributorVersion: "0.9.0", Kubernetes: Kubernetes{Deployment: s.name},
	}}
	for _, e := range s.events {
		in.Subscriptions = append(in.Subscriptions, Subscription{Event: e})
	}
	unlock := r.lock("\x00" + s.name)
	rec := r.place(in, s.caller, OnBehalf)
	now := time.Now().UTC()
	rec.Via, rec.Shown, rec.Registered, rec.Seen = s.via, false, now, now
	scope := r.scopeOf(rec)
	rec.Own, rec.Scope = own(in.Subscriptions, scope), scope.fingerprint()
	r.change(ctx, rec.ID, func(was *Record) *Record {
		if was != nil {
			rec.Remotes = was.Remotes
		}
		return rec.clone()
	})
	unlock()
	r.cfg.Log.Info("plane registered on its behalf", "plane", s.name, "n", len(rec.Own))
	defer r.lock(rec.ID)()
	r.pass(ctx, rec.ID, false)
	r.nudge()
}

// amend makes the subscriptions of a plane those that it has now.
func (r *Registry) amend(ctx context.Context, rec *Record, s stranger) {
	var before []string
	for _, o := range rec.Asked.Subscriptions {
		before = append(before, o.Event)
	}
	if sameSet(before, s.events) || len(s.events) == 0 {
		return
	}
	var asked []Subscription
	for _, e := range s.events {
		asked = append(asked, Subscription{Event: e})
	}
	var gone []string
	scope := union(r.scopes(rec.Asked.Name))
	unlock := r.lock(rec.ID)
	r.change(ctx, rec.ID, func(rec *Record) *Record {
		if rec == nil {
			return nil
		}
		gone = nil
		for _, o := range rec.Own {
			if slices.Contains(before, o.Event) && !slices.Contains(s.events, o.Event) {
				gone = append(gone, o.ID)
			}
		}
		rec.Own = append(rec.Own, own(fresh(asked, rec.Asked.Subscriptions, rec.Own), scope)...)
		rec.Asked.Subscriptions = asked
		return rec
	})
	r.pass(ctx, rec.ID, false)
	unlock()
	var errs []error
	for _, id := range gone {
		errs = append(errs, r.dropOwn(ctx, rec.ID, id))
	}
	if err := errors.Join(errs...); err != nil {
		r.cfg.Log.Debug("subscriptions of a plane not taken out", "plane", rec.Asked.Name, "err", err)
	}
	r.nudge()
}

// dropOwn takes a subscription of a plane out, everywhere.
func (r *Registry) dropOwn(ctx context.Context, id, sub string) error {
	return r.edit(ctx, id, func(ctx context.Context, a *api, remote string, _ scope) error {
		return a.drop(ctx, remote, sub)
	}, func(own []Subscription) []Subscription {
		return slices.DeleteFunc(own, func(o Subscription) bool { return o.ID == sub })
	})
}
