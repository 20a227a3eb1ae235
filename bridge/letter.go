package bridge

import (
	"time"

	"github.com/ringway/ringway/topology"
)

// A Letter is an event that was set aside, with everything needed to see why
// and to try again.
type Letter struct {
	Side     Side             `json:"side"`
	Reason   Reason           `json:"reason"`
	Detail   []string         `json:"detail,omitempty"` // what was tried, rule by rule
	Subject  string           `json:"subject"`          // the event's own
	From     topology.StampID `json:"from"`
	To       topology.StampID `json:"to,omitempty"`  // empty if no target was found
	Key      Key              `json:"key,omitempty"` // empty if the event could not be read
	Captured time.Time        `json:"captured"`      // when its origin stored it
	Body     []byte           `json:"body"`          // as published; base64 in JSON
}

// A Side is where on its way an event was set aside.
type Side string

// The sides.
const (
	SideOut Side = "out" // captured here, not sent
	SideIn  Side = "in"  // arrived here, not delivered
)
