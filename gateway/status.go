package gateway

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/bridge/outbox"
	"github.com/ringway/ringway/bridge/pull"
	"github.com/ringway/ringway/bridge/takeover"
	"github.com/ringway/ringway/bridge/task"
	"github.com/ringway/ringway/topology"
)

// A Condition sums a gateway up in a word.
type Condition string

// The conditions. A stamp that is cut off serves its own clients: it is
// degraded, not down.
const (
	ConditionOK       Condition = "ok"       // every link is up, nothing waits behind a failure
	ConditionDegraded Condition = "degraded" // the stamp is served; something else is not well
	ConditionDown     Condition = "down"     // the stamp cannot be served
)

// A Status is everything a gateway knows of itself, as /status shows it.
type Status struct {
	Stamp     topology.StampID `json:"stamp"`
	Geo       topology.Geo     `json:"geo"`
	Ring      topology.Ring    `json:"ring"`
	Version   string           `json:"version"`
	At        time.Time        `json:"at"`    // when this is, by the clock here
	Since     time.Time        `json:"since"` // start of the process
	Ready     bool             `json:"ready"`
	Condition Condition        `json:"condition"`
	Causes    []string         `json:"causes"` // why it is not ok; empty if it is

	Topology TopologyStatus    `json:"topology"`
	Clients  string            `json:"clients"` // URL for the stamp's own clients
	REST     string            `json:"rest"`    // the same for HTTP; empty if it is off
	Links    []LinkStatus      `json:"links"`
	Peers    []PeerStatus      `json:"peers"` // whom this stamp exchanges events with, by name
	Targets  []TargetStatus    `json:"targets"`
	Tasks    []task.Task       `json:"tasks"` // given to other stamps and not over; the oldest
	Waiting  []inbox.Waiting   `json:"waiting"`
	Planes   PlaneStatus       `json:"planes"`
	Polled   []pull.State      `json:"polled,omitempty"`  // control planes that this stamp polls
	Replica  *ReplicaStatus    `json:"replica,omitempty"` // of a stamp that has several
	Store    []string          `json:"store"`             // what is wrong with the streams on the disk
	Parts    map[string]string `json:"parts"`             // by name: "ok", or what is wrong
	Expires  []Expiry          `json:"expires"`           // of the identity in force, soonest first
	// DeadLetters is how many there are, where that was asked.
	DeadLetters *uint64 `json:"deadLetters,omitempty"`
	// Hold is what an operator has the stamp hold; nil if nothing.
	Hold *HoldStatus `json:"hold,omitempty"`
	// Orders are the last that operators gave, oldest first.
	Orders []bridge.Done `json:"orders,omitempty"`
	// Running counts, by stamp, the tasks of this stamp's control planes that
	// planes there have started and not finished.
	Running  map[topology.StampID]int `json:"running,omitempty"`
	LogLevel string                   `json:"logLevel,omitempty"` // in force
	Takeover *takeover.State          `json:"takeover,omitempty"` // of what an external NATS keeps

	takeoverCauses []string
}

// A TopologyStatus says which topology is in force.
type TopologyStatus struct {
	Name     string   `json:"name"`
	Hash     string   `json:"hash"`
	Identity string   `json:"identity"`      // fingerprint of the identity folder in force
	Err      string   `json:"err,omitempty"` // why the file as it is now is not in force
	Pending  []string `json:"pending"`       // changes that wait for a restart, by name

	// Relink is when the link server restarts by itself, for changes that NATS
	// cannot make while it runs; zero if it does not.
	Relink    time.Time `json:"linkRestart,omitzero"`
	RelinkErr string    `json:"linkRestartErr,omitempty"` // why the last attempt failed
}

// A LinkStatus is one connection to another stamp's server.
type LinkStatus struct {
	Peer  string    `json:"peer"` // the other stamp; this one for kinds own and external
	Kind  string    `json:"kind"` // own, gateway, leaf-out, leaf-in, external
	Addr  string    `json:"addr"` // host:port that is dialled, or from where the peer dialled
	Up    bool      `json:"up"`
	Since time.Time `json:"since"`
	RTT   string    `json:"rtt,omitempty"`
	Err   string    `json:"err,omitempty"`
}

