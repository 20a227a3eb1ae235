package plane

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How a plane talks to its stamp.
type How string

// The ways.
const (
	NATS     How = "nats"      // it registered, and subscribes to events
	HTTP     How = "http"      // it registered, and polls
	OnBehalf How = "on-behalf" // it did not register, so the gateway did
)

// A Record is what a stamp knows of one of its planes. It is stored as JSON, and
// not changed once it is in a Registry.
type Record struct {
	ID     string      `json:"id"`               // by which the plane knows itself
	Caller string      `json:"caller,omitempty"` // call.Call.Plane of who registered
	Asked  Integration `json:"asked"`            // as the plane said it last
	How    How         `json:"how"`
	Via    How         `json:"via,omitempty"` // on behalf: how it talks

	// As control planes are told. No two planes of a federation have the same
	// name and namespace.
	Namespace string `json:"namespace"`
	Hostname  string `json:"hostname"`

	// Own are the subscriptions that the plane asked for, under the ids that it
	// is told, and with the filters of the stamp.
	Own []Subscription `json:"own"`
	// Scope is the fingerprint of what the filters of Own were made by.
	Scope string `json:"scope,omitempty"`
	// Shown says that the plane may have been told the ids of Own.
	Shown bool `json:"shown,omitempty"`
	// Remotes are its registrations, by control plane.
	Remotes map[string]Remote `json:"remotes,omitempty"`

	Registered time.Time `json:"registered"`
	// Seen is when it last spoke, within the time of a lease.
	Seen time.Time `json:"seen"`
	// Unready are the addresses that registered and have had no ping answered
	// since, and when they registered.
	Unready map[string]time.Time `json:"unready,omitempty"`
	// Deleted is when the plane was taken out. It is kept for a while, so that
	// every replica and control plane hears of it.
	Deleted time.Time `json:"deleted,omitzero"`
}

// A Remote is a plane's registration with one control plane.
type Remote struct {
	ID            string         `json:"id,omitempty"` // there; empty: not yet
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	Dropped       []string       `json:"dropped,omitempty"` // ids of Own that were taken out there
	Scope         string         `json:"scope,omitempty"`   // fingerprint of what was made of the filters
	Fresh         time.Time      `json:"fresh,omitzero"`    // when it was last confirmed
	Since         time.Time      `json:"since,omitzero"`    // from when on it could not be; zero if it can
	Err           string         `json:"err,omitempty"`     // why not
}

// clone returns a copy that can be changed.
func (r *Record) clone() *Record {
	c := *r
	c.Own, c.Remotes, c.Unready = slices.Clone(r.Own), maps.Clone(r.Remotes), maps.Clone(r.Unready)
	if c.Remotes == nil {
		c.Remotes = map[string]Remote{}
	}
	if c.Unready == nil {
		c.Unready = map[string]time.Time{}
	}
	return &c
}

// subscriptions returns what the plane is told: what the control planes say, or
// what it asked for as long as none of those has said anything. It is never nil.
func (r *Record) subscriptions() []Subscription {
	known := false
	out := []Subscription{}
	for _, name := range slices.Sorted(maps.Keys(r.Remotes)) {
		m := r.Remotes[name]
		if m.ID == "" {
			continue
		}
		known = true
		before, met := len(out), map[int]bool{} // those of other control planes
		for _, s := range m.Subscriptions {
			i := slices.IndexFunc(out[:before], func(o Subscription) bool { return o.ID == s.ID })
			for k := 0; i < 0 && k < before; k++ {
				if out[k].Event == s.Event && !met[k] {
					i = k
				}
			}
			if i < 0 {
				out = append(out, s)
				continue
			}
			met[i] = true
			out[i].Filter = widen(out[i].Filter, s.Filter)
		}
	}
	if !known {
		return append(out, r.Own...)
	}
	return out
}

// widen returns a filter that lets through what a or b does.
func widen(a, b Filter) Filter {
	both := func(a, b []string) []string {
		if len(a) == 0 || len(b) == 0 {
			return []string{}
		}
		return add(slices.Clone(a), b...)
	}
	return Filter{both(a.Projects, b.Projects), both(a.Stages, b.Stages), both(a.Services, b.Services)}
}

// inward returns the plane as it sees itself: with its own namespace, and the
// subscriptions as they are.
func (r *Record) inward(seen time.Time) Integration {
	out := r.Asked
	out.ID, out.Subscriptions = r.ID, r.subscriptions()
	out.Metadata.LastSeen = seen.UTC()
	return out
}

// outward returns the plane as a control plane is told of it, with the given
// subscriptions.
func (r *Record) outward(location string, subs []Subscription) Integration {
	out := Integration{Name: r.Asked.Name, Metadata: r.Asked.Metadata, Subscriptions: subs}
	out.Metadata.Hostname, out.Metadata.Location = r.Hostname, location
	out.Metadata.Kubernetes.Namespace = r.Namespace
	out.Metadata.DistributorVersion = editable(out.Metadata.DistributorVersion)
	out.Metadata.LastSeen = time.Time{}
	return out
}

// editable returns version, or the first one whose subscriptions the Bridge lets
// users edit, if that is later or version is none.
func editable(version string) string {
	const least = "0.9.0"
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) != 3 {
		return least
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil || major == 0 && minor < 9 {
		return least
	}
	return version
}

// stale reports since when a control plane could not confirm the plane; zero if
// all can.
func (r *Record) stale() (since time.Time, why string) {
	for _, name := range slices.Sorted(maps.Keys(r.Remotes)) {
		if m := r.Remotes[name]; !m.Since.IsZero() && (since.IsZero() || m.Since.Before(since)) {
			since, why = m.Since, "control plane "+name+": "+m.Err
		}
	}
	return since, why
}
