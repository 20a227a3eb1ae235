package bridge

import (
	"fmt"
	"slices"

	"github.com/ringway/ringway/topology"
)

// Unaddressed reports whether an event is the report of an error, which names no
// project and so no control plane: sh.keptn.log.error says which task of which
// plane it is about.
func (e *Event) Unaddressed() bool { return e.Kind == KindReport && e.Project == "" }

// About returns the Key of the task that a report is about. ok is false if it
// does not say. It decodes the event, as Env does.
func (e *Event) About() (key Key, ok bool) {
	task, _ := e.Env().Data["task"].(string)
	if task == "" || e.TriggeredID == "" {
		return "", false
	}
	typ := keptnEvent + task + ".triggered"
	return KeyOf(e.TriggeredID, typ, typ), true
}

// report sends a report to the control plane that gave the task it is about, or,
// where that is not known, to every control plane that has tasks for this stamp.
func (r *Router) report(e *Event) Decision {
	if r.view.Me.Control && (e.GivenBy == "" || e.GivenBy == r.view.Me.ID) {
		return Decision{Local: true, Tried: []string{"reports stay with their control plane"}}
	}
	if e.GivenBy != "" {
		d := Decision{Tried: []string{fmt.Sprintf("stamp %s gave the task that it is about", e.GivenBy)}}
		return r.permit(d, e, []topology.StampID{e.GivenBy}, "report")
	}
	if len(r.reports) == 0 {
		return refuse(ReasonNoControl, "no control plane has tasks for this stamp")
	}
	d := Decision{Tried: []string{"it does not say which task it is about: to every control plane that has tasks for this stamp"}}
	return r.permit(d, e, r.reports, "report")
}

// reporters returns where the control planes are that have tasks for this stamp,
// in order of the file.
func reporters(v *topology.View) []topology.StampID {
	var out []topology.StampID
	for _, c := range v.ControlPlanes {
		has := slices.ContainsFunc(v.Stages, func(s *topology.StageRule) bool {
			if !slices.Contains(s.Stamps, v.Me.ID) {
				return false
			}
			return len(s.Projects) == 0 || slices.ContainsFunc(s.Projects, func(p string) bool { return v.ControlOf(p) == c })
		})
		if has && !slices.Contains(out, c.Stamp) {
			out = append(out, c.Stamp)
		}
	}
	return out
}
