package chaos_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// The books compare what was published with what arrived and what the streams
// hold. Every finding is one line.
type books struct {
	s        *site
	records  map[bridge.Key][]record
	sighted  map[bridge.Key][]sighting
	routers  map[string]*bridge.Router // by hash and stamp
	findings []string
}

func balance(s *site, records map[bridge.Key][]record) []string {
	b := &books{s: s, records: records, sighted: map[bridge.Key][]sighting{}, routers: map[string]*bridge.Router{}}
	for _, x := range s.j.sighted {
		b.sighted[x.key] = append(b.sighted[x.key], x)
	}
	for _, e := range s.j.events {
		b.account(e)
	}
	for _, x := range s.j.sighted {
		if s.j.byKey[x.key] == nil {
			b.find("%s in %s was given an event that nobody published: %s", x.by, x.stamp, x.key)
		}
	}
	b.order()
	b.tasks()
	return b.findings
}

func (b *books) find(format string, args ...any) {
	b.findings = append(b.findings, fmt.Sprintf(format, args...))
}

// trail says where an event was seen.
func (b *books) trail(e *event) string {
	out := []string{fmt.Sprintf("published %s", e.at.Format("15:04:05.000"))}
	for _, r := range b.records[e.key] {
		out = append(out, r.String())
	}
	for _, x := range b.sighted[e.key] {
		out = append(out, fmt.Sprintf("%s in %s (%s)", x.by, x.stamp, x.at.Format("15:04:05.000")))
	}
	return strings.Join(out, "; ")
}

// account asks that an event has been delivered once in every stamp that it was
// meant for, or set aside for a reason that some topology of its time explains.
func (b *books) account(e *event) {
	var got []string // stamps that stored it
	var letter bridge.Reason
	first := time.Time{} // when it first left its stamp
	for _, r := range b.records[e.key] {
		switch {
		case r.stream == "RW_OUT" || r.stream == "RW_HOLD":
			b.find("%v is still in its stamp: %s", e, b.trail(e))
			return
		case r.stream == "RW_IN":
			got = append(got, r.stamp)
		case r.outbound():
			letter = r.reason()
		default:
			continue
		}
		if first.IsZero() || r.at.Before(first) {
			first = r.at
		}
	}
	slices.Sort(got)
	b.meant(e, got, letter, first)
	for _, stamp := range got {
		b.delivered(e, stamp)
	}
}

// meant asks that the stamps which have an event are those that a topology of
// its time names.
func (b *books) meant(e *event, got []string, letter bridge.Reason, first time.Time) {
	var wanted []string
	union := map[string]bool{}
	for _, v := range b.inForce(e.at, first) {
		d := b.decide(e, v)
		if d.Refused != bridge.ReasonNone {
			if len(got) == 0 && letter == d.Refused {
				return
			}
			wanted = append(wanted, "refused "+string(d.Refused))
			continue
		}
		var to []string
		for _, t := range d.Targets {
			to = append(to, string(t.Stamp))
			union[string(t.Stamp)] = true
		}
		slices.Sort(to)
		if slices.Equal(to, got) && letter == "" {
			return
		}
		wanted = append(wanted, fmt.Sprint(to))
	}
	if len(got) == 0 && letter == "" {
		b.find("LOST %v, meant for %v: %s", e, wanted, b.trail(e))
		return
	}
	if !asksSteadyRouting && len(wanted) > 1 && !slices.ContainsFunc(got, func(s string) bool { return !union[s] }) {
		return // routed again by another topology after a restart
	}
	b.find("MISROUTED %v: stored by %v, letter %q; meant for %v: %s", e, got, letter, wanted, b.trail(e))
}

// slack is how far a gateway's idea of the time at which a topology came into
// force may differ from ours.
const slack = time.Second

// inForce returns the topologies by which an event that was published at one
// time and first stored elsewhere at another may have been routed. first is
// zero if it never was.
func (b *books) inForce(published, first time.Time) []version {
	var out []version
	for _, v := range b.s.versions {
		if (v.until.IsZero() || v.until.Add(slack).After(published)) && (first.IsZero() || v.since.Before(first.Add(slack))) {
			out = append(out, v)
		}
	}
	return out
}

