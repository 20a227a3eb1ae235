package keptn

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// subscribe subscribes to what a ping said, in the queue group of the name, if
// that is something else than before: first nothing, then everything.
func (s *SDK) subscribe(ctx context.Context, subscriptions []Subscription) {
	var subjects []string
	for _, one := range subscriptions {
		if !slices.Contains(subjects, one.Event) {
			subjects = append(subjects, one.Event)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := len(subjects) == len(s.subs)
	for _, subject := range subjects {
		same = same && s.subs[subject] != nil
	}
	if same {
		return
	}
	for subject, sub := range s.subs {
		_ = sub.Unsubscribe() // it is gone anyway
		delete(s.subs, subject)
	}
	_ = s.nc.Flush() // as above
	if s.Gap != nil {
		s.Gap()
	}
	for _, subject := range subjects {
		sub, err := s.nc.QueueSubscribe(subject, s.Name, func(m *nats.Msg) { s.take(ctx, m) })
		if err != nil {
			continue // the next ping tries again
		}
		s.subs[subject] = sub
	}
	_ = s.nc.Flush() // as above
}

// take handles one message, for each subscription that it is about. An event
// without type is the end; one without a reader of its filters is gone.
func (s *SDK) take(ctx context.Context, m *nats.Msg) {
	e, err := ParseEvent(m.Data)
	if err != nil || ctx.Err() != nil {
		return // logged
	}
	if e.Type == nil {
		s.dies(2, "panic: nil pointer for an event without type", nil)
		return
	}
	data, err := e.Of()
	if err != nil {
		return
	}
	for _, one := range s.current() {
		if one.Event == m.Sub.Subject && one.Filter.matches(data) {
			s.deliver(ctx, e, one)
		}
	}
}

func (s *SDK) deliver(ctx context.Context, e Event, by Subscription) {
	e.Data = withSubscription(e.Data, by.ID)
	s.handle(ctx, e)
}

// poll asks for open events once a second. Ten failures are the end, however
// far apart. What was seen stays known.
func (s *SDK) poll(ctx context.Context) {
	known := map[string]bool{}
	failures := 0
	tick := time.NewTicker(s.of(time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, one := range s.current() {
			var events []Event
			err := s.tries(ctx, 3, func() (err error) {
				events, err = s.api.open(ctx, one)
				return err
			})
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				if failures++; failures == 10 {
					s.dies(1, "ten polls failed", err)
					return
				}
				continue
			}
			for _, e := range events {
				if key := one.ID + " " + e.ID; !known[key] {
					known[key] = true
					s.polled(ctx, e, one)
				}
			}
		}
	}
}

// polled handles an event that was polled for a subscription. Newer releases
// take it as it came; older ones look at the filters of all subscriptions of
// its type, and may handle it for several.
func (s *SDK) polled(ctx context.Context, e Event, by Subscription) {
	if s.Release != Release019 {
		s.deliver(ctx, e, by)
		return
	}
	data, err := e.Of()
	if err != nil {
		return
	}
	for _, one := range s.current() {
		if one.Event == e.TypeName() && one.Filter.matches(data) {
			s.deliver(ctx, e, one)
		}
	}
}
