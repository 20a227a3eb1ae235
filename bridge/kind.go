package bridge

import "strings"

// A Kind is what a Keptn event type means for its way through the federation.
// Keptn tells task and sequence events apart by the number of dots alone,
// which misjudges several types (contract §1.3); Classify does not.
type Kind int

// The kinds of event.
const (
	KindOther         Kind = iota // under sh.keptn. but nothing that Keptn defines
	KindTaskTriggered             // sh.keptn.event.<task>.triggered
	KindTaskAnswer                // sh.keptn.event.<task>.{started,finished,status.changed,invalidated}
	KindSeqTriggered              // sh.keptn.event.<stage>.<sequence>.triggered
	KindSeqProgress               // sh.keptn.event.<stage>.<sequence>.{started,finished,…}
	KindLifecycle                 // sh.keptn.event.{project,service}.<verb>.<state>
	KindReport                    // sh.keptn.log.error, problem events, monitoring.configure
)

var kindNames = [...]string{"other", "task triggered", "task answer", "sequence triggered", "sequence progress", "life cycle", "report"}

// String names the kind for people.
func (k Kind) String() string { return kindNames[k] }

const keptnEvent = "sh.keptn.event."

// ConfigureMonitoring is the one report that asks for something as well: users send
// it to their control plane, and services that keep the monitoring of a stamp, or
// read it for evaluations, subscribe to it. Like the life cycle it has no stage.
const ConfigureMonitoring = "sh.keptn.event.monitoring.configure"

// Classify returns the Kind of an event type.
func Classify(typ string) Kind {
	switch typ {
	case "sh.keptn.log.error", "sh.keptn.events.problem", "sh.keptn.event.problem.open", ConfigureMonitoring:
		return KindReport
	}
	rest, ok := strings.CutPrefix(typ, keptnEvent)
	if !ok {
		return KindOther
	}
	first, rest, _ := strings.Cut(rest, ".")
	second, third, three := strings.Cut(rest, ".")
	switch {
	case first == "" || second == "" || three && third == "" || strings.Contains(third, "."):
		return KindOther
	case !three:
		return classifyTask(second)
	case second == "status" && third == "changed":
		return KindTaskAnswer
	case first == "project" || first == "service":
		return KindLifecycle
	case third == "triggered":
		return KindSeqTriggered
	}
	return KindSeqProgress
}

func classifyTask(state string) Kind {
	switch state {
	case "triggered":
		return KindTaskTriggered
	case "started", "finished", "invalidated":
		return KindTaskAnswer
	}
	return KindOther
}

// FromExecution reports whether an execution stamp may send an event of kind k
// to a control plane (contract §1.6). A forged project.delete.finished makes
// Keptn drop a project's events, so the rest never leaves an execution stamp,
// whatever the topology says.
func (k Kind) FromExecution() bool {
	return k == KindTaskAnswer || k == KindSeqTriggered || k == KindReport
}

// fromControl reports whether a control plane may send the event to an execution
// stamp.
func (e *Event) fromControl() bool {
	return e.Kind != KindOther && e.Kind != KindReport || e.Type == ConfigureMonitoring
}
