package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// recall reads how far an earlier run or process has come, and what of it is
// in doubt.
func (in *Inbox) recall(ctx context.Context) error {
	p, err := in.load(ctx)
	if err != nil {
		return err
	}
	// A later run knows more than a disk that could not be written, but not more
	// than another replica that has delivered since.
	if !in.loaded || p.By != in.id {
		in.progress, in.loaded = p, true
	}
	in.progress.By = in.id
	last := in.stream.CachedInfo().State.LastSeq
	in.progress.clip(last)
	in.suspects, in.suspectsTo = nil, endOf(last)
	in.opened, in.reopened = nil, map[place]bool{}
	switch {
	case in.progress.Clean, in.progress.Floor >= endOf(last):
	case in.progress.Exact:
		in.opened = slices.Clone(in.progress.Open)
	case in.progress.Held:
	default:
		in.suspects = map[string]int{}
	}
	was := in.givens
	in.givens = newGivens(in.progress.Answering)
	if was != nil {
		in.givens.letGo = was.letGo
	}
	if err := in.recallGivens(ctx, last); err != nil {
		return err
	}
	// What was not announced is doubted until the stream's end of now is
	// settled, and the next start must do the same.
	in.progress.Held = in.progress.Held && in.holding.On()
	in.progress.Clean, in.progress.Exact = false, in.announces() && in.suspects == nil
	in.progress.Open = in.openSeqs()
	if err := in.cfg.Gate.Commit(ctx); err != nil { // of what an earlier run has published
		return err
	}
	return in.state.save(ctx, in.progress)
}

// load reads the progress, and then how far RW_IN goes: never the other way
// round. Another replica may deliver until this one has written, and what it
// delivered would seem to be of a stream that was lost.
func (in *Inbox) load(ctx context.Context) (progress, error) {
	p, err := in.state.load(ctx)
	if err != nil {
		return p, err
	}
	if _, err := in.stream.Info(ctx); err != nil {
		return p, fmt.Errorf("read %s: %w", StreamIn, err)
	}
	return p, nil
}

// recallGivens doubts the tasks that planes were given before this start: their
// connections ended with the process.
func (in *Inbox) recallGivens(ctx context.Context, last uint64) error {
	var p pack // ranges are in order, and many may be of one
	for _, r := range in.progress.Given {
		for seq := seqOf(r[0]); seq <= min(seqOf(r[1]), last); seq++ {
			if p.seq != seq {
				all, err := in.readAll(ctx, seq)
				if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
					return err
				}
				p = pack{seq, all}
			}
			in.recallGiven(p.all, r)
		}
	}
	return nil
}

// recallGiven doubts those tasks of a message that are in a range of places.
func (in *Inbox) recallGiven(all []arrival, of [2]place) {
	for _, a := range all {
		e, err := bridge.Parse(a.subject, a.body)
		if err != nil || !in.givens.answering[a.subject] || a.seq < of[0] || a.seq > of[1] {
			continue // it was delivered; only its answer would count
		}
		a.id, a.context = e.ID, e.Context
		in.doubt(waiterOf(a), 0)
	}
}
