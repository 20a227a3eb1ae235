package task

import (
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// A Task is one .triggered event and what became of it. Its methods are pure:
// the time comes in as an argument. It is not safe for concurrent use.
type Task struct {
	ID      string `json:"id"`   // of the .triggered event
	Type    string `json:"type"` // of the same
	Context string `json:"shkeptncontext"`
	Project string `json:"project"`
	Stage   string `json:"stage"`
	Service string `json:"service"`

	Rule        string              `json:"rule"`
	Deliver     topology.Deliver    `json:"deliver"`
	StartWithin time.Duration       `json:"startWithin"`
	Deadline    time.Duration       `json:"deadline,omitempty"`
	OnDeadline  topology.OnDeadline `json:"onDeadline,omitempty"`

	Asked time.Time `json:"asked"`
	// Hop is the event's sequence in RW_OUT.
	Hop uint64 `json:"hop"`
	// Seats are the stamps that were asked; with Turn, those that can be, best
	// first.
	Seats []*Seat `json:"seats"`
	// LastStart is when the last .started was let through.
	LastStart time.Time `json:"lastStart,omitzero"`
	// Turn says who has the task now; nil if all seats have it.
	Turn *Turn `json:"turn,omitempty"`

	// Only with a deadline: what an answer in a stamp's name repeats.
	Labels   map[string]string `json:"labels,omitempty"`
	CommitID string            `json:"gitcommitid,omitempty"`

	held  map[uint64]bool // sequences in RW_IN of answers that wait
	noted bool            // RW_TASK says who was asked
	told  bool            // Keptn was told that it waits for a stamp that cannot be reached
	own   bool            // RW_TASK may have a message about this task alone, under way
	seen  bool            // somebody has asked for it, and may change it
	in    *batch          // that it was noted in; nil once it has a message of its own
	slot  uint32          // which task of that
}

// A Seat is one stamp's part in a task.
type Seat struct {
	Stamp topology.StampID `json:"stamp"`
	State State            `json:"state"`
	// Planes are the stamp's planes that answered, by the source of their
	// events.
	Planes map[string]*Plane `json:"planes,omitempty"`
	// Heard is when the stamp last answered.
	Heard time.Time `json:"heard,omitzero"`
	// Granted says that the stamp had leave to give the task to its planes;
	// with a Turn only.
	Granted bool `json:"granted,omitempty"`
	// Unreached says that the event became a dead letter on its way to the
	// stamp; without a Turn only.
	Unreached bool `json:"unreached,omitempty"`
}

// A Plane is what one plane of a stamp answered, by the keys of the events.
type Plane struct {
	Started  bridge.Key `json:"started,omitempty"`
	Finished bridge.Key `json:"finished,omitempty"`
}

// A State is how far a stamp has come with a task.
type State string

// The states.
const (
	Asked    State = "asked"
	Started  State = "started"
	Finished State = "finished" // every plane that started has finished
	Declined State = "declined" // the stamp has no plane for it
	Expired  State = "expired"  // the stamp missed the deadline
)

// settled reports whether nothing more is expected of the seat.
func (s State) settled() bool { return s == Finished || s == Declined || s == Expired }

// gap is how long .finished are held after the last .started. Keptn's
// shipyard-controller handles events that it reads together in no order
// (contract §1.5), so a .finished close behind another stamp's .started could
// overtake it.
const gap = 200 * time.Millisecond

func (t *Task) seat(id topology.StampID) *Seat {
	for _, s := range t.Seats {
		if s.Stamp == id {
			return s
		}
	}
	return nil
}

func (s *Seat) plane(source string) *Plane {
	if s.Planes == nil {
		s.Planes = map[string]*Plane{}
	}
	p := s.Planes[source]
	if p == nil {
		p = &Plane{}
		s.Planes[source] = p
	}
	return p
}

// running reports whether a plane of the seat has started and not finished.
func (s *Seat) running() bool {
	for _, p := range s.Planes {
		if p.Finished == "" {
			return true
		}
	}
	return false
}

// Open reports whether .finished may pass.
func (t *Task) Open(now time.Time) bool {
	if t.Turn != nil || len(t.Seats) < 2 {
		return true
	}
	for _, s := range t.Seats {
		if s.State == Asked {
			return false
		}
	}
	return now.Sub(t.LastStart) >= gap
}

// Over reports whether nothing more is expected of the task.
func (t *Task) Over() bool {
	if len(t.held) > 0 {
		return false
	}
	if t.Turn != nil {
		s := t.seat(t.Turn.Stamp)
		return t.Turn.Over && (s == nil || s.State.settled())
	}
	for _, s := range t.Seats {
		if !s.State.settled() {
			return false
		}
	}
	return true
}

// mend brings times that lie ahead back to now: a process with a wrong clock
// noted them, and nothing is to wait until that hour has come.
func (t *Task) mend(now time.Time) {
	past := func(at *time.Time, limit time.Time) {
		if at.After(limit) {
			*at = limit
		}
	}
	past(&t.LastStart, now)
	for _, s := range t.Seats {
		past(&s.Heard, now)
	}
	if t.Turn != nil {
		past(&t.Turn.Since, now)
		past(&t.Turn.Next, now.Add(lastRound))
	}
}

// clone returns a copy that nobody changes.
func (t *Task) clone() Task {
	c := *t
	c.held = nil
	c.Seats = make([]*Seat, len(t.Seats))
	for i, s := range t.Seats {
		seat := *s
		seat.Planes = make(map[string]*Plane, len(s.Planes))
		for source, p := range s.Planes {
			plane := *p
			seat.Planes[source] = &plane
		}
		c.Seats[i] = &seat
	}
	if t.Turn != nil {
		turn := *t.Turn
		c.Turn = &turn
	}
	return c
}
