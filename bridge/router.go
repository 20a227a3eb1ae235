package bridge

import (
	"fmt"
	"slices"

	"github.com/ringway/ringway/topology"
)

// A Router decides where an event goes. It is a pure function of the event and
// one stamp's view of the topology, and of what it was told of planes; it is
// immutable and safe for concurrent use.
type Router struct {
	view  *topology.View
	rules []*rule
	owner map[*topology.ControlPlane]note

	reports []topology.StampID // where reports go that say nothing more
	planes  *Planes            // nil: nothing is known of any
}

// A rule is a rule of a stage with what would be worked out for each event.
type rule struct {
	*topology.StageRule

	order []topology.StampID // to try, where one stamp is enough
	takes []string           // the explanation that it takes an event
}

// A note explains what a control plane owns.
type note struct {
	rule  string
	tried []string
}

// NewRouter returns the Router of the stamp that view belongs to.
func NewRouter(view *topology.View) *Router {
	r := &Router{view: view, owner: map[*topology.ControlPlane]note{}, reports: reporters(view)}
	for _, s := range view.Stages {
		c := &rule{StageRule: s, order: s.Stamps, takes: []string{"rule " + s.Name + ": takes it"}}
		if s.Deliver == topology.DeliverAny {
			c.order = r.nearest(s.Stamps)
		}
		r.rules = append(r.rules, c)
	}
	for _, c := range view.ControlPlanes {
		r.owner[c] = note{"control-plane/" + c.Name, []string{"the project belongs to control plane " + c.Name}}
	}
	return r
}

// Hash tells the topology of the Router from others.
func (r *Router) Hash() string { return r.view.Hash }

// A Target is one stamp that gets an event, and why.
type Target struct {
	Stamp topology.StampID `json:"stamp"`
	Rule  string           `json:"rule"` // the rule of the topology, or the reason built in
}

// A Decision is where one event goes.
type Decision struct {
	// Targets are the stamps that get a copy each.
	Targets []Target `json:"targets,omitempty"`
	// Candidates are the stamps of which one is to get the event, best first.
	// With candidates there are no targets.
	Candidates []Target `json:"candidates,omitempty"`
	// Rule is the rule that takes a task; nil for all other events.
	Rule *topology.StageRule `json:"-"`
	// Offer says that nobody must act on the event: a stamp where nobody
	// subscribes drops it.
	Offer bool `json:"offer,omitempty"`
	// Local says that this stamp's own clients are meant too; they have the
	// event already.
	Local bool `json:"local,omitempty"`
	// Refused is why the event must not cross; ReasonNone if it may.
	Refused Reason `json:"refused,omitempty"`
	// Tried explains the decision rule by rule, for people.
	Tried []string `json:"tried,omitempty"`
}

// A Reason says why an event did not go on its way. It is the label of a
// metric and part of a dead letter.
type Reason string

// The reasons.
const (
	ReasonNone      Reason = ""
	ReasonInvalid   Reason = "invalid"   // not an event Keptn could read
	ReasonDirection Reason = "direction" // this kind never goes that way (contract §1.6)
	ReasonNoControl Reason = "no-control-plane"
	ReasonNotOwner  Reason = "not-owner" // sent by a control plane that does not own the project
	ReasonNoRule    Reason = "no-rule"
	ReasonPolicy    Reason = "policy"
	ReasonForged    Reason = "forged"    // the sender is not who the event says
	ReasonExpired   Reason = "expired"   // waited longer than allowed
	ReasonOverflow  Reason = "overflow"  // too many events waited
	ReasonTooLarge  Reason = "too-large" // a target's server would refuse it
	ReasonUnknown   Reason = "unknown-stamp"
	ReasonNotAsked  Reason = "not-asked" // an answer from a stamp that was not asked, or no longer is
	ReasonLate      Reason = "late"      // an answer after its stamp's deadline
	ReasonRepeated  Reason = "repeated"  // a second answer of a plane that has answered, under another id
	ReasonNoPlane   Reason = "no-plane"  // no plane took the event in the time of its rule
	ReasonRejected  Reason = "rejected"  // a control plane that is reached by HTTP refuses it
	// ReasonUnconfirmed is an event that was posted and may not have arrived, of
	// a kind of which that can not be found out.
	ReasonUnconfirmed Reason = "unconfirmed"
)

