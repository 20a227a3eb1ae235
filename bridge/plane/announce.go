package plane

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// State says in a word how a plane is.
type State string

// The states.
const (
	Fresh State = "fresh" // every control plane knows it as it is
	Stale State = "stale" // a control plane could not confirm it; what the plane is told is from before
	Gone  State = "gone"  // it says nothing any more
)

// A Plane is a plane as others see it.
type Plane struct {
	Stamp         topology.StampID `json:"stamp"`
	ID            string           `json:"id"`
	Name          string           `json:"name"`
	Namespace     string           `json:"namespace"`        // as the control planes know it
	Own           string           `json:"own,omitempty"`    // namespace that the plane itself gives
	Caller        string           `json:"caller,omitempty"` // by prefix or token
	Hostname      string           `json:"hostname"`
	Version       string           `json:"version,omitempty"`
	How           How              `json:"how"`
	Via           How              `json:"via,omitempty"` // on behalf: how it talks
	State         State            `json:"state"`
	Since         time.Time        `json:"since,omitzero"`   // stale since
	Reason        string           `json:"reason,omitempty"` // why it is stale
	Seen          time.Time        `json:"seen"`
	Subscriptions []Subscription   `json:"subscriptions"`
}

// A Copy is what another stamp last said of its planes.
type Copy struct {
	Stamp  topology.StampID `json:"stamp"`
	At     time.Time        `json:"at"` // when it was heard
	Planes []Plane          `json:"planes"`

	part  *report // of which not all parts have come
	saved string  // what of it is in the bucket
}

// A report is a message about the planes of a stamp, all or some of them.
type report struct {
	Process string    `json:"process"` // of which Rev counts
	Rev     uint64    `json:"rev"`
	Part    int       `json:"part"` // from 0
	Parts   int       `json:"parts"`
	At      time.Time `json:"at"` // by the clock of who writes it
	Planes  []Plane   `json:"planes"`
}

// Bounds of a message.
const (
	maxPart      = 100       // planes
	maxPartBytes = 256 << 10 // bytes, unless one plane has more
)

// parts divides planes into messages.
func parts(planes []Plane) [][]Plane {
	var out [][]Plane
	begin, size := 0, 0
	for i, p := range planes {
		b, _ := json.Marshal(p) // strings and times
		if size += len(b); i > begin && (i-begin >= maxPart || size > maxPartBytes) {
			out = append(out, planes[begin:i])
			begin, size = i, len(b)
		}
	}
	return append(out, planes[begin:])
}

// hearStamps listens to what other stamps say, and asks those that are there.
func (r *Registry) hearStamps() (*nats.Subscription, error) {
	s, err := r.cfg.Fed.Subscribe(bridge.CtlSubject(r.cfg.Me, "*", "planes.*"), r.onStamp)
	if err != nil {
		return nil, fmt.Errorf("subscribe what other stamps say: %w", err)
	}
	for _, p := range r.peers() {
		if err := r.cfg.Fed.Publish(bridge.CtlSubject(p, r.cfg.Me, bridge.PlanesWant), nil); err != nil {
			r.cfg.Log.Debug("stamp not asked for its planes, it will tell", "peer", p, "err", err)
		}
	}
	return s, nil
}

func (r *Registry) onStamp(m *nats.Msg) {
	_, from, what, ok := bridge.Address(m.Subject)
	switch {
	case !ok || r.cfg.View().Stamp(from) == nil || from == r.cfg.Me:
	case what == bridge.PlanesWant:
		if r.acting.Load() {
			r.tell(r.report(), from)
		}
	case what == bridge.PlanesTell:
		var p report
		if json.Unmarshal(m.Data, &p) == nil && p.Parts > 0 && p.Part >= 0 && p.Part < p.Parts {
			r.hear(from, p, time.Now())
			r.nudge()
		}
	}
}

// hear takes a message about the planes of another stamp.
func (r *Registry) hear(from topology.StampID, p report, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.copies[from]
	if c == nil {
		c = &Copy{Stamp: from}
		r.copies[from] = c
	}
	if p.Part > 0 && (c.part == nil || c.part.Process != p.Process || c.part.Rev != p.Rev || c.part.Part != p.Part-1) {
		return // one before it was lost; the next report is whole
	}
	if p.Part > 0 {
		p.Planes = append(c.part.Planes, p.Planes...)
	}
	if c.part = &p; p.Part+1 < p.Parts {
		return
	}
	off := now.Sub(p.At) // of the clocks, and how long it took
	for i := range p.Planes {
		p.Planes[i].Stamp, p.Planes[i].Seen = from, p.Planes[i].Seen.Add(off)
	}
	r.copies[from] = &Copy{Stamp: from, At: now, Planes: p.Planes, saved: c.saved}
}

