package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

// When something that expires is found, and how bad it is.
const (
	expiresSoon = 30 * 24 * time.Hour
	expiresNow  = 24 * time.Hour
)

func (e *exam) configuration() {
	const inForce, same, done = "the topology file is in force", "peers have the same topology in force", "no change waits for a restart"
	if t := e.s.Topology; t.Err != "" {
		e.fail(catConfig, inForce, CodeTopology, "%s: %s", e.g.opts.Topology, t.Err)
	} else {
		e.ok(catConfig, inForce)
	}
	n := len(e.found)
	for _, p := range e.s.Peers {
		if p.Topology != "" && p.Topology != e.s.Topology.Hash {
			e.warn(catConfig, same, CodeDiffering, "stamp %s has %s, we have %s", p.Stamp, p.Topology, e.s.Topology.Hash)
		}
	}
	e.note(n, catConfig, same)
	n = len(e.found)
	for _, p := range e.s.Topology.Pending {
		e.warn(catConfig, done, CodePending, "%s", p)
	}
	if err := e.s.Topology.RelinkErr; err != "" {
		e.fail(catConfig, done, CodePending, "link server not restarted: %s", err)
	}
	e.note(n, catConfig, done)
	n = len(e.found)
	const parts = "every part of the gateway works"
	for _, name := range slices.Sorted(maps.Keys(e.s.Parts)) {
		switch state := e.s.Parts[name]; state {
		case "ok":
		case "starting":
			e.warn(catConfig, parts, CodePart, "%s: %s", name, state)
		default:
			e.fail(catConfig, parts, CodePart, "%s: %s", name, state)
		}
	}
	if !e.s.Ready {
		e.fail(catConfig, parts, CodePart, "the gateway is not ready")
	}
	e.note(n, catConfig, parts)
	n = len(e.found)
	const replicas = "every replica is there"
	for _, c := range e.s.Replica.causes() {
		e.warn(catConfig, replicas, CodeReplica, "%s", c)
	}
	if r := e.s.Replica; r != nil {
		e.note(n, catConfig, replicas)
	}
}

func (e *exam) identity() {
	const check = "nothing expires within 30 days"
	n := len(e.found)
	for _, x := range e.s.Expires {
		left := x.At.Sub(e.now)
		text := fmt.Sprintf("%s %s in %s expires %s", x.Kind, x.Name, x.File, x.At.UTC().Format(time.RFC3339))
		switch {
		case left <= 0:
			e.fail(catIdentity, check, CodeExpires, "%s: it has expired", text)
		case left < expiresNow:
			e.fail(catIdentity, check, CodeExpires, "%s: in %s", text, left.Round(time.Minute))
		case left < expiresSoon:
			e.warn(catIdentity, check, CodeExpires, "%s: in %d days", text, int(left.Hours()/24))
		}
	}
	e.note(n, catIdentity, check)
}

func (e *exam) links() {
	for _, l := range e.s.Links {
		check := fmt.Sprintf("%s link to %s is up", l.Kind, l.Peer)
		if l.Up {
			e.ok(catLinks, check)
			continue
		}
		e.fail(catLinks, check, CodeLink, "%s since %s (side: %s → %s, %s)", cmp.Or(l.Err, "not connected"),
			l.Since.UTC().Format(time.RFC3339), e.s.Stamp, l.Peer, l.Addr)
	}
}

func (e *exam) clock() {
	check := fmt.Sprintf("clocks of peers are within %s of ours", maxOffset)
	n := len(e.found)
	for _, p := range e.s.Peers {
		if d, err := time.ParseDuration(p.Offset); err == nil && d.Abs() > maxOffset {
			e.warn(catClock, check, CodeClock, "the clock of stamp %s is %s %s ours", p.Stamp, d.Abs().Round(time.Second), side(d))
		}
	}
	e.note(n, catClock, check)
}

func (e *exam) disk() {
	const works, room = "streams can be written", "the disk has room"
	n := len(e.found)
	for _, text := range e.s.Store {
		e.fail(catDisk, works, CodeStore, "%s", text)
	}
	if err := e.g.node.ProbeStore(); err != nil {
		e.fail(catDisk, works, CodeStore, "%v", err)
	}
	e.note(n, catDisk, works)
	free, total, err := diskRoom(e.g.opts.Data)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		e.warn(catDisk, room, CodeStore, "look at %s: %v", e.g.opts.Data, err)
	case free < total/20:
		e.fail(catDisk, room, CodeStore, "%s: %d MiB of %d MiB are free", e.g.opts.Data, free>>20, total>>20)
	case free < total/10:
		e.warn(catDisk, room, CodeStore, "%s: %d MiB of %d MiB are free", e.g.opts.Data, free>>20, total>>20)
	default:
		e.ok(catDisk, room)
	}
}

func (e *exam) versions() {
	const check = "peers run the same version"
	n := len(e.found)
	for _, p := range e.s.Peers {
		if p.Version != "" && p.Version != e.s.Version {
			e.warn(catVersions, check, CodeVersion, "stamp %s runs %s, we run %s", p.Stamp, p.Version, e.s.Version)
		}
	}
	e.note(n, catVersions, check)
}

// nearLimit is from which part of a limit on it is near.
const nearLimit = 0.8

func (e *exam) limits() {
	used, limit, err := openFiles()
	near := func(check, what string, used, limit float64) {
		if used > nearLimit*limit {
			e.warn(catLimits, check, CodeLimit, "%.0f %s of %.0f", used, what, limit)
			return
		}
		e.ok(catLimits, check)
	}
	if err == nil {
		near("open files are far from their limit", "are open", float64(used), float64(limit))
	}
	var count int
	var bytes int64
	for _, w := range e.s.Waiting {
		count, bytes = count+w.Count, bytes+w.Bytes
	}
	near("waiting events are far from events.maxWaiting", "wait", float64(count), float64(e.g.opts.Events.MaxWaiting))
	near("they are far from events.maxWaitingBytes", "bytes wait", float64(bytes), float64(e.g.opts.Events.MaxWaitingBytes))
	if n := e.s.DeadLetters; n != nil {
		near("dead letters are far from their limit", "are kept", float64(*n), deadletter.MaxLetters)
	}
}

