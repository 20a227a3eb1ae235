package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// errNotCaughtUp reports that the task asked about may be one that is not read
// yet.
var errNotCaughtUp = errors.New("tasks given before the start are not all known yet")

// asked answers what a stamp asks about a task that it was given. What is
// answered is stored first, so a lost answer, or a question that comes again
// after a restart, does no harm.
func (ts *Tasks) asked(ctx context.Context, m *nats.Msg) {
	_, from, what, ok := bridge.Address(m.Subject)
	if !ok || m.Reply != "" && !strings.HasPrefix(m.Reply, bridge.CtlSubject(from, ts.cfg.Me, bridge.CtlReplies)) {
		return
	}
	var q bridge.TaskAsk
	if err := json.Unmarshal(m.Data, &q); err != nil {
		ts.cfg.Log.Warn("question unreadable", "peer", from, "err", err)
		return
	}
	if what == bridge.AskRelease {
		ts.letGo(ctx, from, q)
		return
	}
	yes, err := ts.answer(ctx, from, what, q)
	if err != nil {
		if ctx.Err() == nil {
			ts.cfg.Log.Warn("question not answered, the stamp will ask again", "peer", from, "err", err)
		}
		return
	}
	if m.Reply == "" {
		return
	}
	b, err := json.Marshal(bridge.TaskAnswer{Yes: yes})
	if err == nil {
		err = ts.cfg.Fed.Publish(m.Reply, b)
	}
	if err != nil {
		ts.cfg.Log.Warn("question not answered, the stamp will ask again", "peer", from, "err", err)
	}
}

func (ts *Tasks) answer(ctx context.Context, from topology.StampID, what string, q bridge.TaskAsk) (yes bool, err error) {
	t, err := ts.find(ctx, q.Triggered)
	if err != nil {
		return false, err
	}
	ts.mu.Lock()
	changed := false
	switch {
	case t == nil && !ts.caughtUp:
		ts.mu.Unlock()
		return false, errNotCaughtUp
	case t == nil:
		yes = what == bridge.AskDecline // nothing to take note of
	case what == bridge.AskClaim:
		yes, changed = t.Claim(from, q.Attempt, time.Now())
	case what == bridge.AskDecline:
		yes = true
		if t.Turn != nil {
			changed = t.Pass(from, q.Attempt)
		} else {
			changed = t.Decline(from)
		}
		ts.metrics.declined.WithLabelValues(string(from)).Inc()
	}
	ts.mu.Unlock()
	if !changed {
		return yes, nil
	}
	if err := ts.save(ctx, []*Task{t}); err != nil {
		return false, err
	}
	return yes, nil
}

// askRelease asks a stamp to let go of a task. It is asked again as long as it
// does not answer: its planes may be at work behind a cut link.
func (ts *Tasks) askRelease(id string, stamp topology.StampID, attempt int, now time.Time) error {
	ts.mu.Lock()
	ts.watch(id, now.Add(time.Second))
	ts.mu.Unlock()
	return ts.say(stamp, bridge.AskRelease, bridge.TaskAsk{Triggered: id, Attempt: attempt})
}

// letGo lets go of a task of another stamp's control plane, if no plane of this
// stamp has answered it.
func (ts *Tasks) letGo(ctx context.Context, from topology.StampID, q bridge.TaskAsk) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if !ts.cfg.LetGo(ctx, q.Triggered) {
		return
	}
	if err := ts.say(from, bridge.AskDecline, q); err != nil {
		ts.cfg.Log.Debug("stamp not answered, it will ask again", "peer", from, "err", err)
	}
}

// say puts a question that is answered by another question, if at all.
func (ts *Tasks) say(to topology.StampID, what string, q bridge.TaskAsk) error {
	b, err := json.Marshal(q)
	if err == nil {
		err = ts.cfg.Fed.Publish(bridge.CtlSubject(to, ts.cfg.Me, what), b)
	}
	if err != nil {
		return fmt.Errorf("ask stamp %s: %w", to, err)
	}
	return nil
}
