package bridge

import (
	"strings"

	"github.com/ringway/ringway/topology"
)

// Names on the wire between stamps. Gateways of different versions talk to
// each other, so a name is never changed, only added. docs/protocol.md lists
// them with layout, sender and reader.
//
// Every subject between stamps is
//
//	rw.v1.<kind>.<to>.<from>.<rest>
//
// so that one pair of permissions holds a stamp to speaking as itself and
// hearing what is meant for it: publish rw.v1.*.*.<me>.>, subscribe
// rw.v1.*.<me>.>.
const (
	prefix = "rw.v1."

	kindEvent = "ev"   // a stored event; rest is its Key
	kindAck   = "ack"  // the answer of the stream that stored it; rest is a number
	kindLive  = "live" // a message of a live route; rest is its subject
	kindCtl   = "ctl"  // what gateways ask each other; rest is "ask.<what>" or "re.<n>"

	// A question whether events get through, and its answer; rest is "ask", or
	// "answer" and the name of the process that asked.
	kindCanary = "canary"

	// A frame of an HTTP request through the tunnel; rest is "ask.<target>",
	// "at.<replica>", or "re.<client>" and a word on what it answers.
	kindHTTP = "http"
)

// Headers of a stored event. The body is never touched.
const (
	// HeaderTrace carries the context of a trace, as W3C Trace Context has it. It is
	// there while tracing is on.
	HeaderTrace = "traceparent"
	// HeaderSubject is the subject the event was published on, and will be
	// delivered on.
	HeaderSubject = "Ringway-Subject"
	// HeaderOrigin is the stamp whose client published the event.
	HeaderOrigin = "Ringway-Origin"
	// HeaderHop is "<origin>:<sequence in the origin's RW_OUT>".
	HeaderHop = "Ringway-Hop"
	// HeaderCaptured is when the origin stored the event, RFC 3339 with
	// nanoseconds, UTC.
	HeaderCaptured = "Ringway-Captured"
	// HeaderMode is ModeWait, ModeClaim or ModeOffer.
	HeaderMode = "Ringway-Mode"
	// HeaderRule names the rule of the topology that sent the event here.
	HeaderRule = "Ringway-Rule"
	// HeaderWithin is for how long the stamp may look for a plane, as a
	// duration such as 1m0s. After that it tells the origin that it has none.
	HeaderWithin = "Ringway-Within"
	// HeaderAttempt counts the stamps that a task was offered to, from 1; with
	// ModeClaim only.
	HeaderAttempt = "Ringway-Attempt"
	// HeaderFor names the stamp that an event which the origin wrote itself
	// stands for: the answer of a stamp that missed its deadline.
	HeaderFor = "Ringway-For"
)

// HeaderTaken marks an event in RW_OUT that was taken over from the stream of an
// external NATS. It belongs behind what was captured up to then, in nanoseconds
// since 1970. It stays in the stamp.
const HeaderTaken = "Ringway-Taken"

// Values of HeaderMode.
const (
	// ModeWait keeps the event until somebody subscribes to its subject.
	ModeWait = "wait"
	// ModeClaim keeps the event until a plane can take it, asks the origin
	// whether this stamp is still the one, and delivers it if so.
	ModeClaim = "claim"
	// ModeOffer delivers the event to whoever subscribes when it arrives, and
	// otherwise drops it: for events that inform and that nobody must act on.
	ModeOffer = "offer"
)

// CanaryEvent is the type of an event that a client publishes to find out whether
// events get through. It is stored as any other and goes to no other stamp; no
// program of Keptn has a use for it.
const CanaryEvent = "sh.keptn.ringway.canary"

// CapturePrefix is put before a client's subject where the server stores what
// the stamp's clients publish.
const CapturePrefix = "cap."

// StorePrefix stands for CapturePrefix where a stamp has several replicas: they
// hear what clients publish, and store it under this subject. The stream turns
// it into the other.
const StorePrefix = "put."

// EventSubject is where from publishes the event with key for to.
func EventSubject(to, from topology.StampID, key string) string {
	return prefix + kindEvent + "." + string(to) + "." + string(from) + "." + key
}

// EventsFor matches every event sent to stamp to.
func EventsFor(to topology.StampID) string { return prefix + kindEvent + "." + string(to) + ".>" }

// EventFrom matches the event with key sent to stamp to, whoever sent it; the
// second one matches offers of it.
func EventFrom(to topology.StampID, key string) [2]string {
	s := prefix + kindEvent + "." + string(to) + ".*." + key
	return [2]string{s, s + ".*"}
}

// AckSubject is where from answers that it stored what to sent under number n:
// of an event its hop sequence, of a pack one of its own.
func AckSubject(to, from topology.StampID, n string) string {
	return prefix + kindAck + "." + string(to) + "." + string(from) + "." + n
}

