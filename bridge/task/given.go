package task

import (
	"encoding/json"

	"github.com/ringway/ringway/bridge"
)

// newTask makes the Task of an event that a control plane has just published.
func newTask(g *bridge.Given) *Task {
	e, rule := g.Event, g.Decision.Rule
	t := &Task{
		ID: e.ID, Type: e.Type, Context: e.Context, Project: e.Project, Stage: e.Stage, Service: e.Service,
		Rule: rule.Name, Deliver: rule.Deliver, StartWithin: rule.StartWithin,
		Deadline: rule.Deadline, OnDeadline: rule.OnDeadline,
		Asked: g.At, Hop: g.Seq,
	}
	state := Asked
	if len(g.Decision.Candidates) > 0 {
		t.Turn, state = &Turn{}, ""
	}
	for _, stamp := range g.Asked() {
		t.Seats = append(t.Seats, &Seat{Stamp: stamp, State: state})
	}
	if t.Deadline > 0 {
		t.rememberFor(g.Body)
	}
	return t
}

// rememberFor keeps what an answer in a stamp's name has to repeat.
func (t *Task) rememberFor(body []byte) {
	var e struct {
		CommitID string `json:"gitcommitid"`
		Data     struct {
			Labels map[string]string `json:"labels"`
		} `json:"data"`
	}
	// The body was parsed before; labels that are no strings are left out.
	_ = json.Unmarshal(body, &e)
	t.CommitID, t.Labels = e.CommitID, e.Data.Labels
}
