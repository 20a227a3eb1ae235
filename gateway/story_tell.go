package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/topology"
)

// Bounds of what one stamp tells of an event.
const (
	maxSteps   = 500
	maxNow     = 100
	maxMatch   = 512 // bytes
	maxKeys    = 64
	storyLimit = 2 * time.Second // for what has to be asked of streams
)

// storySubject is the subject, in account RELAY, on which a replica asks the
// others for what they remember. It is followed by the name of the one asked.
const storySubject = "lead.story."

// replicasWait is how long the other replicas are waited for.
const replicasWait = 300 * time.Millisecond

// A stepsQuestion asks a gateway what it knows: of what has this id or
// shkeptncontext; or, with keys, of these events by what is on the disk alone.
type stepsQuestion struct {
	Match string       `json:"match"`
	Keys  []bridge.Key `json:"keys,omitempty"`
}

func (q stepsQuestion) check() error {
	if q.Match == "" || len(q.Match) > maxMatch || len(q.Keys) > maxKeys {
		return fmt.Errorf("an id or shkeptncontext of 1 to %d bytes is asked for, and not more than %d keys", maxMatch, maxKeys)
	}
	return nil
}

// A stepsAnswer is what one gateway knows.
type stepsAnswer struct {
	At      time.Time       `json:"at"` // by its clock
	Entries []journal.Entry `json:"entries"`
	Now     []journal.Entry `json:"now"`
	Cut     bool            `json:"cut,omitempty"` // there is more
}

// tellSteps answers another gateway.
func (g *Gateway) tellSteps(ctx context.Context, from topology.StampID, body []byte) (any, error) {
	var q stepsQuestion
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	a := g.steps(ctx, q)
	if !g.seesAll(from) {
		a.Entries, a.Now = concern(from, a.Entries, a.Now)
	}
	return a, nil
}

// seesAll reports whether somebody is told of all events: hubs and stamps of control
// planes, and this stamp itself. Others are told of those that they send or get.
func (g *Gateway) seesAll(from topology.StampID) bool {
	v := g.force.Load().view
	s := v.Stamp(from)
	return from == v.Me.ID || s != nil && (s.Control || s.Link.Kind == topology.LinkHub)
}

// concern leaves of entries those about events that a stamp has to do with.
func concern(stamp topology.StampID, entries, now []journal.Entry) (some, someNow []journal.Entry) {
	ids := map[string]bool{}
	for _, all := range [][]journal.Entry{entries, now} {
		for i := range all {
			if all[i].ID != "" && all[i].Involves(stamp) {
				ids[all[i].ID], ids[all[i].Triggered] = true, all[i].Triggered != ""
			}
		}
	}
	other := func(e journal.Entry) bool { return !ids[e.ID] }
	return slices.DeleteFunc(entries, other), slices.DeleteFunc(now, other)
}

// steps is what this stamp knows: the journals of its replicas, and what is on the
// disk.
func (g *Gateway) steps(ctx context.Context, q stepsQuestion) stepsAnswer {
	a := stepsAnswer{At: time.Now().UTC(), Entries: []journal.Entry{}, Now: []journal.Entry{}}
	if len(q.Keys) == 0 {
		all, cut := g.remembered(q.Match)
		for _, r := range g.askReplicas(q.Match) {
			all, cut = append(all, r.Entries...), cut || r.Cut
		}
		inOrder(all)
		if n := len(all) - maxSteps; n > 0 {
			all, cut = all[n:], true
		}
		all, more := journal.Newest(all, journal.MaxAnswer)
		a.Entries, a.Cut = append(a.Entries, all...), cut || more
	}
	ctx, cancel := context.WithTimeout(ctx, storyLimit)
	defer cancel()
	a.Now, a.Cut = g.present(ctx, q, keysOf(q.Keys, a.Entries), a.Cut)
	return a
}

// remembered is what this process remembers.
func (g *Gateway) remembered(match string) ([]journal.Entry, bool) {
	if g.journal == nil {
		return nil, false
	}
	return g.journal.About(match, maxSteps)
}

// present is how things are now. What cannot be read is left out, and cut says so.
func (g *Gateway) present(ctx context.Context, q stepsQuestion, keys []bridge.Key, cut bool) ([]journal.Entry, bool) {
	p := present{g: g, keys: keys, out: []journal.Entry{}}
	note := func(more bool, err error) { cut = cut || more || err != nil }
	if b := g.bridge.Load(); b != nil {
		note(p.tasks(ctx, b, q))
		note(p.held(ctx, b, q))
		note(p.waiting(ctx, b, q))
		note(p.kept(ctx, b, q))
	}
	if box := g.letters.Load(); box != nil && g.active() {
		note(p.letters(ctx, box, q))
	}
	inOrder(p.out)
	if len(p.out) > maxNow {
		p.out, cut = p.out[:maxNow], true
	}
	return p.out, cut
}

// active reports whether this process is the one of its stamp that moves events.
func (g *Gateway) active() bool {
	s := g.replicaStatus()
	return s == nil || s.Active
}

// present gathers how things are now.
type present struct {
	g    *Gateway
	keys []bridge.Key // that are known of what is asked for
	out  []journal.Entry
}

