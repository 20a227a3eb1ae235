package bridge

import (
	"time"

	"github.com/ringway/ringway/topology"
)

// A Verdict says what becomes of an answer that has arrived for a control
// plane of this stamp. The zero Verdict lets it pass.
type Verdict struct {
	Do     Do
	Reason Reason // of a refusal
	Detail string // of a refusal, for people
}

// Do is what to do with an answer.
type Do int

// What to do with an answer.
const (
	Pass   Do = iota // give it to the control plane
	Hold             // not yet; whoever said so says when
	Refuse           // set it aside
	Drop             // let go of it: it was ours, and is of no use any more
)

// A Given is a task .triggered that a control plane of this stamp has
// published, as the outbox read it, and where it goes.
type Given struct {
	Event    *Event
	Subject  string
	Body     []byte
	Seq      uint64    // in RW_OUT: the hop
	At       time.Time // when it was captured
	Decision Decision
}

// Asked returns the stamps that the task goes to, or can go to.
func (g *Given) Asked() []topology.StampID {
	from := g.Decision.Targets
	if len(from) == 0 {
		from = g.Decision.Candidates
	}
	out := make([]topology.StampID, len(from))
	for i, t := range from {
		out[i] = t.Stamp
	}
	return out
}
