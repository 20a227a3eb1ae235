package task

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// names says which event a task is.
func (t *Task) names() bridge.About {
	return bridge.About{ID: t.ID, Type: t.Type, Context: t.Context, Project: t.Project, Stage: t.Stage, Service: t.Service}
}

// noteAnswer tells what became of an answer that is not refused. The caller holds
// mu.
func (ts *Tasks) noteAnswer(t *Task, a *Answer, e *bridge.Event, do bridge.Do, now time.Time) {
	if ts.cfg.Journal == nil || do == bridge.Refuse || do == bridge.Drop {
		return
	}
	m := bridge.Moment{Step: bridge.StepProgress, About: e.Names(e.Type), Peer: a.Stamp}
	switch {
	case do == bridge.Hold:
		m.Step = bridge.StepBarrier
	case a.Kind == KindStarted:
		m.Step = bridge.StepStarted
	case a.Kind == KindFinished:
		m.Step = bridge.StepFinished
	}
	if t.Turn == nil {
		m.N, m.Of, m.Detail, m.Until = t.barrier(now)
	}
	ts.cfg.Journal(m)
}

// barrier says how many stamps of a task have started, of how many, for whom
// .finished wait, and until when.
func (t *Task) barrier(now time.Time) (started, of int, waits string, until time.Time) {
	var missing []string
	for _, s := range t.Seats {
		switch {
		case s.State == Asked:
			missing = append(missing, string(s.Stamp))
		case len(s.Planes) > 0:
			started++
		}
	}
	of = len(t.Seats)
	if len(missing) > 0 && of > 1 {
		waits = "waiting for " + strings.Join(missing, ", ")
		if t.Deadline > 0 && t.Asked.Add(t.Deadline).After(now) {
			until = t.Asked.Add(t.Deadline)
		}
	}
	return started, of, waits, until
}

// Progress says how far t has come, for people.
func (t *Task) Progress(now time.Time) (text string, until time.Time) {
	var parts []string
	for _, s := range t.Seats {
		state := string(s.State)
		switch {
		case t.Turn != nil && t.Turn.Stamp == s.Stamp && s.Granted && s.State == Asked:
			state = "has leave, not started"
		case s.State == Asked && s.Unreached:
			state = "not reached"
		case s.State == Asked:
			state = "asked, not started"
		case state == "":
			state = "may be asked"
		}
		parts = append(parts, string(s.Stamp)+": "+state)
	}
	text = strings.Join(parts, ", ")
	if n := len(t.held); n > 0 {
		text += fmt.Sprintf("; %d .finished held", n)
	}
	if t.Deadline > 0 {
		until = t.Asked.Add(t.Deadline)
	}
	return text, until
}

// Of returns the task with this id, or those under way of a shkeptncontext, at
// most n, oldest first, each with how far it has come.
func (ts *Tasks) Of(ctx context.Context, match string, n int, now time.Time) ([]Known, error) {
	ts.mu.Lock()
	ready := ts.store != nil
	var all []*Task
	for _, t := range ts.open {
		if t.ID == match || t.Context == match {
			all = append(all, t)
		}
	}
	if match != "" { // which would be all of them
		all = append(all, ts.asleep.find(match, n)...)
	}
	ts.mu.Unlock()
	if ready && len(all) == 0 {
		t, err := ts.find(ctx, match) // it may be over
		if err != nil {
			return nil, err
		}
		if t != nil {
			all = append(all, t)
		}
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	slices.SortFunc(all, func(a, b *Task) int { return a.Asked.Compare(b.Asked) })
	out := make([]Known, 0, min(n, len(all)))
	for _, t := range all[:min(n, len(all))] {
		k := Known{About: t.names(), Asked: t.Asked, Over: t.Over(), Rule: t.Rule}
		k.Progress, k.Until = t.Progress(now)
		for _, s := range t.Seats {
			k.Stamps = append(k.Stamps, s.Stamp)
		}
		out = append(out, k)
	}
	return out, nil
}

// A Known is what is known of one task.
type Known struct {
	About    bridge.About
	Asked    time.Time
	Rule     string
	Stamps   []topology.StampID
	Progress string
	Until    time.Time // its deadline; zero if it has none
	Over     bool
}
