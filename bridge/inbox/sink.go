package inbox

import (
	"context"
	"fmt"

	"github.com/ringway/ringway/bridge"
)

// wanted reports whether a sink takes the events of a subject.
func (in *Inbox) wanted(subject string) bool {
	for _, s := range in.cfg.Sinks {
		if s.Wants(subject) {
			return true
		}
	}
	return false
}

// drawn reports whether a sink is to be given the events of a subject, should they
// be delivered.
func (in *Inbox) drawn(subject string) bool {
	for _, s := range in.cfg.Sinks {
		if bridge.Draws(s, subject) {
			return true
		}
	}
	return false
}

// heeded reports whether anybody takes the events of a subject: a client that
// subscribes, or a sink.
func (in *Inbox) heeded(subject string) bool { return in.cfg.Interest(subject) || in.wanted(subject) }

// feed returns once the sinks have stored what they want of what is staged.
func (in *Inbox) feed(ctx context.Context) error {
	for _, s := range in.cfg.Sinks {
		var events []bridge.Passing
		for _, a := range in.staged {
			if bridge.Draws(s, a.subject) {
				events = append(events, bridge.Passing{Subject: a.subject, Body: a.body})
			}
		}
		if len(events) == 0 {
			continue
		}
		if err := s.Put(ctx, events); err != nil {
			return fmt.Errorf("give events to those who poll: %w", err)
		}
	}
	return nil
}

// withdraw takes a task back from the sinks that can give it back.
func (in *Inbox) withdraw(ctx context.Context, triggered string) error {
	for _, s := range in.cfg.Sinks {
		r, ok := s.(bridge.Releaser)
		if !ok {
			continue
		}
		if err := r.Release(ctx, triggered); err != nil {
			return fmt.Errorf("take a task back: %w", err)
		}
	}
	return nil
}
