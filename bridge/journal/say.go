package journal

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
)

// maxNamed is how many targets are named where a step happens.
const maxNamed = 3

// Say fills in Where and What, for people. Times in them are UTC.
func (e *Entry) Say() {
	e.Where, e.What = string(e.Stamp), e.what()
	switch e.Step {
	case bridge.StepRouted, bridge.StepOffered:
		e.Where = arrow(string(e.Stamp), e.to())
	case bridge.StepHeld, bridge.StepStored:
		e.Where = arrow(string(e.Stamp), string(e.Peer))
	case bridge.StepStarted, bridge.StepProgress, bridge.StepBarrier, bridge.StepFinished:
		if e.Peer != e.Stamp {
			e.Where = arrow(string(e.Peer), string(e.Stamp))
		}
	}
}

func arrow(from, to string) string {
	if to == "" {
		return from
	}
	return from + " → " + to
}

// to names where a routed event goes.
func (e *Entry) to() string {
	if e.Step == bridge.StepOffered {
		return string(e.Peer)
	}
	var all []string
	for _, t := range e.Targets {
		all = append(all, string(t.Stamp))
	}
	if len(all) > maxNamed {
		return fmt.Sprintf("%d stamps", len(all))
	}
	return strings.Join(all, ", ")
}

func (e *Entry) what() string {
	switch e.Step {
	case bridge.StepCaptured:
		return join("  ", "published "+e.Type, e.Place())
	case bridge.StepTaken:
		return "taken over from the external NATS"
	case bridge.StepPolled:
		return join(": ", "polled", e.Detail)
	case bridge.StepRouted:
		return e.routed()
	case bridge.StepOffered:
		return paren(fmt.Sprintf("offered, %d. time", e.N), e.until())
	case bridge.StepHeld:
		return join(": ", "held in the outbox", e.Detail)
	case bridge.StepStored:
		return "stored in " + string(e.Peer)
	case bridge.StepCrossed:
		return "arrived from " + string(e.Peer)
	case bridge.StepWaiting:
		return join(": ", "waits", paren(e.Detail, e.until()))
	case bridge.StepDelivered, bridge.StepReoffered:
		return e.delivered()
	case bridge.StepDropped:
		return join(": ", "let go of", e.Detail)
	case bridge.StepClaimed:
		return "has leave of " + string(e.Peer) + " to do the task"
	case bridge.StepDeclined:
		return join(": ", "let go of the task", e.Detail)
	case bridge.StepTold:
		return join(": ", "Keptn was told that the task waits", e.Detail)
	case bridge.StepDeadline:
		return join(": ", "answered for "+string(e.Peer), e.Detail)
	case bridge.StepReplayed:
		return join(": ", "dead letter sent on its way again", e.Detail)
	case bridge.StepRefused, bridge.StepDead:
		return e.dead()
	case bridge.StepTask:
		return paren("task: "+e.Detail, e.until())
	case bridge.StepKept:
		return "arrived from " + string(e.Peer) + ", and is done with"
	}
	return e.answered()
}

func (e *Entry) routed() string {
	why := strings.Join(e.Tried, "; ")
	if len(e.Targets) == 0 && e.Reason == "" {
		return join(": ", "stays in "+string(e.Stamp), why)
	}
	return join(": ", "routed", why)
}

func (e *Entry) delivered() string {
	what := "delivered"
	if e.Step == bridge.StepReoffered {
		what = "given again for want of an answer,"
	}
	switch {
	case e.N == 1:
		return join("; ", what+" to 1 subscriber", e.Detail)
	case e.N > 1:
		return join("; ", fmt.Sprintf("%s to %d subscribers", what, e.N), e.Detail)
	}
	return join("; ", what, e.Detail)
}

func (e *Entry) dead() string {
	what := "could not be delivered"
	if e.Step == bridge.StepRefused {
		what = "refused"
	}
	why := strings.Join(e.Tried, "; ")
	return join("; ", join(": ", what+" ("+string(e.Reason)+")", why), join(" ", "dead letter", e.Detail))
}

// answered tells of an answer to a task.
func (e *Entry) answered() string {
	verb := string(e.Step)
	if e.Step == bridge.StepBarrier {
		verb = "finished, held by the barrier"
	}
	more := e.Detail
	if e.Of > 1 {
		more = join(", ", fmt.Sprintf("%d/%d started", e.N, e.Of), more)
	}
	if u := e.until(); u != "" {
		more += " " + u
	}
	return paren(join(" ", e.Source, verb), more)
}

// Place is project/stage/service, as far as the event has them.
func (e *Entry) Place() string {
	return strings.Trim(strings.Join([]string{e.Project, e.Stage, e.Service}, "/"), "/")
}

func (e *Entry) until() string {
	if e.Until.IsZero() {
		return ""
	}
	return "until " + e.Until.UTC().Format(time.TimeOnly)
}

// join puts a separator between what is not empty.
func join(sep, a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + sep + b
}

func paren(a, b string) string {
	if b == "" {
		return a
	}
	return a + " (" + b + ")"
}
