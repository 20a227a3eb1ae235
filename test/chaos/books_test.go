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
	parties  map[string]int            // stamps that have a task, by its id
	lost     map[string]bool           // tasks of which an answer was not captured
	findings []string
}

func balance(s *site, records map[bridge.Key][]record) []string {
	b := &books{s: s, records: records, sighted: map[bridge.Key][]sighting{}, routers: map[string]*bridge.Router{}, parties: map[string]int{}, lost: map[string]bool{}}
	for _, x := range s.j.sighted {
		b.sighted[x.key] = append(b.sighted[x.key], x)
	}
	for _, e := range s.j.events {
		if strings.HasSuffix(e.Type, triggered) {
			b.parties[e.ID] = len(b.asked(e))
		}
		b.account(e)
	}
	for _, x := range s.j.sighted {
		if s.j.byKey[x.key] == nil && !b.written(x) {
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
	var got []string    // stamps that stored it
	var buried []string // stamps that left the federation before they had
	var letter bridge.Reason
	first := time.Time{} // when it first left its stamp
	for _, r := range b.records[e.key] {
		switch {
		case r.stream == "RW_OUT" || r.stream == "RW_HOLD":
			b.find("STUCK: %v is still in its stamp: %s", e, b.trail(e))
			return
		case r.stream == "RW_IN":
			got = append(got, r.stamp)
		case r.outbound() && b.left(r.header.Get("Ringway-Dead-To")):
			buried = append(buried, r.header.Get("Ringway-Dead-To"))
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
	got = slices.Compact(got) // one of several may be offered a task again
	all := slices.Concat(got, buried)
	slices.Sort(all)
	b.meant(e, slices.Compact(all), letter, first)
	if isTurn(e) {
		b.takenOnce(e, got, letter)
		return
	}
	for _, stamp := range got {
		b.delivered(e, stamp)
	}
}

// isTurn reports whether an event is a task for any one stamp.
func isTurn(e *event) bool {
	return strings.HasSuffix(e.Type, triggered) && slices.Contains(oneOf, e.Stage)
}

// takenOnce asks that exactly one of the stamps that were offered a task gave it
// to its plane, and once. One that left the federation after it took a task, and
// before anybody heard its answer, is waited for no more.
func (b *books) takenOnce(e *event, got []string, letter bridge.Reason) {
	n, times, takers := len(b.sighted[e.key]), map[string]int{}, 0
	for _, x := range b.sighted[e.key] {
		if times[x.stamp]++; times[x.stamp] > 1 || !b.left(x.stamp) {
			takers++
		}
	}
	if takers > 1 && asksOneOfAny {
		b.find("TWO-AT-ONCE: %v was taken %d times: %s", e, n, b.trail(e))
	}
	if n == 0 && len(got) > 0 && letter == "" {
		b.find("UNTAKEN: %v, offered to %v: %s", e, got, b.trail(e))
	}
}

// written reports whether a control plane was given an answer that its gateway
// wrote in the name of a stamp, for a stage with a deadline.
func (b *books) written(x sighting) bool {
	for _, r := range b.records[x.key] {
		h, _ := readHead(r.body)
		of := r.header.Get("Ringway-For")
		if r.stream == "RW_IN" && r.stamp == x.stamp && of != "" && (slices.Contains(missed, h.Data.Stage) || b.left(of)) {
			return true
		}
	}
	return false
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
		for _, t := range d.Candidates {
			union[string(t.Stamp)] = true
			to = append(to, string(t.Stamp))
		}
		if n := len(d.Candidates); n > 0 && len(got) > 0 && !slices.ContainsFunc(got, func(s string) bool { return !slices.Contains(to, s) }) {
			return // offered to some of them
		}
		if slices.Equal(to, got) && letter == "" {
			return
		}
		wanted = append(wanted, fmt.Sprint(to))
	}
	if len(got) == 0 && letter == "" && b.uncaptured(e) {
		b.lost[e.TriggeredID] = true
		return
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
		if b.refusedLate(e, r.reason()) {
			return true
		}
	}
	return false
}

// refusedLate reports whether an answer was refused because its stamp had been
// answered for, or had left the federation.
func (b *books) refusedLate(e *event, why bridge.Reason) bool {
	switch why {
	case bridge.ReasonUnknown:
		return b.left(e.stamp)
	case bridge.ReasonLate, bridge.ReasonNotAsked, bridge.ReasonRepeated:
		return slices.Contains(missed, e.Stage) || b.left(e.stamp) || !asksOneOfAny && slices.Contains(oneOf, e.Stage)
	}
	return false
}

// left reports whether a stamp was out of the federation for a while.
func (b *books) left(stamp string) bool {
	return stamp != "" && slices.ContainsFunc(b.s.versions, func(v version) bool { return v.mesh.Stamp(topology.StampID(stamp)) == nil })
}

// uncaptured reports whether an event was published while the replicas of its
// stamp came and went.
func (b *books) uncaptured(e *event) bool {
	return !asksCapture && e.stamp == tripled && slices.ContainsFunc(b.s.spans, func(s span) bool {
		return slices.Contains(s.claims, "process:"+tripled) && e.at.After(s.begin.Add(-slack)) && e.at.Before(s.end.Add(5*slack))
	})
}

// summary puts the findings of one kind together.
func summary(findings []string) string {
	const most = 15
	slices.SortStableFunc(findings, func(a, b string) int { return cmp.Compare(kindOf(a), kindOf(b)) })
	out := slices.Clone(findings[:min(most, len(findings))])
	for i, f := range out {
		out[i] = fmt.Sprintf("%.1200s", f)
	}
	kinds := map[string]int{}
	for _, f := range findings {
		kinds[kindOf(f)]++
	}
	return fmt.Sprintf("%d findings %v\n%s", len(findings), kinds, strings.Join(out, "\n"))
}

func kindOf(finding string) string { k, _, _ := strings.Cut(finding, " "); return k }
