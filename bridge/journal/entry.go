package journal

import (
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// An Entry is one step of one event, as a gateway remembers it and tells others.
// Times are RFC 3339. What does not apply is left out.
type Entry struct {
	Time    time.Time        `json:"time"`
	Stamp   topology.StampID `json:"stamp"`             // whose gateway says so
	Replica string           `json:"replica,omitempty"` // of a stamp that has several
	Step    bridge.Step      `json:"step"`

	ID        string `json:"id,omitempty"`
	Type      string `json:"type"` // of the event, or its subject
	Context   string `json:"shkeptncontext,omitempty"`
	Triggered string `json:"triggeredid,omitempty"` // the task that it answers
	Project   string `json:"project,omitempty"`
	Stage     string `json:"stage,omitempty"`
	Service   string `json:"service,omitempty"`
	Source    string `json:"source,omitempty"` // who published it

	// Peer is the other stamp: the target of what is held or stored, the origin
	// of what has crossed, or who answers a task.
	Peer topology.StampID `json:"peer,omitempty"`
	// N and Of count, by step: subscribers (delivered, re-offered), stamps that
	// have started, of those that were asked (started, barrier), offers (offered).
	N       int           `json:"n,omitempty"`
	Of      int           `json:"of,omitempty"`
	Until   time.Time     `json:"until,omitzero"`
	Reason  bridge.Reason `json:"reason,omitempty"`
	Detail  string        `json:"detail,omitempty"`
	Tried   []string      `json:"tried,omitempty"`   // rule by rule, of routed, refused and dead
	Targets []Target      `json:"targets,omitempty"` // of routed
	Where   string        `json:"where"`             // for people: "eu-1", or "cp → eu-1"
	What    string        `json:"what"`              // for people, in a line
	seq     uint64        // in its journal
}

// A Target is a stamp that an event is sent to, and why.
type Target struct {
	Stamp topology.StampID `json:"stamp"`
	Rule  string           `json:"rule"`
}

// About says that e is about an event.
func (e *Entry) About(a bridge.About) {
	e.ID, e.Type, e.Context, e.Triggered = a.ID, a.Type, a.Context, a.Triggered
	e.Project, e.Stage, e.Service, e.Source = a.Project, a.Stage, a.Service, a.Source
}

// Involves reports whether a stamp has to do with e: it is where it happened, the
// other side, or a target.
func (e *Entry) Involves(stamp topology.StampID) bool {
	return e.Stamp == stamp || e.Peer == stamp || slices.ContainsFunc(e.Targets, func(t Target) bool { return t.Stamp == stamp })
}

// StepNames lists the steps that are remembered, for people.
func StepNames() string {
	var all []string
	for _, s := range steps {
		if s != bridge.StepTask && s != bridge.StepKept {
			all = append(all, string(s))
		}
	}
	return strings.Join(all, ", ")
}