// AcksFor matches every answer to stamp to.
func AcksFor(to topology.StampID) string { return prefix + kindAck + "." + string(to) + ".>" }

// LiveSubject is where from publishes a message of a live route for to.
func LiveSubject(to, from topology.StampID, subject string) string {
	return prefix + kindLive + "." + string(to) + "." + string(from) + "." + subject
}

// LiveFor matches every message of live routes sent to stamp to.
func LiveFor(to topology.StampID) string { return prefix + kindLive + "." + string(to) + ".>" }

// CtlSubject is where from asks to something, or answers it.
func CtlSubject(to, from topology.StampID, rest string) string {
	return prefix + kindCtl + "." + string(to) + "." + string(from) + "." + rest
}

// What a stamp asks the origin of an event; the rest of a CtlSubject.
const (
	// AskClaim asks whether this stamp may still give a task to its planes.
	AskClaim = "ask.claim"
	// AskDecline says that no plane of this stamp took a task in time, and
	// that the stamp lets go of it.
	AskDecline = "ask.decline"
	// AskRelease asks a stamp whose planes have a task, and have not started it
	// in time, to let go of it. It does so by AskDecline.
	AskRelease = "ask.release"
	// CtlReplies starts the rest of an answer.
	CtlReplies = "re."
)

// What stamps tell each other of their planes; the rest of a CtlSubject.
const (
	// PlanesTell says what planes the sender has.
	PlanesTell = "planes.tell"
	// PlanesWant asks for that.
	PlanesWant = "planes.want"
)

// A TaskAsk is the body of every question, as JSON.
type TaskAsk struct {
	Triggered string `json:"triggered"` // id of the event
	Attempt   int    `json:"attempt,omitempty"`
}

// A TaskAnswer is the body of the answer to a TaskAsk, as JSON.
type TaskAnswer struct {
	// Yes says for AskClaim that the stamp is the one, and for AskDecline that
	// the origin took note.
	Yes bool `json:"yes"`
}

// CanaryAsk is where from asks to whether events get through.
func CanaryAsk(to, from topology.StampID) string {
	return prefix + kindCanary + "." + string(to) + "." + string(from) + ".ask"
}

// CanaryAsksFor matches every such question to stamp to.
func CanaryAsksFor(to topology.StampID) string {
	return prefix + kindCanary + "." + string(to) + ".*.ask"
}

// CanaryAnswer is where from answers a question of process asker of stamp to.
func CanaryAnswer(to, from topology.StampID, asker string) string {
	return prefix + kindCanary + "." + string(to) + "." + string(from) + ".answer." + asker
}

// CanaryAnswersFor matches every answer to process asker of stamp to.
func CanaryAnswersFor(to topology.StampID, asker string) string {
	return prefix + kindCanary + "." + string(to) + ".*.answer." + asker
}

// HTTPAsk is where from asks any replica of to for an HTTP request to a target.
func HTTPAsk(to, from topology.StampID, target string) string {
	return prefix + kindHTTP + "." + string(to) + "." + string(from) + ".ask." + target
}

// HTTPAsksFor matches every such request to stamp to.
func HTTPAsksFor(to topology.StampID) string {
	return prefix + kindHTTP + "." + string(to) + ".*.ask.*"
}

// HTTPAt is where from sends one replica of to what follows the ask.
func HTTPAt(to, from topology.StampID, replica string) string {
	return prefix + kindHTTP + "." + string(to) + "." + string(from) + ".at." + replica
}

// HTTPAtReplica matches everything of that kind for a replica of stamp to.
func HTTPAtReplica(to topology.StampID, replica string) string {
	return prefix + kindHTTP + "." + string(to) + ".*.at." + replica
}

// HTTPReply is where from answers process client of to; about says what.
func HTTPReply(to, from topology.StampID, client, about string) string {
	return prefix + kindHTTP + "." + string(to) + "." + string(from) + ".re." + client + "." + about
}

// HTTPRepliesFor matches every answer to process client of stamp to.
func HTTPRepliesFor(to topology.StampID, client string) string {
	return prefix + kindHTTP + "." + string(to) + ".*.re." + client + ".>"
}

// Address takes a subject between stamps apart. ok is false if it is not one.
func Address(subject string) (to, from topology.StampID, rest string, ok bool) {
	s, found := strings.CutPrefix(subject, prefix)
	if !found {
		return "", "", "", false
	}
	part := strings.SplitN(s, ".", 4)
	if len(part) != 4 {
		return "", "", "", false
	}
	return topology.StampID(part[1]), topology.StampID(part[2]), part[3], true
}
