package bridge

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ringway/ringway/topology"
)

// A Verb says what an order is about.
type Verb string

// The verbs.
const (
	VerbFreeze  Verb = "freeze"  // hold what begins something new
	VerbDrain   Verb = "drain"   // the same, and have other stamps take it where they can
	VerbResume  Verb = "resume"  // let go of what is held
	VerbPromote Verb = "promote" // the same, for a ring that is next
	VerbLevel   Verb = "level"   // set the log level
	VerbReplay  Verb = "replay"  // send dead letters on their way again
)

// Bounds of an Order.
const (
	maxReason   = 200
	maxLetters  = 50
	maxOrderFor = 24 * time.Hour
	// orderLife is for how long an order is good, to both sides of its time:
	// clocks differ, and one that was seen on its way must not be of use later.
	orderLife = 5 * time.Minute
)

// An Order is what an operator wants stamps to do, as JSON. It travels signed.
type Order struct {
	ID     string             `json:"id"` // never used twice
	At     time.Time          `json:"at"`
	Verb   Verb               `json:"verb"`
	To     []topology.StampID `json:"to"` // the stamps that it is for
	Reason string             `json:"reason,omitempty"`
	Level  string             `json:"level,omitempty"` // of logs; empty: as configured
	For    time.Duration      `json:"for,omitempty"`   // how long the level lasts; 0 is until the next order
	// Letters are the numbers of dead letters, which are of one stamp.
	Letters []uint64 `json:"letters,omitempty"`
}

// Holds reports whether the order makes a stamp hold events.
func (o *Order) Holds() bool { return o.Verb == VerbFreeze || o.Verb == VerbDrain }

// Releases reports whether the order ends that.
func (o *Order) Releases() bool { return o.Verb == VerbResume || o.Verb == VerbPromote }

// Check reports why an order cannot be carried out by stamp me at now.
func (o *Order) Check(me topology.StampID, now time.Time) error {
	switch {
	case len(o.ID) < 8 || len(o.ID) > 64:
		return errors.New("the order has no id")
	case now.Sub(o.At).Abs() > orderLife:
		return fmt.Errorf("the order is of %s, and it is %s in stamp %s: clocks are apart, or it was seen before", o.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), me)
	case !slices.Contains(o.To, me):
		return fmt.Errorf("the order is not for stamp %s", me)
	case len(o.Reason) > maxReason:
		return fmt.Errorf("the reason is longer than %d bytes", maxReason)
	case strings.ContainsFunc(o.Reason, unicode.IsControl):
		return errors.New("the reason is more than a line of text")
	case o.Holds() && o.Reason == "":
		return errors.New("the order gives no reason")
	case o.Holds(), o.Releases():
		return nil
	case o.Verb == VerbReplay && (len(o.To) != 1 || len(o.Letters) == 0 || len(o.Letters) > maxLetters):
		return fmt.Errorf("1 to %d dead letters of one stamp are replayed by an order", maxLetters)
	case o.Verb == VerbReplay:
		return nil
	case o.Verb != VerbLevel:
		return fmt.Errorf("stamp %s does not know the order %q", me, o.Verb)
	case !slices.Contains([]string{"", "debug", "info", "warn", "error"}, o.Level):
		return fmt.Errorf("%q is no log level", o.Level)
	case o.For < 0 || o.For > maxOrderFor:
		return fmt.Errorf("a log level lasts for %s at most", maxOrderFor)
	}
	return nil
}

// A Holding says that a stamp holds what begins something new, and why.
type Holding struct {
	Mode   Verb      `json:"mode,omitempty"` // VerbFreeze or VerbDrain; empty: it does not
	Since  time.Time `json:"since,omitzero"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	// Ended is when what was held before was let go.
	Ended time.Time `json:"ended,omitzero"`
}

// On reports whether anything is held.
func (h Holding) On() bool { return h.Mode != "" }

// Why is the reason for which an event waits, a word.
func (h Holding) Why() string {
	switch h.Mode {
	case VerbFreeze:
		return "frozen"
	case VerbDrain:
		return "draining"
	}
	return ""
}

// String says it in a line.
func (h Holding) String() string {
	if !h.On() {
		return ""
	}
	return fmt.Sprintf("%s since %s by %s: %s", h.Why(), h.Since.UTC().Format(time.RFC3339), h.By, cmp.Or(h.Reason, "no reason given"))
}

// Holdable reports whether a stamp that is frozen holds the events of a subject:
// those that begin a task or a sequence. What tells of something that has begun
// passes, so that it can end: answers, what informs, and reports. So do messages
// of custom routes, of which nobody here knows what they mean.
func Holdable(subject string) bool {
	switch Classify(subject) {
	case KindTaskTriggered, KindSeqTriggered:
		return true
	}
	return false
}

// A Done is what came of an order in one stamp, as it is kept and answered.
type Done struct {
	ID     string    `json:"id"` // of the order
	At     time.Time `json:"at"` // when it was carried out, by the stamp's clock
	Verb   Verb      `json:"verb"`
	By     string    `json:"by"`     // name of who gave it
	Key    string    `json:"key"`    // public key of the same
	Via    string    `json:"via"`    // the stamp whose gateway passed it on
	Result string    `json:"result"` // what the stamp did, in a line
	Reason string    `json:"reason,omitempty"`
	Level  string    `json:"level,omitempty"`
	Until  time.Time `json:"until,omitzero"` // of a level
	// Letters are the dead letters that were replayed, and Err says why not all were.
	Letters []uint64 `json:"letters,omitempty"`
	Err     string   `json:"err,omitempty"`
}