// denial is a right that NATS refused.
type denial struct {
	at   time.Time
	text string
}

// deniedFor is for how long a refusal is shown.
const deniedFor = 10 * time.Minute

// noteDenied remembers what NATS refused.
func (g *Gateway) noteDenied(err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		g.metrics.denied.Inc()
		g.denied.Store(&denial{time.Now(), err.Error()})
	}
}

func (e *exam) rights(ctx context.Context) {
	const refused, self = "NATS refuses nothing to the gateway", "the stamp speaks and hears as itself in account FED"
	if d := e.g.denied.Load(); d != nil && e.now.Sub(d.at) < deniedFor {
		e.warn(catRights, refused, CodeRights, "%s: %s", d.at.UTC().Format(time.RFC3339), d.text)
	} else {
		e.ok(catRights, refused)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, a := range e.g.asker(ctx, bridge.ShowStatus, []topology.StampID{e.s.Stamp}) {
		if a.Err != nil {
			e.fail(catRights, self, CodeRights, "a question to itself: %v", a.Err)
		} else {
			e.ok(catRights, self)
		}
	}
}

func (e *exam) canaries() {
	l := look{mesh: e.f.declared(), me: e.s.Stamp, all: map[topology.StampID]heard{e.s.Stamp: hearOwn(e.s)}}
	for _, p := range e.s.Peers {
		check := fmt.Sprintf("events get through to %s", p.Stamp)
		s := l.mesh.Stamp(p.Stamp)
		if !p.Stale || s == nil {
			e.ok(catCanaries, check)
			continue
		}
		c := l.cut(s, StampReport{Stamp: p.Stamp, Canary: canaryReport(e.s.Stamp, p), Outbox: l.heldFor(p.Stamp)})
		e.fail(catCanaries, check, c.Code, "none for %s: %s", p.Age, c)
	}
	n := len(e.found)
	const check = "control planes that are polled answer"
	for _, text := range pullCauses(e.s.Polled) {
		e.fail(catCanaries, check, CodeControl, "%s", text)
	}
	if len(e.s.Polled) > 0 {
		e.note(n, catCanaries, check)
	}
}

func (e *exam) planes() {
	const known, fed = "control planes know every plane", "every plane gets events"
	n := len(e.found)
	for _, text := range e.s.Planes.causes() {
		e.warn(catPlanes, known, CodeControl, "%s", text)
	}
	e.note(n, catPlanes, known)
	r := e.g.planes.Load()
	if r == nil || e.f.view.Me.Control { // its own control plane needs no rule
		return
	}
	n = len(e.found)
	for _, c := range r.Planes() {
		if c.Stamp != e.s.Stamp {
			continue
		}
		for _, p := range c.Planes {
			for _, sub := range p.Subscriptions {
				if why := idle(e.f.view, sub.Event, sub.Filter.Stages); why != "" {
					e.warn(catPlanes, fed, CodeIdle, "%s for %s: %s", p.Name, sub.Event, why)
				}
			}
		}
	}
	e.note(n, catPlanes, fed)
}

// idle says why nothing that a plane of this stamp subscribes to comes here, or
// nothing if something does.
func idle(v *topology.View, event string, stages []string) string {
	if !strings.HasPrefix(event, "sh.keptn.event.") || !strings.HasSuffix(event, ".triggered") {
		return "" // of what informs, and of routes, nobody knows
	}
	var here []string
	for _, r := range v.Stages {
		if slices.Contains(r.Stamps, v.Me.ID) {
			here = append(here, r.Stage)
		}
	}
	switch {
	case len(here) == 0:
		return "no stage of the topology comes to stamp " + string(v.Me.ID)
	case len(stages) > 0 && !slices.ContainsFunc(stages, func(s string) bool { return slices.Contains(here, s) }):
		return fmt.Sprintf("its filter names stage %s, and here come %s", strings.Join(stages, ", "), strings.Join(here, ", "))
	}
	return ""
}

// dialled returns what this stamp dials, as it is known here.
func (e *exam) dialled() []dial {
	v := e.f.view
	var out []dial
	add := func(what, addr string) {
		if addr != "" {
			out = append(out, dial{what, addr})
		}
	}
	switch p := v.Me.Link.Proxy; {
	case p != nil:
		add("its proxy", hostPort(p.URL))
	case v.Me.Link.Kind == topology.LinkHub:
		for _, hub := range v.Hubs() {
			if hub.ID != v.Me.ID {
				add("hub "+string(hub.ID)+" ("+string(node.KindGateway)+")", hub.Link.Advertise.Gateway)
			}
		}
	default:
		for _, id := range v.Me.Link.Via {
			if hub := v.Stamp(id); hub != nil {
				add("hub "+string(id)+" ("+string(v.Me.Link.Transport)+")", hub.Link.Advertise.For(v.Me.Link.Transport))
			}
		}
	}
	if v.Me.Clients.Mode == topology.ClientsExternal {
		add("its NATS", urlHostPort(v.Me.Clients.URL))
		add("its NATS (leafnode)", urlHostPort(v.Me.Clients.Leafnode))
	}
	for _, c := range v.ControlPlanes {
		if c.Stamp == v.Me.ID && c.API != nil {
			add("the API of "+c.Name, hostPort(c.API))
		}
	}
	return out
}
