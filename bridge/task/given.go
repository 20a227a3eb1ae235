package task

import (
	"encoding/json"

	"github.com/ringway/ringway/bridge"
)

// newTask makes the Task of an event that a control plane has just published.
func newTask(g *bridge.Given) *Task {
	e, rule := g.Event, g.Decision.Rule
	one := &struct { // most tasks have one seat, and very many may be open
		Task
		seat  Seat
		seats [1]*Seat
	}{}
	t := &one.Task
	*t = Task{
		ID: e.ID, Type: e.Type, Context: e.Context, Project: e.Project, Stage: e.Stage, Service: e.Service,
		Rule: rule.Name, Deliver: rule.Deliver, StartWithin: rule.StartWithin,
		Deadline: rule.Deadline, OnDeadline: rule.OnDeadline,
		Asked: g.At, Hop: g.Seq,
	}
	bridge.Detach(&t.ID, &t.Type, &t.Context, &t.Project, &t.Stage, &t.Service) // it may be open for days
	state := Asked
	if len(g.Decision.Candidates) > 0 {
		t.Turn, state = &Turn{}, ""
	}
	asked := g.Asked()
	if len(asked) == 1 {
		one.seat = Seat{Stamp: asked[0], State: state}
		one.seats[0] = &one.seat
		t.Seats = one.seats[:]
		asked = nil
	}
	for _, stamp := range asked {
		t.Seats = append(t.Seats, &Seat{Stamp: stamp, State: state})
	}
	if t.Deadline > 0 {
		t.rememberFor(g.Body)
	}
	return t
}

// targets returns where a task that was given out has to go; nowhere if this
// package looks for a stamp itself.
func (t *Task) targets() []bridge.Target {
	if t.Turn != nil {
		return nil
	}
	out := make([]bridge.Target, len(t.Seats))
	for i, s := range t.Seats {
		out[i] = bridge.Target{Stamp: s.Stamp, Rule: t.Rule}
	}
	return out
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
