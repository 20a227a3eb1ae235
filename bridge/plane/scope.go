package plane

import (
	"slices"
	"strings"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// A scope is what of a control plane reaches a stamp. It is all that the
// subscriptions of the stamp's planes may be about there.
type scope struct {
	control  *topology.ControlPlane
	projects []string // empty: every project
	stages   []string // empty: every stage
	// sealed says that nothing of another stage comes to the stamp: its gateway
	// lets nothing in, and no control plane publishes there.
	sealed bool
}

// coreServices are the services of a control plane that work for all stages,
// and that Keptn's own installation runs beside it.
var coreServices = []string{
	"lighthouse-service", "approval-service", "remediation-service", "webhook-service", "statistics-service", "api-service",
	"mongodb-datastore", "resource-service", "secret-service", "shipyard-controller", "bridge",
}

// scopesOf returns the control planes with a stage whose rule reaches the stamp
// of view, in order of the file, and what of them does.
func scopesOf(view *topology.View) []scope {
	var out []scope
	for _, cp := range view.ControlPlanes {
		s := scope{control: cp, sealed: !view.Me.Control}
		everything := false
		for _, rule := range view.Stages {
			if !slices.Contains(rule.Stamps, view.Me.ID) {
				continue
			}
			projects, some := owned(view, cp, rule.Projects)
			if !some {
				continue
			}
			s.stages = add(s.stages, rule.Stage)
			s.projects = add(s.projects, projects...)
			everything = everything || len(projects) == 0
		}
		if everything {
			s.projects = nil
		}
		if len(s.stages) > 0 || cp.Stamp == view.Me.ID {
			out = append(out, s)
		}
	}
	return out
}

// owned returns those of projects that cp owns, where none is all. some is false
// if there are none.
func owned(view *topology.View, cp *topology.ControlPlane, projects []string) (out []string, some bool) {
	if len(projects) == 0 {
		return cp.Projects, len(cp.Projects) > 0 || view.ControlOf("") == cp
	}
	for _, p := range projects {
		if view.ControlOf(p) == cp {
			out = append(out, p)
		}
	}
	return out, len(out) > 0
}

// stageless is where what is of no stage is published: what becomes of projects and
// services, and the wish to monitor them.
var stageless = []string{"sh.keptn.event.project.*.*", "sh.keptn.event.service.*.*", bridge.ConfigureMonitoring}

// about returns what of s counts for a subscription. What becomes of projects and
// services, or is to become of their monitoring, is of no stage, and to Keptn's clients a filter by stages lets nothing
// through that has none (contract §2.6). So a subscription to it gets none, and
// neither does one with wildcards that is about it as well, if the stamp is sealed:
// where events of all stages are published the filter is what keeps them away.
// Two subscriptions in the place of one would not do, since NATS gives an event to
// one of those of a queue group, whatever their subjects.
func (s scope) about(event string) scope {
	if bridge.Classify(event) == bridge.KindLifecycle || event == bridge.ConfigureMonitoring || s.sealed && slices.ContainsFunc(stageless, func(l string) bool { return meet(event, l) }) {
		s.stages = nil
	}
	return s
}

// meet reports whether any event matches both patterns; the second has no >.
func meet(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i, t := range bs {
		switch {
		case i < len(as) && as[i] == ">":
			return true
		case i >= len(as) || as[i] != "*" && t != "*" && as[i] != t:
			return false
		}
	}
	return len(as) == len(bs)
}

// sealedMark ends the fingerprint of a scope that is sealed.
const sealedMark = "|sealed"

// fingerprint tells one scope from another; parseScope reads it.
func (s scope) fingerprint() string {
	mark := ""
	if s.sealed {
		mark = sealedMark
	}
	return strings.Join(s.projects, ",") + "|" + strings.Join(s.stages, ",") + mark
}

// parseScope reads a fingerprint; ok is false for none.
func parseScope(text string) (s scope, ok bool) {
	text, sealed := strings.CutSuffix(text, sealedMark)
	projects, stages, ok := strings.Cut(text, "|")
	list := func(text string) []string {
		if text == "" {
			return nil
		}
		return strings.Split(text, ",")
	}
	return scope{projects: list(projects), stages: list(stages), sealed: sealed}, ok
}

// move returns the filter of a subscription to event whose plane asked for asked, where was
// has become s. A filter that is what was made of asked becomes what is made of
// it now; one that somebody has edited only gets narrower.
func (s scope) move(event string, f, asked Filter, was string) Filter {
	if old, ok := parseScope(was); ok && was != s.fingerprint() && f.equal(old.about(event).narrow(asked)) {
		return s.about(event).narrow(asked)
	}
	return s.about(event).narrow(f)
}

func add(list []string, more ...string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// narrow returns f with nothing in it that is outside of s. A list that has
// nothing in common with that of s stays: its events do not reach the stamp, and
// no list would be all of them. To narrow again changes nothing.
func (s scope) narrow(f Filter) Filter {
	f = f.plain()
	common := func(have, may []string) []string {
		if len(have) == 0 {
			return slices.Clone(may)
		}
		var out []string
		for _, h := range have {
			if len(may) == 0 || slices.Contains(may, h) {
				out = append(out, h)
			}
		}
		if len(out) == 0 {
			return have
		}
		return out
	}
	f.Projects, f.Stages = common(f.Projects, s.projects), common(f.Stages, s.stages)
	return f.full()
}

// of returns the scope of a plane by its name: Keptn's own services in the
// stamp of their control plane work for all stages.
func (s scope) of(name string, me topology.StampID) scope {
	if s.control != nil && s.control.Stamp == me && slices.Contains(coreServices, name) {
		return scope{control: s.control}
	}
	return s
}

// union returns what is in any of scopes, for a plane that is told one filter
// only.
func union(scopes []scope) scope {
	var out scope
	allProjects, allStages := len(scopes) == 0, len(scopes) == 0
	out.sealed = len(scopes) > 0
	for _, s := range scopes {
		out.sealed = out.sealed && s.sealed
		out.projects, out.stages = add(out.projects, s.projects...), add(out.stages, s.stages...)
		allProjects, allStages = allProjects || len(s.projects) == 0, allStages || len(s.stages) == 0
	}
	if allProjects {
		out.projects = nil
	}
	if allStages {
		out.stages = nil
	}
	return out
}
