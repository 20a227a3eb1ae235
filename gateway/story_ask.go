package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/gateway/admin"
	"github.com/ringway/ringway/topology"
)

// keysLimit is how much longer stamps are waited for that remember nothing and are
// asked for events by name.
const keysLimit = time.Second

// Why asks all stamps what became of an event: of the one with this id and its
// answers, or of all with this shkeptncontext. It returns when all have answered,
// or after some seconds; who has not is said.
func (g *Gateway) Why(ctx context.Context, match string) (*Story, error) {
	q := stepsQuestion{Match: match}
	if err := q.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", admin.ErrQuestion, err)
	}
	f := g.force.Load()
	s := &Story{
		APIVersion: "ringway/v1", Kind: "Story", Match: match, Asked: f.view.Me.ID, At: time.Now().UTC(),
		Events: []StoryEvent{}, Entries: []journal.Entry{}, Now: []journal.Entry{}, Silent: []StorySilence{},
	}
	var ask []topology.StampID
	for _, stamp := range f.view.Stamps {
		if stamp.ID != f.view.Me.ID || !g.active() {
			ask = append(ask, stamp.ID)
		}
	}
	if g.active() {
		s.take(g.steps(ctx, q), 0)
	} else {
		all, cut := g.remembered(match) // if the active one cannot be asked
		s.take(stepsAnswer{Entries: all, Cut: cut}, 0)
	}
	quiet := g.askSteps(ctx, askLimit, q, ask, s, true)
	// A gateway that has started anew remembers nothing; what is on its disk is
	// found by the events' names, which others know by now.
	q.Keys = keysOf(nil, s.Entries, s.Now)
	if len(q.Keys) > 0 && len(quiet) > 0 {
		g.askSteps(ctx, keysLimit, q, quiet, s, false)
	}
	if len(q.Keys) > 0 && g.active() && !s.tells(f.view.Me.ID) {
		s.take(g.steps(ctx, q), 0)
	}
	s.finish()
	return s, nil
}

// askSteps asks stamps and takes what they say. It returns those that answered and
// remember nothing.
func (g *Gateway) askSteps(ctx context.Context, limit time.Duration, q stepsQuestion, stamps []topology.StampID, s *Story, first bool) (quiet []topology.StampID) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, _ := json.Marshal(q) // texts only
	for _, a := range g.query(ctx, bridge.ShowSteps, func(topology.StampID) []byte { return body }, stamps) {
		var said stepsAnswer
		err := a.Err
		if err == nil {
			if err = json.Unmarshal(a.Body, &said); err != nil {
				err = fmt.Errorf("answer unreadable: %w", err)
			}
		}
		switch {
		case err == nil:
			s.take(said, ahead(said.At, a))
			if len(said.Entries) == 0 {
				quiet = append(quiet, a.Stamp)
			}
		case first:
			s.Silent = append(s.Silent, StorySilence{Stamp: a.Stamp, Refused: errors.Is(err, ctl.ErrRefused), Err: err.Error()})
		default:
			s.Cut = true
		}
	}
	return quiet
}

// query puts a question with a body to stamps. Before the bridge is connected
// nobody is asked.
func (g *Gateway) query(ctx context.Context, what string, body func(topology.StampID) []byte, stamps []topology.StampID) []ctl.Answer {
	if a := g.ctl.Load(); a != nil {
		return a.Query(ctx, what, body, stamps)
	}
	return g.asker(ctx, what, stamps)
}

// ahead is how far the clock of whoever answered is ahead of ours, if that is
// sure.
func ahead(at time.Time, a ctl.Answer) time.Duration {
	d := at.Sub(a.Asked.Add(a.Took / 2))
	if at.IsZero() || d.Abs() <= a.Took/2+time.Millisecond {
		return 0
	}
	return d
}

// take takes what a gateway knows, with times by our clock.
func (s *Story) take(a stepsAnswer, ahead time.Duration) {
	s.Cut = s.Cut || a.Cut
	for i := range a.Entries {
		a.Entries[i].Time = a.Entries[i].Time.Add(-ahead)
	}
	for i := range a.Now {
		a.Now[i].Time = a.Now[i].Time.Add(-ahead)
	}
	s.Entries = append(s.Entries, a.Entries...)
	s.Now = append(s.Now, a.Now...)
}

// tells reports whether a stamp remembers anything.
func (s *Story) tells(stamp topology.StampID) bool {
	return slices.ContainsFunc(s.Entries, func(e journal.Entry) bool { return e.Stamp == stamp })
}

// finish puts what was taken in order.
func (s *Story) finish() {
	inOrder(s.Entries)
	inOrder(s.Now)
	s.Now = slices.CompactFunc(s.Now, func(a, b journal.Entry) bool {
		return a.Stamp == b.Stamp && a.Step == b.Step && a.ID == b.ID && a.Peer == b.Peer && a.Time.Equal(b.Time)
	})
	known := map[[2]string]int{}
	for _, all := range [][]journal.Entry{s.Entries, s.Now} {
		for _, e := range all {
			k := [2]string{e.ID, e.Type}
			i, ok := known[k]
			if !ok {
				i = len(s.Events)
				known[k] = i
				s.Events = append(s.Events, StoryEvent{ID: e.ID, Type: e.Type})
			}
			s.Events[i].learn(e)
		}
	}
}

// learn takes from e what is not known yet.
func (v *StoryEvent) learn(e journal.Entry) {
	v.Context, v.Triggered = cmp.Or(v.Context, e.Context), cmp.Or(v.Triggered, e.Triggered)
	v.Project, v.Stage, v.Service = cmp.Or(v.Project, e.Project), cmp.Or(v.Stage, e.Stage), cmp.Or(v.Service, e.Service)
	v.Source = cmp.Or(v.Source, e.Source)
}

// inOrder sorts entries by time. Those of one stamp keep their order; of those of
// several at the same time, the earlier step comes first.
func inOrder(all []journal.Entry) {
	steps := bridge.Steps()
	slices.SortStableFunc(all, func(a, b journal.Entry) int {
		if c := a.Time.Compare(b.Time); c != 0 || a.Stamp == b.Stamp {
			return c
		}
		return cmp.Compare(slices.Index(steps, a.Step), slices.Index(steps, b.Step))
	})
}