// A TargetStatus is what lies between this stamp and one it sends events to.
type TargetStatus struct {
	Stamp   topology.StampID `json:"stamp"`
	Away    bool             `json:"away"` // it does not answer; its events are held
	Held    int64            `json:"held"`
	Since   time.Time        `json:"since"`
	LastAck time.Time        `json:"lastAck"` // an event got through
	Err     string           `json:"err,omitempty"`
}

// connectionID is how a NATS server begins a line about a connection: an address
// and a number, which changes with every attempt.
var connectionID = regexp.MustCompile(`^\S+:\d+ - \w+:\d+ - `)

// plain is what a server says about a link, without that.
func plain(err string) string { return connectionID.ReplaceAllString(err, "") }

func targetStatus(lanes []outbox.LaneState) []TargetStatus {
	out := make([]TargetStatus, 0, len(lanes))
	for _, l := range lanes {
		out = append(out, TargetStatus{Stamp: l.Target, Away: l.Holding, Held: l.Held, Since: l.Since, LastAck: l.LastAck, Err: l.Err})
	}
	slices.SortFunc(out, func(a, b TargetStatus) int { return cmp.Compare(a.Stamp, b.Stamp) })
	return out
}

// silentPeer and staleCanary begin the causes that are about another stamp.
func silentPeer(id topology.StampID) string { return "stamp " + string(id) + " does not answer" }

func staleCanary(id topology.StampID) string {
	return "stamp " + string(id) + ": no canary got through"
}

// judge fills in Condition and Causes.
func (s *Status) judge() {
	s.Causes = []string{}
	for name, state := range s.Parts {
		if state != "ok" {
			s.Causes = append(s.Causes, name+": "+state)
		}
	}
	for _, l := range s.Links {
		if !l.Up {
			s.Causes = append(s.Causes, fmt.Sprintf("%s link to %s at %s is down: %s", l.Kind, l.Peer, l.Addr, cmp.Or(l.Err, "not connected")))
		}
	}
	for _, t := range s.Targets {
		if t.Away {
			s.Causes = append(s.Causes, silentPeer(t.Stamp)+": "+t.Err)
		}
	}
	for _, p := range s.Peers {
		s.Causes = append(s.Causes, p.causes...)
	}
	if s.Topology.RelinkErr != "" {
		s.Causes = append(s.Causes, "link server not restarted: "+s.Topology.RelinkErr)
	}
	if s.Topology.Err != "" {
		s.Causes = append(s.Causes, "topology file: "+s.Topology.Err)
	}
	s.Causes = append(s.Causes, s.Planes.causes()...)
	s.Causes = append(s.Causes, pullCauses(s.Polled)...)
	s.Causes = append(s.Causes, s.Replica.causes()...)
	s.Causes = append(s.Causes, s.Store...)
	s.Causes = append(s.Causes, s.takeoverCauses...)
	s.Causes = append(s.Causes, s.Hold.causes()...)
	slices.Sort(s.Causes)
	switch {
	case !s.Ready:
		s.Condition = ConditionDown
	case len(s.Causes) > 0:
		s.Condition = ConditionDegraded
	default:
		s.Condition = ConditionOK
	}
}

// A board holds the state of each part, for others to see. It is safe for
// concurrent use.
type board struct {
	mu    sync.Mutex
	parts map[string]string
}

func newBoard() *board { return &board{parts: map[string]string{}} }

func (b *board) set(part, state string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts[part] = state
}

// clear forgets parts that do not run any more.
func (b *board) clear(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range parts {
		delete(b.parts, p)
	}
}

func (b *board) snapshot() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]string, len(b.parts))
	for k, v := range b.parts {
		out[k] = v
	}
	return out
}