// keysOf adds to keys those of the events that entries are about.
func keysOf(keys []bridge.Key, entries ...[]journal.Entry) []bridge.Key {
	for _, all := range entries {
		for _, e := range all {
			if e.ID == "" || e.Type == "" {
				continue
			}
			k := bridge.KeyOf(e.ID, e.Type, e.Type)
			if len(keys) < maxKeys && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

func (p *present) add(about bridge.About, e journal.Entry) {
	e.Time, e.Stamp, e.Replica = e.Time.UTC(), p.g.opts.Stamp, p.g.opts.Replica.Name
	e.About(about)
	e.Say()
	p.out = append(p.out, e)
}

func (p *present) tasks(ctx context.Context, b *parts, q stepsQuestion) (bool, error) {
	if len(q.Keys) > 0 {
		return false, nil
	}
	all, err := b.tasks.Of(ctx, q.Match, maxNow, time.Now())
	for _, t := range all {
		e := journal.Entry{Step: bridge.StepTask, Time: t.Asked, Detail: t.Progress, Until: t.Until}
		if t.Over {
			e.Detail, e.Until = "over; "+t.Progress, time.Time{}
		}
		for _, s := range t.Stamps {
			e.Targets = append(e.Targets, journal.Target{Stamp: s, Rule: t.Rule})
		}
		p.add(t.About, e)
	}
	return len(all) == maxNow, err
}

func (p *present) held(ctx context.Context, b *parts, q stepsQuestion) (bool, error) {
	all, cut, err := b.outbox.Held(ctx, q.Match, keysOf(p.keys, p.out), maxNow)
	for _, h := range all {
		p.add(h.About, journal.Entry{Step: bridge.StepHeld, Time: h.Since, Peer: h.Target, Detail: h.Why})
	}
	return cut, err
}

func (p *present) waiting(ctx context.Context, b *parts, q stepsQuestion) (bool, error) {
	var all []inbox.WaitingEvent
	for _, m := range append(slices.Clone(q.Keys), q.Match) {
		some, err := b.inbox.WaitingEvents(ctx, m, maxNow)
		if err != nil {
			return true, err
		}
		all = append(all, some...)
	}
	seen := map[bridge.Key]bool{}
	for _, w := range all {
		if seen[w.Key] {
			continue
		}
		seen[w.Key] = true
		p.add(bridge.About{ID: w.ID, Type: w.Subject, Context: w.Context},
			journal.Entry{Step: bridge.StepWaiting, Time: w.Captured, Peer: w.From, Detail: w.Reason})
	}
	return len(all) >= maxNow, nil
}

func (p *present) kept(ctx context.Context, b *parts, q stepsQuestion) (bool, error) {
	if len(q.Keys) == 0 {
		return false, nil
	}
	all, err := b.inbox.Kept(ctx, q.Keys)
	for _, k := range all {
		p.add(k.About, journal.Entry{Step: bridge.StepKept, Time: k.At, Peer: k.From})
	}
	return false, err
}

func (p *present) letters(ctx context.Context, box *deadletter.Box, q stepsQuestion) (bool, error) {
	names := map[uint64]bridge.About{}
	all, more, err := box.Search(ctx, func(e *deadletter.Entry) bool {
		if len(q.Keys) > 0 {
			return false // they were found before
		}
		about := nameLetter(&e.Letter)
		if !about.Concerns(q.Match) {
			return false
		}
		names[e.Number] = about.Clone()
		return true
	}, maxNow)
	for _, l := range all {
		p.add(names[l.Number], journal.Entry{
			Step: stepOf(l.Reason), Time: l.At, Peer: l.From, Reason: l.Reason, Tried: l.Detail, Detail: fmt.Sprintf("%d", l.Number),
		})
	}
	return more, err
}

// askReplicas asks the other replicas of this stamp for what they remember.
func (g *Gateway) askReplicas(match string) (out []stepsAnswer) {
	relay := g.relay.Load()
	peers := g.node.Replicas().Peers
	if relay == nil || len(peers) == 0 {
		return nil
	}
	reply := relay.NewRespInbox()
	sub, err := relay.SubscribeSync(reply)
	if err != nil {
		return nil
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	for _, p := range peers {
		_ = relay.PublishMsg(&nats.Msg{Subject: storySubject + p, Reply: reply, Data: []byte(match)}) // silence is an answer
	}
	for deadline := time.Now().Add(replicasWait); len(out) < len(peers); {
		m, err := sub.NextMsg(time.Until(deadline))
		if err != nil {
			return out
		}
		var a stepsAnswer
		if json.Unmarshal(m.Data, &a) == nil {
			out = append(out, a)
		}
	}
	return out
}

// answerReplicas tells other replicas what this one remembers, until ctx ends.
func (g *Gateway) answerReplicas(ctx context.Context, ready func(), relay *nats.Conn) error {
	g.relay.Store(relay)
	defer g.relay.Store(nil)
	sub, err := relay.Subscribe(storySubject+g.node.Replicas().Server, func(m *nats.Msg) {
		a := stepsAnswer{At: time.Now().UTC()}
		a.Entries, a.Cut = g.remembered(string(m.Data))
		b, err := json.Marshal(a)
		if err == nil {
			err = m.Respond(b)
		}
		if err != nil && !errors.Is(err, nats.ErrMsgNoReply) {
			g.log.Debug("replica not answered", "err", err)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe questions of replicas: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	ready()
	<-ctx.Done()
	return nil
}