func (b *books) decide(e *event, v version) bridge.Decision {
	id := v.mesh.Hash + "/" + e.stamp
	r := b.routers[id]
	if r == nil {
		view, ok := v.mesh.View(topology.StampID(e.stamp))
		if !ok {
			return bridge.Decision{Refused: "no such stamp"}
		}
		r = bridge.NewRouter(view)
		b.routers[id] = r
	}
	if !strings.HasPrefix(e.Type, "sh.keptn.") {
		return r.Custom(e.Type, topology.RouteDurable)
	}
	if e.ID == "" {
		return bridge.Decision{Refused: bridge.ReasonInvalid}
	}
	p, err := bridge.Parse(e.Type, e.body)
	if err != nil {
		return bridge.Decision{Refused: bridge.ReasonInvalid}
	}
	return r.Route(p)
}

// delivered asks that everybody in a stamp who subscribes was given an event
// once.
func (b *books) delivered(e *event, stamp string) {
	seen := map[string]int{}
	for _, x := range b.sighted[e.key] {
		if x.stamp == stamp {
			seen[x.by]++
		}
	}
	for by, n := range seen {
		if n > 1 {
			b.find("TWICE: %s in %s was given %v %d times: %s", by, stamp, e, n, b.trail(e))
		}
	}
	if who := reader(e, stamp); seen[who] == 0 && !b.setAside(e, stamp) {
		b.find("UNDELIVERED: %s in %s was not given %v: %s", who, stamp, e, b.trail(e))
	}
}

// reader returns who has to be given an event in a stamp.
func reader(e *event, stamp string) string {
	switch {
	case slices.Contains(controls, stamp):
		return "shipyard-controller"
	case strings.HasPrefix(e.Type, "goods."):
		return "buyer"
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(e.Type, keptnPrefix), ".")
	return name + "-service"
}

// setAside reports whether a stamp has made an arrived event a dead letter, for
// a reason that a topology explains.
func (b *books) setAside(e *event, stamp string) bool {
	for _, r := range b.records[e.key] {
		if r.stream != "RW_DLQ" || r.stamp != stamp || r.outbound() {
			continue
		}
		for _, v := range b.s.versions {
			if v.mesh.Stamp(topology.StampID(e.stamp)) == nil && r.reason() == bridge.ReasonUnknown {
				return true
			}
		}
	}
	return false
}

// order asks that everybody was given the events of one publisher and context
// in the order in which they were published.
func (b *books) order() {
	type way struct{ from, by, context, subject, to, reader string }
	last := map[way]*event{}
	for _, x := range b.s.j.sighted {
		e := b.s.j.byKey[x.key]
		if e == nil || e.stamp == x.stamp {
			continue
		}
		w := way{from: e.stamp, by: e.by, context: e.Context, to: x.stamp, reader: x.by}
		if !asksOrderAcrossSubjects && slices.Contains(executions, x.stamp) {
			w.subject = e.Type
		}
		if p := last[w]; p != nil && p.n > e.n && p.key != e.key && b.steady(e, x) && b.steady(p, x) {
			b.find("DISORDER: %s in %s was given %v after %v: %s", x.by, x.stamp, e, p, b.trail(e))
		}
		last[w] = e
	}
}

// steady reports whether every topology by which an event may have been routed
// sends it to the stamp where it was sighted. One that was not settled when its
// gateway stopped is routed again, and a topology that has changed meanwhile may
// then send it elsewhere, after later events.
func (b *books) steady(e *event, x sighting) bool {
	for _, v := range b.inForce(e.at, x.at) {
		if !slices.ContainsFunc(b.decide(e, v).Targets, func(t bridge.Target) bool { return string(t.Stamp) == x.stamp }) {
			return false
		}
	}
	return true
}

// summary puts the findings of one kind together.
func summary(findings []string) string {
	const most = 25
	slices.SortStableFunc(findings, func(a, b string) int { return cmp.Compare(kindOf(a), kindOf(b)) })
	out := findings[:min(most, len(findings))]
	return fmt.Sprintf("%d findings\n%s", len(findings), strings.Join(out, "\n"))
}

func kindOf(finding string) string { k, _, _ := strings.Cut(finding, " "); return k }
