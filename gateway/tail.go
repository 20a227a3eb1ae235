package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/gateway/admin"
	"github.com/ringway/ringway/topology"
)

const (
	// tailLimit is how long stamps are waited for in one round.
	tailLimit = 800 * time.Millisecond
	// tailEvery is the pause between two rounds.
	tailEvery = 300 * time.Millisecond
	// maxNews is how many steps one stamp tells in one round.
	maxNews = 500
)

// A TailQuestion asks for what has happened since the last one.
type TailQuestion struct {
	Filter journal.Filter `json:"filter"`
	// Back is how many steps of each stamp from before the first question are
	// wanted.
	Back int `json:"back,omitempty"`
	// Places is how far each stamp was read, as the last answer says.
	Places map[topology.StampID]journal.Place `json:"places,omitempty"`
}

// A Tail is the answer to a TailQuestion, with what the stamps say that are
// wanted, in the order of time within each answer.
type Tail struct {
	APIVersion string                             `json:"apiVersion"` // ringway/v1
	Kind       string                             `json:"kind"`       // Tail
	Asked      topology.StampID                   `json:"asked"`
	Entries    []journal.Entry                    `json:"entries"`
	Places     map[topology.StampID]journal.Place `json:"places"`
	Missed     map[topology.StampID]uint64        `json:"missed,omitempty"` // steps that were forgotten before they were asked for
	Silent     []StorySilence                     `json:"silent"`
}

// A TailStep is one line of /events/tail.
type TailStep struct {
	APIVersion string `json:"apiVersion"` // ringway/v1
	Kind       string `json:"kind"`       // Step
	journal.Entry
}

// A TailSilence is a line of /events/tail about a stamp that tells nothing, or
// tells again: then Err is empty.
type TailSilence struct {
	APIVersion string `json:"apiVersion"` // ringway/v1
	Kind       string `json:"kind"`       // Silence
	StorySilence
}

type newsQuestion struct {
	From   journal.Place  `json:"from"`
	Filter journal.Filter `json:"filter"`
	Back   int            `json:"back,omitempty"`
}

type newsAnswer struct {
	Place   journal.Place   `json:"place"`
	Entries []journal.Entry `json:"entries"`
	Missed  uint64          `json:"missed,omitempty"`
	At      time.Time       `json:"at"`
}

// tellNews answers another gateway.
func (g *Gateway) tellNews(_ context.Context, from topology.StampID, body []byte) (any, error) {
	var q newsQuestion
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	a := g.news(q)
	if !g.seesAll(from) {
		a.Entries = slices.DeleteFunc(a.Entries, func(e journal.Entry) bool { return !e.Involves(from) })
	}
	return a, nil
}

func (g *Gateway) news(q newsQuestion) newsAnswer {
	a := newsAnswer{At: time.Now().UTC()}
	if g.journal != nil {
		a.Entries, a.Place, a.Missed = g.journal.After(q.From, q.Filter, min(max(q.Back, 0), maxNews), maxNews)
	}
	return a
}

// tellTail answers a watcher.
func (g *Gateway) tellTail(ctx context.Context, _ topology.StampID, body []byte) (any, error) {
	var q TailQuestion
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	return g.Tail(ctx, q), nil
}

// tellStory answers a watcher.
func (g *Gateway) tellStory(ctx context.Context, _ topology.StampID, body []byte) (any, error) {
	var q stepsQuestion
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	s, err := g.Why(ctx, q.Match)
	if err != nil {
		return nil, err
	}
	s.bound()
	return s, nil
}

// bound leaves out the oldest of what does not fit a message.
func (s *Story) bound() {
	var cut bool
	s.Entries, cut = journal.Newest(s.Entries, journal.MaxAnswer)
	s.Cut = s.Cut || cut
	s.Now, cut = journal.Newest(s.Now, journal.MaxAnswer/4)
	s.Cut = s.Cut || cut
}

