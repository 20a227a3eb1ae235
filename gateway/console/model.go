package console

import (
	"encoding/json"
	"fmt"
	"time"
)

// A federation is what the console reads of /federation.
type federation struct {
	Name   string    `json:"name"`
	Hash   string    `json:"hash"`
	Asked  string    `json:"asked"`
	At     time.Time `json:"at"`
	Stamps []stamp   `json:"stamps"`
}

// The states of the way to a stamp, as /federation has them.
const (
	wayHere = "here"
	wayUp   = "up"
	wayDown = "down"
)

type stamp struct {
	Stamp    string  `json:"stamp"`
	Geo      string  `json:"geo"`
	Ring     string  `json:"ring"`
	Way      string  `json:"way"`
	Via      string  `json:"via"`
	Answered bool    `json:"answered"`
	Err      string  `json:"err"`
	Canary   *canary `json:"canary"`
	Clock    float64 `json:"clock"`
	Outbox   int64   `json:"outbox"`
	Waiting  int     `json:"waiting"`
	Expires  *expiry `json:"expires"`
	Causes   []cause `json:"causes"`
	Status   *status `json:"status"`
}

type canary struct {
	From  string  `json:"from"`
	Age   float64 `json:"age"`
	RTT   float64 `json:"rtt"`
	Delay float64 `json:"delay"`
	Lost  int     `json:"lost"`
	Of    int     `json:"of"`
	Never bool    `json:"never"`
	Stale bool    `json:"stale"`
	Err   string  `json:"err"`
}

type cause struct {
	Code   string    `json:"code"`
	Side   string    `json:"side"`
	Addr   string    `json:"addr"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Waits  int64     `json:"waits"`
}

type expiry struct {
	File string    `json:"file"`
	Kind string    `json:"kind"`
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

type status struct {
	Version   string    `json:"version"`
	Since     time.Time `json:"since"`
	Ready     bool      `json:"ready"`
	Condition string    `json:"condition"`
	Topology  struct {
		Hash    string   `json:"hash"`
		Pending []string `json:"pending"`
	} `json:"topology"`
	Clients string            `json:"clients"`
	REST    string            `json:"rest"`
	Links   []link            `json:"links"`
	Peers   []peer            `json:"peers"`
	Targets []target          `json:"targets"`
	Waiting []waiting         `json:"waiting"`
	Planes  planeCount        `json:"planes"`
	Polled  []polled          `json:"polled"`
	Replica *replica          `json:"replica"`
	Store   []string          `json:"store"`
	Parts   map[string]string `json:"parts"`
	Expires []expiry          `json:"expires"`
	// DeadLetters is nil where they could not be counted.
	DeadLetters *uint64 `json:"deadLetters"`
}

type link struct {
	Peer  string    `json:"peer"`
	Kind  string    `json:"kind"`
	Addr  string    `json:"addr"`
	Up    bool      `json:"up"`
	Since time.Time `json:"since"`
	RTT   string    `json:"rtt"`
	Err   string    `json:"err"`
}

// The kinds of links that the map draws, as /status has them.
const (
	kindGateway = "gateway"
	kindLeafOut = "leaf-out"
	kindLeafIn  = "leaf-in"
)

type peer struct {
	Stamp string    `json:"stamp"`
	Via   string    `json:"via"`
	Last  time.Time `json:"last"`
	RTT   string    `json:"rtt"`
	Delay string    `json:"delay"`
	Lost  int       `json:"lost"`
	Of    int       `json:"of"`
	Err   string    `json:"err"`
	Stale bool      `json:"stale"`
}

type target struct {
	Stamp   string    `json:"stamp"`
	Away    bool      `json:"away"`
	Held    int64     `json:"held"`
	Since   time.Time `json:"since"`
	LastAck time.Time `json:"lastAck"`
	Err     string    `json:"err"`
}

type waiting struct {
	Subject string    `json:"subject"`
	Count   int       `json:"count"`
	Bytes   int64     `json:"bytes"`
	Oldest  time.Time `json:"oldest"`
	Reason  string    `json:"reason"`
}

type planeCount struct {
	Fresh  int       `json:"fresh"`
	Stale  int       `json:"stale"`
	Gone   int       `json:"gone"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

type polled struct {
	Control string    `json:"control"`
	Polled  time.Time `json:"polled"`
	Known   int       `json:"known"`
	Waiting int       `json:"waiting"`
	Err     string    `json:"err"`
	PostErr string    `json:"postErr"`
}

type replica struct {
	Name    string `json:"name"`
	Active  bool   `json:"active"`
	Holder  string `json:"holder"`
	Want    int    `json:"want"`
	Reached int    `json:"reached"`
	Quorum  bool   `json:"quorum"`
	Err     string `json:"err"`
}

// A waitingEvent is what the console reads of /events/waiting.
type waitingEvent struct {
	ID       string    `json:"id"`
	Subject  string    `json:"subject"`
	Context  string    `json:"shkeptncontext"`
	From     string    `json:"from"`
	Captured time.Time `json:"captured"`
	Reason   string    `json:"reason"`
}

// A planesOf is what the console reads of /planes.
type planesOf struct {
	Stamp  string  `json:"stamp"`
	Planes []plane `json:"planes"`
}

type plane struct {
	Name          string    `json:"name"`
	Namespace     string    `json:"namespace"`
	How           string    `json:"how"`
	State         string    `json:"state"`
	Reason        string    `json:"reason"`
	Seen          time.Time `json:"seen"`
	Subscriptions []struct {
		Event string `json:"event"`
	} `json:"subscriptions"`
}

// A story is what the console reads of /events/why.
type story struct {
	Events []struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Context string `json:"shkeptncontext"`
		Project string `json:"project"`
		Stage   string `json:"stage"`
		Service string `json:"service"`
	} `json:"events"`
	Entries []step `json:"entries"`
	Now     []step `json:"now"` // how things are at this moment
	Silent  []struct {
		Stamp   string `json:"stamp"`
		Refused bool   `json:"refused"`
		Err     string `json:"err"`
	} `json:"silent"`
	Cut bool `json:"cut"` // a stamp knew more than it told
}

type step struct {
	Time  time.Time `json:"time"`
	Stamp string    `json:"stamp"`
	Step  string    `json:"step"`
	ID    string    `json:"id"`
	Type  string    `json:"type"`
	Where string    `json:"where"`
	What  string    `json:"what"`
}

// Level says how a step is shown: what waits and what failed is seen at once.
func (s step) Level() string {
	switch s.Step {
	case "waiting", "held", "barrier":
		return "waits"
	case "task": // how far it has come
		return "task"
	case "refused", "dead", "deadline":
		return "refused"
	}
	return "done"
}

// read turns a document of the admin port into what the console knows of it.
func read[T any](document any) (T, error) {
	var out T
	b, err := json.Marshal(document)
	if err != nil {
		return out, fmt.Errorf("write document: %w", err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fmt.Errorf("read document: %w", err)
	}
	return out, nil
}

// Letters is how many dead letters there are; 0 if they could not be counted.
func (s *status) Letters() uint64 {
	if s.DeadLetters == nil {
		return 0
	}
	return *s.DeadLetters
}