// Route decides where an event that a client of this stamp published goes.
func (r *Router) Route(e *Event) Decision {
	if e.Type == CanaryEvent {
		return Decision{Local: true, Tried: []string{"a canary of `ringway probe`: the gateway of its stamp is told that it was stored"}}
	}
	if e.Unaddressed() {
		return r.report(e)
	}
	owner := r.view.ControlOf(e.Project)
	if owner == nil {
		return refuse(ReasonNoControl, fmt.Sprintf("no control plane owns project %q", e.Project))
	}
	if owner.Stamp == r.view.Me.ID {
		return r.fromControl(e, owner)
	}
	return r.toControl(e, owner)
}

// toControl sends what an execution plane may send to the control plane.
func (r *Router) toControl(e *Event, owner *topology.ControlPlane) Decision {
	if !e.Kind.FromExecution() {
		if r.view.Me.Control {
			return refuse(ReasonNotOwner, fmt.Sprintf("project %q belongs to control plane %s in stamp %s", e.Project, owner.Name, owner.Stamp))
		}
		return refuse(ReasonDirection, fmt.Sprintf("a %s event never leaves an execution stamp", e.Kind))
	}
	n := r.owner[owner]
	return r.permit(Decision{Tried: slices.Clip(n.tried)}, e, []topology.StampID{owner.Stamp}, n.rule)
}

// fromControl sends what a control plane may send to the stamps that the
// topology names.
func (r *Router) fromControl(e *Event, owner *topology.ControlPlane) Decision {
	switch e.Kind {
	case KindTaskTriggered:
		return r.byStage(e, false)
	case KindTaskAnswer, KindSeqTriggered, KindSeqProgress:
		d := r.byStage(e, true)
		if d.Refused == ReasonNoRule {
			return Decision{Local: true, Tried: d.Tried}
		}
		return d
	case KindLifecycle:
		return r.offer(e, owner, "life-cycle")
	case KindReport:
		if e.Type == ConfigureMonitoring {
			return r.offer(e, owner, "monitoring")
		}
		return Decision{Local: true, Tried: []string{"reports stay with their control plane"}}
	}
	return Decision{Local: true, Tried: []string{"not a type of Keptn's: stays in its stamp"}}
}

// offer sends what is of no stage to every stamp of the project where somebody
// subscribes.
func (r *Router) offer(e *Event, owner *topology.ControlPlane, rule string) Decision {
	d := r.permit(Decision{Offer: true}, e, r.stampsOf(e, owner), rule)
	d.Refused = ReasonNone
	return d
}

// byStage takes the first rule of the event's stage that takes the event.
func (r *Router) byStage(e *Event, offer bool) Decision {
	d := Decision{Offer: offer}
	var env topology.Env
	decoded := false
	for _, rule := range r.rules {
		if rule.Stage != e.Stage {
			continue
		}
		if !contains(rule.Projects, e.Project) {
			d.Tried = append(d.Tried, fmt.Sprintf("rule %s: not for project %q", rule.Name, e.Project))
			continue
		}
		if rule.When != nil {
			if !decoded {
				env, decoded = e.Env(), true
			}
			ok, err := rule.When.Match(env)
			if !ok {
				d.Tried = append(d.Tried, whenNote(rule.StageRule, err))
				continue
			}
		}
		return r.deliver(d, e, rule)
	}
	d.Refused = ReasonNoRule
	if len(d.Tried) == 0 {
		d.Tried = []string{fmt.Sprintf("the topology has no rule for stage %q", e.Stage)}
	}
	return d
}

func whenNote(rule *topology.StageRule, err error) string {
	if err != nil {
		return fmt.Sprintf("rule %s: when: %v", rule.Name, err)
	}
	return "rule " + rule.Name + ": when is false"
}