// Tail asks the stamps that are wanted what has happened since they were last
// asked. It takes less than a second.
func (g *Gateway) Tail(ctx context.Context, q TailQuestion) *Tail {
	f := g.force.Load()
	t := &Tail{
		APIVersion: "ringway/v1", Kind: "Tail", Asked: f.view.Me.ID, Entries: []journal.Entry{},
		Places: map[topology.StampID]journal.Place{}, Missed: map[topology.StampID]uint64{}, Silent: []StorySilence{},
	}
	var ask []topology.StampID
	for _, s := range f.view.Stamps {
		wanted := len(q.Filter.Stamps) == 0 || slices.Contains(q.Filter.Stamps, s.ID)
		switch {
		case wanted && s.ID == f.view.Me.ID && g.active():
			t.take(s.ID, g.news(newsQuestion{From: q.Places[s.ID], Filter: q.Filter, Back: q.Back}), 0)
		case wanted:
			ask = append(ask, s.ID)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tailLimit)
	defer cancel()
	body := func(s topology.StampID) []byte {
		b, _ := json.Marshal(newsQuestion{From: q.Places[s], Filter: q.Filter, Back: q.Back}) // texts and numbers
		return b
	}
	for _, a := range g.query(ctx, bridge.ShowNews, body, ask) {
		var said newsAnswer
		err := a.Err
		if err == nil {
			err = json.Unmarshal(a.Body, &said)
		}
		if err != nil {
			t.Silent = append(t.Silent, StorySilence{Stamp: a.Stamp, Refused: errors.Is(err, ctl.ErrRefused), Err: err.Error()})
			if was, ok := q.Places[a.Stamp]; ok {
				t.Places[a.Stamp] = was
			}
			continue
		}
		t.take(a.Stamp, said, ahead(said.At, a))
	}
	inOrder(t.Entries)
	return t
}

func (t *Tail) take(stamp topology.StampID, a newsAnswer, ahead time.Duration) {
	for i := range a.Entries {
		a.Entries[i].Time = a.Entries[i].Time.Add(-ahead)
	}
	t.Entries = append(t.Entries, a.Entries...)
	t.Places[stamp] = a.Place
	if a.Missed > 0 {
		t.Missed[stamp] = a.Missed
	}
}

// Follow calls each with every step and silence, as it is learnt, until ctx ends or
// each fails. With nothing to tell it calls each with nil once in a while.
func (g *Gateway) Follow(ctx context.Context, f journal.Filter, back int, each func(line any) error) error {
	q := TailQuestion{Filter: f, Back: back}
	silent := map[topology.StampID]bool{}
	if err := each(nil); err != nil { // so that it is known to have begun
		return err
	}
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for said := time.Now(); ; {
		t := g.Tail(ctx, q)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // nobody listens any more
		}
		lines := t.lines(silent)
		if len(lines) == 0 && time.Since(said) > keepAlive {
			lines = append(lines, nil)
		}
		for _, l := range lines {
			said = time.Now()
			if err := each(l); err != nil {
				return err
			}
		}
		q.Places = t.Places
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// keepAlive is how often somebody who follows hears from us.
const keepAlive = 10 * time.Second

// lines returns what t has that is new. silent holds who was silent before.
func (t *Tail) lines(silent map[topology.StampID]bool) (out []any) {
	line := func(s StorySilence) {
		out = append(out, TailSilence{APIVersion: "ringway/v1", Kind: "Silence", StorySilence: s})
	}
	for _, s := range t.Silent {
		if !silent[s.Stamp] {
			silent[s.Stamp] = true
			line(s)
		}
	}
	for stamp := range t.Places {
		if silent[stamp] && !slices.ContainsFunc(t.Silent, func(s StorySilence) bool { return s.Stamp == stamp }) {
			delete(silent, stamp)
			line(StorySilence{Stamp: stamp})
		}
	}
	for stamp, n := range t.Missed {
		line(StorySilence{Stamp: stamp, Err: fmt.Sprintf("%d steps were forgotten before they could be told", n)})
	}
	for _, e := range t.Entries {
		out = append(out, TailStep{APIVersion: "ringway/v1", Kind: "Step", Entry: e})
	}
	return out
}

// followEvents is what /events/tail asks for: filters by name, and back.
func (g *Gateway) followEvents(ctx context.Context, q url.Values, each func(line any) error) error {
	var f journal.Filter
	back := 0
	for key, values := range q {
		var all []string
		for _, v := range values {
			all = append(all, strings.FieldsFunc(v, func(r rune) bool { return r == ',' })...)
		}
		var err error
		switch key {
		case "stage":
			f.Stages = all
		case "type":
			f.Types = all
		case "project":
			f.Projects = all
		case "context":
			f.Contexts = all
		case "stamp":
			for _, s := range all {
				f.Stamps = append(f.Stamps, topology.StampID(s))
			}
		case "step":
			for _, s := range all {
				f.Steps = append(f.Steps, bridge.Step(s))
			}
		case "back":
			if back, err = strconv.Atoi(values[0]); err != nil || back < 0 {
				err = fmt.Errorf("%w: back %q is not a number", admin.ErrQuestion, values[0])
			}
		default:
			err = fmt.Errorf("%w: %q is none of stage, type, stamp, project, context, step and back", admin.ErrQuestion, key)
		}
		if err != nil {
			return err
		}
	}
	if err := g.checkFilter(f); err != nil {
		return fmt.Errorf("%w: %w", admin.ErrQuestion, err)
	}
	return g.Follow(ctx, f, back, each)
}

// checkFilter refuses a filter that nothing could ever pass.
func (g *Gateway) checkFilter(f journal.Filter) error {
	for _, s := range f.Steps {
		if !slices.Contains(bridge.Steps(), s) {
			return fmt.Errorf("%q is no step: they are %s", s, journal.StepNames())
		}
	}
	for _, s := range f.Stamps {
		if g.force.Load().view.Stamp(s) == nil {
			return fmt.Errorf("stamp %s is not in the topology of %s", s, g.opts.Stamp)
		}
	}
	return nil
}
