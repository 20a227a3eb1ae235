package inbox

import (
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
)

// A given is a task that planes of this stamp were given and have not
// answered. NATS does not say what a client has received, but Keptn's planes
// answer a task with .started at once; so the answer is the proof.
type given struct {
	n       uint64 // its number among those that were given
	seq     uint64
	id      string
	subject string
	context string
	at      time.Time
	within  time.Duration // how long its origin lets planes start, if it waits for this stamp alone
	to      *crowd        // who subscribed then
	times   int           // that it was given again for want of an answer
}

// A crowd is who subscribes to a subject, by the ids of their connections. It does
// not change.
type crowd struct{ ids map[uint64]bool }

// Bounds of what is remembered, and of the latest of it that is stored. A plane
// that does not answer within the time is one that does not answer.
const (
	maxGiven    = 100_000
	storedGiven = 2048
	givenFor    = 10 * time.Minute
)

// givens are owned by run.
type givens struct {
	list      *givenList
	answering map[string]bool // subjects whose planes are known to answer
	letGo     map[string]bool // ids of tasks that this stamp has let go of
}

func newGivens(answering []string) *givens {
	g := &givens{list: newGivenList(), answering: map[string]bool{}, letGo: map[string]bool{}}
	for _, s := range answering {
		g.answering[s] = true
	}
	return g
}

// give takes note that planes are given a task.
func (in *Inbox) give(a arrival, now time.Time) {
	if a.id == "" || a.offer || bridge.Classify(a.subject) != bridge.KindTaskTriggered {
		return
	}
	delete(in.givens.letGo, a.id)
	in.givens.list.put(&given{
		seq: a.seq, id: a.id, subject: a.subject, context: a.context, at: now, to: in.subscribed[a.subject], within: a.within,
	})
	in.givens.list.trim(now)
}

// release forgets a task that this stamp lets go of, but not that it did.
func (gs *givens) release(id string) {
	if len(gs.letGo) >= maxGiven {
		clear(gs.letGo) // their origins have heard of it long since
	}
	gs.list.remove(id)
	gs.letGo[id] = true
}

// seqs returns the latest that are not answered, and all that are in doubt, as
// inclusive ranges in order. Where no plane of a subject ever answers it proves
// nothing, and whoever takes over would read thousands of them in vain. It is asked with every progress, and looks at some
// thousands where planes do not answer.
func (gs *givens) seqs(doubts map[string]*doubt) [][2]uint64 {
	seqs := make([]uint64, 0, min(storedGiven, gs.list.len())+len(doubts))
	for _, d := range doubts {
		seqs = append(seqs, d.w.seq)
	}
	if len(gs.answering) > 0 {
		seqs = gs.list.latest(seqs, storedGiven, gs.answering)
	}
	slices.Reverse(seqs) // mostly they are in order then
	return ranges(seqs)
}

func (gs *givens) subjects() []string {
	out := make([]string, 0, len(gs.answering))
	for s := range gs.answering {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// Answered takes note that a plane of this stamp answered a task. It is called
// for every answer that was captured, before anybody lets go of it.
func (in *Inbox) Answered(triggered string) {
	in.mu.Lock()
	in.noted = append(in.noted, strings.Clone(triggered)) // else all of its event would stay
	in.mu.Unlock()
}

// takeNotes settles the tasks that were answered. Until that is stored they are
// kept: a run that fails before that is followed by one that knows nothing.
func (in *Inbox) takeNotes() {
	in.mu.Lock()
	noted := in.noted
	in.noted = nil
	in.mu.Unlock()
	for _, id := range noted {
		in.answered(id)
	}
	in.unsaved = append(in.unsaved, noted...)
}

func (in *Inbox) answered(id string) {
	if d := in.doubts[id]; d != nil {
		in.forgetDoubt(d)
		in.givens.answering[d.w.subject] = true
		in.fresh = append(in.fresh, d.w.seq)
	}
	delete(in.givens.letGo, id)
	g := in.givens.list.get(id)
	if g == nil {
		if endOf(in.seen.seq) < in.suspectsTo && len(in.early) < maxGiven {
			in.early[id] = true // its task comes by the stream yet, and would be in doubt
		}
		return
	}
	in.givens.list.remove(id)
	in.givens.answering[g.subject] = true
	in.dirty = true
	if l := in.lanes[g.subject]; l != nil && l.written(g.seq) {
		in.fresh = append(in.fresh, g.seq)
	}
}

func isKeptns(subject string) bool { return strings.HasPrefix(subject, "sh.keptn.") }
