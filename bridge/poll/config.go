package poll

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/topology"
)

// Planes knows which planes poll, and for what. Its methods are called for every
// poll and every event, from several goroutines, and must be quick.
type Planes interface {
	// Integrations returns those that registered under a caller's identity. The
	// slices are not changed by either side.
	Integrations(plane string) []Integration
	// Polled reports whether any plane that polls subscribes to a pattern that
	// matches a subject.
	Polled(subject string) bool
	// Seen says that a caller polled for a type, or a pattern, that none of its
	// integrations subscribes to.
	Seen(plane, eventType string)
}

// An Integration is a Keptn integration as it is registered.
type Integration struct {
	ID, Name      string
	Subscriptions []Subscription
}

// A Subscription is one of an Integration. An empty list of a filter matches
// everything; a list with elements does not match an event that lacks the field.
type Subscription struct {
	ID    string
	Event string // a type, or a pattern as NATS has them

	Projects, Stages, Services []string
}

// Config is what a Server needs. Fields without a default are required.
type Config struct {
	Me      topology.StampID
	Relay   *nats.Conn // account RELAY of the local server, with JetStream
	Deliver *nats.Conn // account DELIVER of the local server
	// MaxPayload returns how long a message, with its headers, the NATS of the
	// stamp's clients takes, in bytes; 0 is as long as the local server. nil is
	// always 0.
	MaxPayload func() int64
	Router     func() *bridge.Router // the current one
	View       func() *topology.View // the current one
	Planes     Planes                // nil: who polls, and for what, is learned from the polls alone
	Control    call.Upstream         // the way to Keptn's API; nil is none
	Active     func() bool           // whether this replica moves events; nil is always
	TTL        time.Duration         // how long a task that nobody finishes is open; 0 is 24 h
	NewsTTL    time.Duration         // how long an event that gives no task is open; 0 is 15 min
	Window     time.Duration         // how long a post that says which event it is is remembered; 0 is 24 h
	Retry      time.Duration         // how long any other is; 0 is 2 min
	// Patience is how long a post waits for a store that does not take it, such as one
	// whose leader is gone: go-sdk drops an answer after three tries. 0 is 10 s.
	Patience time.Duration
	Replicas int // of the streams; 0 is 1
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil makes metrics that nobody sees
}

func (c Config) check() error {
	switch {
	case c.Me == "":
		return errors.New("poll: no stamp")
	case c.Relay == nil || c.Deliver == nil:
		return errors.New("poll: no connection")
	case c.Router == nil || c.View == nil || c.Log == nil:
		return errors.New("poll: no router, view or log")
	}
	return nil
}

func (c *Config) setDefaults() {
	c.TTL = cmp.Or(c.TTL, 24*time.Hour)
	c.NewsTTL = cmp.Or(c.NewsTTL, 15*time.Minute)
	c.Window = cmp.Or(c.Window, 24*time.Hour)
	c.Retry = cmp.Or(c.Retry, 2*time.Minute)
	c.Patience = cmp.Or(c.Patience, 10*time.Second)
	c.Replicas = max(c.Replicas, 1)
	if c.Active == nil {
		c.Active = func() bool { return true }
	}
	if c.Planes == nil {
		c.Planes = NewCallers()
	}
}

// covers reports whether a subscription to event takes everything of a type or
// pattern.
func covers(event, typ string) bool {
	return event == typ || topology.Pattern(event).Covers(topology.Pattern(typ))
}

// matches reports whether a subscription takes an event. The filters are those of
// Keptn's clients (contract §2.6).
func (s *Subscription) matches(e *entry) bool {
	return topology.Pattern(s.Event).Match(topology.Subject(e.typ)) &&
		has(s.Projects, e.project) && has(s.Stages, e.stage) && has(s.Services, e.service)
}

// has reports whether a list holds s. Keptn joins lists with commas and splits
// them again.
func has(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
		if strings.Contains(l, ",") && slices.Contains(strings.Split(l, ","), s) {
			return true
		}
	}
	return len(list) == 0
}
