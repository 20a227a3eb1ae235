package gateway

import (
	"time"

	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/topology"
)

// A Story is what became of an event, or of all events of a shkeptncontext, in
// all stamps, as their gateways remember it. It is what /events/why shows. Times
// are RFC 3339.
type Story struct {
	APIVersion string           `json:"apiVersion"` // ringway/v1
	Kind       string           `json:"kind"`       // Story
	Match      string           `json:"match"`      // what was asked for
	Asked      topology.StampID `json:"asked"`      // whose gateway says all this
	At         time.Time        `json:"at"`
	// Events are those that the story is about, by the time of their first step.
	Events []StoryEvent `json:"events"`
	// Entries are the steps that gateways remember, oldest first, by the clock of
	// the one that was asked.
	Entries []journal.Entry `json:"entries"`
	// Now is how things are at this moment, by what is on the disks: what is held,
	// what waits and why, tasks that are not over, and dead letters. Its times say
	// since when.
	Now []journal.Entry `json:"now"`
	// Silent are the stamps that did not tell.
	Silent []StorySilence `json:"silent"`
	// Cut says that a stamp knew more than it told.
	Cut bool `json:"cut,omitempty"`
}

// A StoryEvent is one event of a Story.
type StoryEvent struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Context   string `json:"shkeptncontext,omitempty"`
	Triggered string `json:"triggeredid,omitempty"` // the task that it answers
	Project   string `json:"project,omitempty"`
	Stage     string `json:"stage,omitempty"`
	Service   string `json:"service,omitempty"`
	Source    string `json:"source,omitempty"`
}

// A StorySilence is a stamp that did not tell what it knows, and why.
type StorySilence struct {
	Stamp   topology.StampID `json:"stamp"`
	Refused bool             `json:"refused,omitempty"` // it tells us nothing, by its topology
	Err     string           `json:"err"`
}

// Known reports whether any stamp knows the event.
func (s *Story) Known() bool { return len(s.Entries)+len(s.Now) > 0 }