// deliver picks the stamps of a rule. Events that inform go to all of them.
func (r *Router) deliver(d Decision, e *Event, rule *rule) Decision {
	d.Tried = explained(d.Tried, rule.takes)
	if d.Offer {
		return r.permit(d, e, rule.Stamps, rule.Name)
	}
	d.Rule = rule.StageRule
	if rule.Deliver == topology.DeliverAll {
		return r.explainPlanes(r.permit(d, e, rule.Stamps, rule.Name), e)
	}
	order := rule.order
	if rule.Deliver == topology.DeliverAny && order[0] != r.view.Me.ID {
		order = r.preferred(e, order)
	}
	d = r.permit(d, e, order, rule.Name)
	if d.Local && rule.order[0] == r.view.Me.ID {
		// This stamp's own planes have the event; another stamp would do the
		// work a second time.
		d.Targets = nil
		d.Tried = append(d.Tried, fmt.Sprintf("deliver %s: this stamp", rule.Deliver))
		return d
	}
	d.Local = false
	d.Candidates, d.Targets = d.Targets, nil
	for i, c := range d.Candidates {
		d.Tried = append(d.Tried, fmt.Sprintf("deliver %s: %d. %s", rule.Deliver, i+1, c.Stamp))
	}
	return r.explainPlanes(d, e)
}

// explained adds an explanation that belongs to a rule to those of a decision.
// In the usual case, that the first rule takes the event, it makes no copy.
func explained(tried, rule []string) []string {
	if len(tried) == 0 {
		return slices.Clip(rule)
	}
	return append(tried, rule...)
}

// nearest orders stamps by distance: this stamp, its geo, the others; within
// that by the order of the file.
func (r *Router) nearest(ids []topology.StampID) []topology.StampID {
	var me, near, far []topology.StampID // in this order
	for _, id := range ids {
		switch s := r.view.Stamp(id); {
		case id == r.view.Me.ID:
			me = append(me, id)
		case s != nil && s.Geo == r.view.Me.Geo:
			near = append(near, id)
		default:
			far = append(far, id)
		}
	}
	return append(append(me, near...), far...)
}

// permit adds to d those of ids that the policies allow.
func (r *Router) permit(d Decision, e *Event, ids []topology.StampID, rule string) Decision {
	denied := 0
	for _, id := range ids {
		if id == r.view.Me.ID {
			d.Local = true
			continue
		}
		if by, ok := Permits(r.view.Policies, r.view.Me.ID, id, e.Project, e.Type); !ok {
			d.Tried = append(d.Tried, fmt.Sprintf("stamp %s: denied by %s", id, by))
			denied++
			continue
		}
		d.Targets = append(d.Targets, Target{Stamp: id, Rule: rule})
	}
	if denied > 0 && denied == len(ids) {
		d.Refused = ReasonPolicy
	}
	return d
}

// stampsOf returns the stamps that any rule of the event's project names, in
// order of the file.
func (r *Router) stampsOf(e *Event, owner *topology.ControlPlane) []topology.StampID {
	named := map[topology.StampID]bool{}
	for _, rule := range r.view.Stages {
		if (e.Stage != "" && rule.Stage != e.Stage) || !contains(rule.Projects, e.Project) {
			continue
		}
		for _, id := range rule.Stamps {
			named[id] = id != owner.Stamp
		}
	}
	var ids []topology.StampID
	for _, s := range r.view.Stamps {
		if named[s.ID] {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Owns reports whether a control plane of this stamp owns a project.
func (r *Router) Owns(project string) bool {
	owner := r.view.ControlOf(project)
	return owner != nil && owner.Stamp == r.view.Me.ID
}

// Accept checks an event that arrived from another stamp against the same
// direction rules, so that they hold even where the sender's gateway does not
// keep them. It returns ReasonNone if the event may be delivered here.
func (r *Router) Accept(from topology.StampID, e *Event) Reason {
	if r.view.Stamp(from) == nil {
		return ReasonUnknown
	}
	owner := r.view.ControlOf(e.Project)
	switch {
	case e.Unaddressed() && r.view.Me.Control:
		return ReasonNone
	case owner == nil:
		return ReasonNoControl
	case owner.Stamp == from && !e.fromControl():
		return ReasonDirection
	case owner.Stamp == from:
		return ReasonNone
	case owner.Stamp == r.view.Me.ID && e.Kind.FromExecution():
		return ReasonNone
	case owner.Stamp == r.view.Me.ID:
		return ReasonDirection
	}
	return ReasonNotOwner
}

func refuse(why Reason, tried ...string) Decision { return Decision{Refused: why, Tried: tried} }

// contains reports whether list holds s; an empty list holds everything.
func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return len(list) == 0
}
