package console

import (
	"context"
	"time"
)

// A Story is what became of an event, over all stamps, as far as it is known.
type Story struct {
	Title   string      // what it is about, such as its type
	Facts   []StoryFact // what is always the same of it
	Steps   []StoryStep // in order of time
	Unheard []string    // stamps whose part is not known, with the reason
}

// A StoryFact is a name and its value.
type StoryFact struct{ Name, Value string }

// A StoryStep is one thing that happened to an event, or that it waits for.
type StoryStep struct {
	At     time.Time // zero: now
	Stamp  string
	What   string // in a few words
	Detail []string
	Level  StoryLevel
}

// A StoryLevel says how a step is meant.
type StoryLevel string

// The levels. What waits and what failed is seen at once.
const (
	StoryStepDone    StoryLevel = "done"
	StoryStepWaits   StoryLevel = "waits"
	StoryStepRefused StoryLevel = "refused"
)

// An Teller tells the story of the events with an id or a shkeptncontext. It
// returns nil if nothing is known of it.
type Teller func(ctx context.Context, id string) (*Story, error)
