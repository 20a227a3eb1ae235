package plane

import (
	"slices"
	"strings"

	"github.com/ringway/ringway/bridge"
)

// To Keptn's clients a filter on a field that an event has not lets nothing
// through (contract §2.6). A subscription to sh.keptn.event.> whose filter names
// the stages of the stamp would therefore hide what becomes of projects and
// services, which is of no stage. It keeps its filter, which holds it to the stamp
// also where the bus has the events of all stages, and gets others beside it that
// are about projects and services alone.

// lifeCycle is where what becomes of projects and services is published.
var lifeCycle = []string{"sh.keptn.event.project.*.*", "sh.keptn.event.service.*.*"}

// lifeCycleOf returns the subscriptions that a needs beside it if its filter gets
// stages that the plane has not asked for. They have no id.
func lifeCycleOf(a Subscription) []Subscription {
	if !strings.ContainsAny(a.Event, "*>") || bridge.Classify(a.Event) == bridge.KindLifecycle || len(a.Filter.Stages) > 0 {
		return nil
	}
	var out []Subscription
	for _, l := range lifeCycle {
		if event, ok := meet(a.Event, l); ok {
			out = append(out, Subscription{Event: event, Filter: a.Filter})
		}
	}
	return out
}

// meet returns the pattern of what both patterns match; the second has no >.
func meet(a, b string) (string, bool) {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i, t := range bs {
		switch {
		case i < len(as) && as[i] == ">":
			return strings.Join(bs, "."), true
		case i >= len(as) || as[i] != "*" && t != "*" && as[i] != t:
			return "", false
		case t == "*":
			bs[i] = as[i]
		}
	}
	return strings.Join(bs, "."), len(as) == len(bs)
}

// spread returns asked with what else is to be subscribed to where filters get
// the stages of s.
func (s scope) spread(asked []Subscription) []Subscription {
	out := slices.Clone(asked)
	if len(s.stages) == 0 {
		return out
	}
	for _, a := range asked {
		for _, l := range lifeCycleOf(a) {
			if !slices.ContainsFunc(out, func(o Subscription) bool { return o.Event == l.Event }) {
				out = append(out, l)
			}
		}
	}
	return out
}

// added reports whether a subscription is one that spread has added to what the
// plane has asked for, and returns what it was made of.
func (r *Record) added(s Subscription) (Subscription, bool) {
	if slices.ContainsFunc(r.Asked.Subscriptions, func(a Subscription) bool { return a.Event == s.Event }) {
		return Subscription{}, false
	}
	for _, a := range r.Asked.Subscriptions {
		for _, l := range lifeCycleOf(a) {
			if l.Event == s.Event {
				return l, true
			}
		}
	}
	return Subscription{}, false
}

// surplus reports whether s was added for a filter that has no stages any more:
// the plane would get everything twice.
func (r *Record) surplus(s Subscription, is scope) bool {
	_, added := r.added(s)
	return added && len(is.stages) == 0
}
