package trace

import "time"

// A Kind says which side of a message a span is about.
type Kind int

// The kinds, as OTLP numbers them.
const (
	Internal Kind = 1
	Producer Kind = 4
	Consumer Kind = 5
)

// A Span is a part of the way of an event. It is not changed once it was given
// away.
type Span struct {
	Trace  ID
	ID     SpanID
	Parent SpanID // zero: none
	Link   Parent // of a publisher that has a trace of its own; zero: none
	Name   string // a closed list: capture, route, forward, store, wait, deliver, …
	Kind   Kind
	Start  time.Time
	End    time.Time
	Failed string // why; empty: it did not
	Attrs  []Attr
	Events []Event
}

// An Attr says more of a span. Value is a string or an int.
type Attr struct {
	Key   string
	Value any
}

// An Event is what happened in between.
type Event struct {
	Name string
	At   time.Time
	Text string
}
