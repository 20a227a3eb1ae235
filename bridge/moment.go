package bridge

import (
	"strings"
	"time"

	"github.com/ringway/ringway/topology"
)

// A Step is what happened to an event at one point of its way. Stories are made
// of them; the list is closed, and names are never changed, only added.
type Step string

// The steps, about in the order in which an event takes them.
const (
	StepCaptured  Step = "captured"   // a client published it, and the stamp's NATS stored it
	StepTaken     Step = "taken"      // taken over from the stream of an external NATS
	StepPolled    Step = "polled"     // fetched from a control plane that is reached by HTTP only
	StepRouted    Step = "routed"     // where it goes, rule by rule
	StepOffered   Step = "offered"    // a task for any one stamp: which is asked, and how often one was
	StepHeld      Step = "held"       // its target does not answer; it is kept in RW_HOLD
	StepStored    Step = "stored"     // its target has stored it, as its origin was told
	StepCrossed   Step = "crossed"    // it has arrived, as its target says
	StepWaiting   Step = "waiting"    // it is not delivered yet, and why
	StepDelivered Step = "delivered"  // published to the clients of the stamp
	StepReoffered Step = "re-offered" // published once more: no plane had answered
	StepDropped   Step = "dropped"    // let go of without a trace: nobody need act on it, or another stamp has it
	StepClaimed   Step = "claimed"    // the origin gave the stamp leave to do the task
	StepDeclined  Step = "declined"   // the stamp has no plane for the task, or lets go of it
	StepStarted   Step = "started"    // a plane's .started was let through to its control plane
	StepProgress  Step = "progress"   // the same of .status.changed and the like
	StepBarrier   Step = "barrier"    // a .finished is held until others have started
	StepFinished  Step = "finished"   // a plane's .finished was let through
	StepDeadline  Step = "deadline"   // the gateway answered for a stamp that missed its deadline
	StepTold      Step = "told"       // Keptn was told that the task waits for a stamp out of reach
	StepRefused   Step = "refused"    // a rule forbids it; it is a dead letter
	StepDead      Step = "dead"       // it can not be delivered; it is a dead letter
	StepReplayed  Step = "replayed"   // a dead letter was sent on its way again
	StepTask      Step = "task"       // how far a task has come that is not over; of what is, not of what was
	StepKept      Step = "kept"       // RW_IN has it still, and is done with it; the same
)

// Steps returns all of them, in order.
func Steps() []Step {
	return []Step{
		StepCaptured, StepTaken, StepPolled, StepRouted, StepOffered, StepHeld, StepStored, StepCrossed, StepWaiting,
		StepDelivered, StepReoffered, StepDropped, StepClaimed, StepDeclined, StepStarted, StepProgress, StepBarrier,
		StepFinished, StepDeadline, StepTold, StepRefused, StepDead, StepReplayed, StepTask, StepKept,
	}
}

// A Moment is one step of one event, as the mechanism that takes it sees it.
// Whoever is told of one copies what it keeps: the strings may be parts of the
// event's body. Fields that do not apply are empty.
type Moment struct {
	Step Step
	At   time.Time // zero is now
	// About says of which event.
	About About
	Peer  topology.StampID // the other stamp: target, origin, or who answers
	// N of Of: subscribers that are known; stamps that have started, of those
	// that were asked; attempts.
	N, Of  int
	Until  time.Time // when what is waited for ends; zero: it is not known
	Reason Reason    // of a refusal
	Detail string    // for people
	// Tried and Targets are a Decision's. They are kept as they are, and not
	// changed any more.
	Tried   []string
	Targets []Target
	// Trace is the header traceparent that the event came with, of captured and crossed.
	Trace string
}

// About names an event by what routing reads of it. None of it is its content.
type About struct {
	ID        string
	Type      string // or the subject, of what is no CloudEvent
	Context   string // shkeptncontext
	Triggered string // triggeredid, of an answer
	Project   string
	Stage     string
	Service   string
	Source    string // the plane, of an answer
}

// Brief reports whether a says only which event it is. The rest of it was said
// before, by whoever had read the event.
func (a *About) Brief() bool {
	return a.Project == "" && a.Stage == "" && a.Service == "" && a.Source == "" && a.Triggered == ""
}

// Clone returns a copy that keeps nothing of an event's body.
func (a About) Clone() About {
	return About{
		ID: strings.Clone(a.ID), Type: strings.Clone(a.Type), Context: strings.Clone(a.Context), Triggered: strings.Clone(a.Triggered),
		Project: strings.Clone(a.Project), Stage: strings.Clone(a.Stage), Service: strings.Clone(a.Service), Source: strings.Clone(a.Source),
	}
}

// Names returns what names e; subject stands for the type where e is nil.
func (e *Event) Names(subject string) About {
	if e == nil {
		return About{Type: subject}
	}
	return About{
		ID: e.ID, Type: e.Type, Context: e.Context, Triggered: e.TriggeredID,
		Project: e.Project, Stage: e.Stage, Service: e.Service, Source: e.Source,
	}
}

// A Scribe is told of every step that events take. It is called on their way, from
// many goroutines, and takes no time. nil: nobody is told.
type Scribe func(Moment)

// A Tracer returns the header traceparent of a copy of an event for a stamp, or
// for the clients of this one if to is empty. came is the one that it came with.
// nil: events get none.
type Tracer func(about About, came string, to topology.StampID) string

// Note tells s, if there is one.
func (s Scribe) Note(m Moment) {
	if s != nil {
		s(m)
	}
}

// Concerns reports whether a is what somebody asks for: an event with this id or
// shkeptncontext, or an answer to the task with this id.
func (a *About) Concerns(match string) bool {
	return match != "" && (a.ID == match || a.Triggered == match || a.Context == match)
}
