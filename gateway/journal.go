package gateway

import (
	"context"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/bridge/journal"
)

// maxJournal bounds events.journal: some 4 GB.
const maxJournal = 1 << 24

// openJournal makes the journal, unless it is off.
func (g *Gateway) openJournal() {
	if n := g.opts.Events.Journal; n > 0 {
		g.journal = journal.New(g.opts.Stamp, g.opts.Replica.Name, n)
	}
}

// scribe is told of the way of events; nil if nobody wants to know.
func (g *Gateway) scribe() bridge.Scribe {
	if g.journal == nil {
		return g.traced(nil)
	}
	return g.traced(g.journal.Note)
}

// A letterbook is a box of dead letters that is heard of.
type letterbook struct {
	*deadletter.Box
	g *Gateway
}

// Put tells of the letter when it is stored.
func (b letterbook) Put(ctx context.Context, l bridge.Letter) error {
	if err := b.Box.Put(ctx, l); err != nil {
		return err
	}
	if s := b.g.scribe(); s != nil {
		s(bridge.Moment{Step: stepOf(l.Reason), About: nameLetter(&l), Peer: l.From, Reason: l.Reason, Tried: l.Detail})
	}
	return nil
}

// Replay tells of a letter that is sent on its way again.
func (b letterbook) Replay(ctx context.Context, number uint64) error {
	e, err := b.Get(ctx, number)
	if err != nil {
		return err
	}
	if err := b.Box.Replay(ctx, number); err != nil {
		return err
	}
	if s := b.g.scribe(); s != nil {
		s(bridge.Moment{Step: bridge.StepReplayed, About: nameLetter(&e.Letter), Peer: e.From, Reason: e.Reason})
	}
	return nil
}

// stepOf tells what is forbidden from what was not possible.
func stepOf(why bridge.Reason) bridge.Step {
	switch why {
	case bridge.ReasonExpired, bridge.ReasonOverflow, bridge.ReasonTooLarge, bridge.ReasonUnknown, bridge.ReasonNoPlane, bridge.ReasonUnconfirmed:
		return bridge.StepDead
	}
	return bridge.StepRefused
}

// nameLetter says which event a letter is about, as far as it can be read.
func nameLetter(l *bridge.Letter) bridge.About {
	e, err := bridge.Parse(l.Subject, l.Body)
	if err != nil {
		return bridge.About{Type: l.Subject}
	}
	return e.Names(l.Subject)
}
