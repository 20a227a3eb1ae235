package bridge

import "github.com/ringway/ringway/topology"

// What gateways ask each other about themselves; the rest of a CtlSubject. The
// questions have a word more than those about tasks, so that nobody hears both.
const (
	// ShowStatus asks for the status of a gateway.
	ShowStatus = "show.status"
	// ShowChecks asks a gateway to examine itself and say what it found.
	ShowChecks = "show.checks"
	// ShowSteps asks a gateway for what it knows of some events, and ShowNews for
	// the steps since it was last asked. Both have a body.
	ShowSteps = "show.steps"
	ShowNews  = "show.news"
	// ShowStory and ShowTail ask a gateway for the same of all stamps.
	// Only who watches its own stamp may.
	ShowStory = "show.story"
	ShowTail  = "show.tail"
	// ShowFederation and ShowExamination ask a gateway for what it knows of all
	// stamps, which it asks in turn. Only who watches its own stamp may.
	ShowFederation  = "show.federation"
	ShowExamination = "show.examination"
	// ShowPlanes asks a gateway for the planes that it knows of, and ShowLetters
	// for its dead letters, without the events. The latter has a body. Only who
	// watches its own stamp may.
	ShowPlanes  = "show.planes"
	ShowLetters = "show.letters"
	// showReplies starts the rest of an answer; the process that asked and the
	// number of the question follow.
	showReplies = "shown."
)

// ShowReply is where from answers question n of process asker of stamp to.
func ShowReply(to, from topology.StampID, asker, n string) string {
	return CtlSubject(to, from, showReplies+asker+"."+n)
}

// ShowRepliesFor matches every answer to process asker of stamp to.
func ShowRepliesFor(to topology.StampID, asker string) string {
	return CtlSubject(to, "*", showReplies+asker+".*")
}

// ShowReplies starts every subject on which from answers such questions of to.
func ShowReplies(to, from topology.StampID) string { return CtlSubject(to, from, showReplies) }