// report returns what there is to say of the planes of this stamp.
func (r *Registry) report() []Plane {
	now := time.Now()
	out := []Plane{}
	for rec, seen := range r.records() {
		since, why := rec.stale()
		out = append(out, Plane{
			Stamp: r.cfg.Me, ID: rec.ID, Name: rec.Asked.Name, Namespace: rec.Namespace, Own: rec.Asked.Metadata.Kubernetes.Namespace,
			Caller: rec.Caller, Hostname: rec.Hostname, Version: rec.Asked.Metadata.IntegrationVersion, How: rec.How, Via: rec.Via,
			State: r.state(rec, seen, now), Since: since, Reason: why, Seen: seen.UTC(), Subscriptions: rec.subscriptions(),
		})
	}
	slices.SortFunc(out, func(a, b Plane) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// gist tells reports that differ from those that say the same later.
func gist(planes []Plane) string {
	var b strings.Builder
	for _, p := range planes {
		p.Seen = time.Time{}
		j, _ := json.Marshal(p) // strings and times
		b.Write(j)
	}
	return b.String()
}

// tell tells other stamps.
func (r *Registry) tell(planes []Plane, to ...topology.StampID) {
	rev, now := r.rev.Add(1), time.Now()
	all := parts(planes)
	for i, some := range all {
		b, err := json.Marshal(report{r.name, rev, i, len(all), now, some})
		if err != nil {
			r.cfg.Log.Error("planes not told to other stamps", "err", err)
			return
		}
		for _, p := range to {
			if err := r.cfg.Fed.Publish(bridge.CtlSubject(p, r.cfg.Me, bridge.PlanesTell), b); err != nil {
				r.cfg.Log.Debug("planes not told to a stamp, it is told again", "peer", p, "err", err)
			}
		}
	}
}

// tellAll tells other stamps what is new at once, and everything now and then.
func (r *Registry) tellAll(ctx context.Context) {
	tick := time.NewTicker(min(r.cfg.Announce/4, 2*time.Second))
	defer tick.Stop()
	var said string
	var at time.Time
	for {
		planes := r.report()
		if is := gist(planes); is != said || time.Since(at) >= r.cfg.Announce {
			r.tell(planes, r.peers()...)
			said, at = is, time.Now()
		}
		r.weigh()
		r.keepCopies(ctx)
		select {
		case <-ctx.Done():
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout/2)
			defer cancel()
			r.keepCopies(ending)
			return
		case <-tick.C:
		case <-r.nudged:
		}
	}
}

// keepCopies stores what other stamps said, for the time after a restart.
func (r *Registry) keepCopies(ctx context.Context) {
	kv := r.kv.Load()
	r.mu.Lock()
	var due []*Copy
	for _, c := range r.copies {
		if !c.At.IsZero() && gist(c.Planes) != c.saved {
			due = append(due, c)
		}
	}
	r.mu.Unlock()
	for _, c := range due {
		b, err := json.Marshal(c)
		if err == nil {
			asking, cancel := context.WithTimeout(ctx, storeTimeout)
			_, err = (*kv).Put(asking, stampKey+string(c.Stamp), b)
			cancel()
		}
		if err != nil {
			r.cfg.Log.Debug("planes of another stamp not stored, will try again", "peer", c.Stamp, "err", err)
			continue
		}
		r.mu.Lock()
		c.saved = gist(c.Planes)
		r.mu.Unlock()
	}
}

// restore takes what was stored of what other stamps said, where nothing newer
// is known. mu is held.
func (r *Registry) restore(reports map[string][]byte) {
	for _, b := range reports {
		c := &Copy{}
		if json.Unmarshal(b, c) != nil {
			continue
		}
		if is := r.copies[c.Stamp]; is == nil || is.At.Before(c.At) {
			c.saved = gist(c.Planes)
			r.copies[c.Stamp] = c
		}
	}
}

// Planes returns every plane that is known: those of this stamp, and what other
// stamps last said of theirs, by stamp.
func (r *Registry) Planes() []Copy {
	out := []Copy{{Stamp: r.cfg.Me, At: time.Now(), Planes: r.report()}}
	view := r.cfg.View()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.copies {
		if !c.At.IsZero() && view.Stamp(c.Stamp) != nil {
			out = append(out, Copy{Stamp: c.Stamp, At: c.At, Planes: c.Planes})
		}
	}
	slices.SortFunc(out[1:], func(a, b Copy) int { return cmp.Compare(a.Stamp, b.Stamp) })
	return out
}

// foreign returns the planes of other stamps, where no control plane has an API
// that knows them.
func (r *Registry) foreign() []Integration {
	if !r.cfg.View().Me.Control {
		return nil
	}
	var out []Integration
	for _, c := range r.Planes()[1:] {
		for _, p := range c.Planes {
			out = append(out, Integration{ID: p.ID, Name: p.Name, Subscriptions: p.Subscriptions, Metadata: Metadata{
				Hostname: p.Hostname, IntegrationVersion: p.Version, DistributorVersion: editable(""), Location: string(p.Stamp),
				Kubernetes: Kubernetes{Namespace: p.Namespace}, LastSeen: p.Seen.UTC(),
			}})
		}
	}
	return out
}
