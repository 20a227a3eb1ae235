package bridge

import "github.com/ringway/ringway/topology"

// Custom decides where a message on a subject that is not Keptn's goes: to the
// stamps of every custom route of the given mode that takes it. A stamp named
// by several routes gets one copy.
func (r *Router) Custom(subject string, mode topology.RouteMode) Decision {
	var d Decision
	seen := map[topology.StampID]bool{r.view.Me.ID: true}
	for _, route := range r.view.Routes {
		if route.Mode != mode || !route.Subject.Match(topology.Subject(subject)) || !hasStamp(route.From, r.view.Me.ID) {
			continue
		}
		for _, id := range route.To {
			if seen[id] {
				continue
			}
			if by, ok := Permits(r.view.Policies, r.view.Me.ID, id, "", subject); !ok {
				d.Tried = append(d.Tried, "stamp "+string(id)+": denied by "+by)
				continue
			}
			seen[id] = true
			d.Targets = append(d.Targets, Target{Stamp: id, Rule: "route/" + route.Name})
		}
	}
	if len(d.Targets) == 0 {
		d.Refused = ReasonNoRule
		if len(d.Tried) > 0 {
			d.Refused = ReasonPolicy
		}
	}
	return d
}

// AcceptCustom checks a message of a custom route that arrived from another
// stamp.
func (r *Router) AcceptCustom(from topology.StampID, subject string, mode topology.RouteMode) Reason {
	for _, route := range r.view.Routes {
		if route.Mode == mode && route.Subject.Match(topology.Subject(subject)) &&
			hasStamp(route.From, from) && hasStamp(route.To, r.view.Me.ID) {
			return ReasonNone
		}
	}
	return ReasonNoRule
}

// CustomSubjects returns the patterns of the routes of a mode that start in
// this stamp, without those that another one covers.
func (r *Router) CustomSubjects(mode topology.RouteMode) []topology.Pattern {
	var out []topology.Pattern
	for _, route := range r.view.Routes {
		if route.Mode == mode && hasStamp(route.From, r.view.Me.ID) {
			out = append(out, route.Subject)
		}
	}
	return disjoint(out)
}

func hasStamp(ids []topology.StampID, id topology.StampID) bool {
	for _, i := range ids {
		if i == id {
			return true
		}
	}
	return false
}

// disjoint drops every pattern that another one covers: a stream refuses
// subjects that overlap, and two subscriptions would carry a message twice.
func disjoint(in []topology.Pattern) []topology.Pattern {
	var out []topology.Pattern
	for i, p := range in {
		covered := false
		for j, q := range in {
			if i != j && q.Covers(p) && (!p.Covers(q) || j < i) {
				covered = true
			}
		}
		if !covered {
			out = append(out, p)
		}
	}
	return out
}
