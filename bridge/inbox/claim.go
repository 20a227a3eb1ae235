package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// askAgain is how long an answer of an origin is waited for before it is asked
// again.
const askAgain = 500 * time.Millisecond

// A claim is a task that may have been given to another stamp meanwhile. It is
// given to this stamp's planes only with leave of its origin.
type claim struct {
	seq       uint64
	from      topology.StampID
	triggered string
	attempt   int
	subject   string
	w         *waiter   // engages its context while leave is asked for; nil while it waits in its queue
	until     time.Time // when to let go of it
	asked     time.Time
}

// claims are the tasks for which leave was asked. They are owned by run.
type claims struct {
	fed     *nats.Conn
	me      topology.StampID
	waiting map[uint64]*claim
	without map[uint64]*claim // tasks that wait for a plane, for a bounded time
	answers chan claimAnswer
}

type claimAnswer struct {
	seq uint64
	yes bool
}

func newClaims(fed *nats.Conn, me topology.StampID) *claims {
	return &claims{fed: fed, me: me, waiting: map[uint64]*claim{}, without: map[uint64]*claim{}, answers: make(chan claimAnswer, 1024)}
}

// listen takes answers until the subscription ends.
func (c *claims) listen(ctx context.Context) (*nats.Subscription, error) {
	sub, err := c.fed.Subscribe(bridge.CtlSubject(c.me, "*", bridge.CtlReplies+"*"), func(m *nats.Msg) {
		seq, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 10, 64)
		var a bridge.TaskAnswer
		if err != nil || json.Unmarshal(m.Data, &a) != nil {
			return
		}
		select {
		case c.answers <- claimAnswer{seq: seq, yes: a.Yes}:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe answers of origins: %w", err)
	}
	return sub, nil
}

// ask puts a question to the origin of a claim. It may be lost.
func (c *claims) ask(what string, cl *claim) error {
	b, err := json.Marshal(bridge.TaskAsk{Triggered: cl.triggered, Attempt: cl.attempt})
	if err != nil {
		return fmt.Errorf("ask stamp %s: %w", cl.from, err)
	}
	m := &nats.Msg{
		Subject: bridge.CtlSubject(cl.from, c.me, what),
		Reply:   bridge.CtlSubject(c.me, cl.from, bridge.CtlReplies+strconv.FormatUint(cl.seq, 10)),
		Data:    b,
	}
	if err := c.fed.PublishMsg(m); err != nil {
		return fmt.Errorf("ask stamp %s: %w", cl.from, err)
	}
	return nil
}

// claim asks for leave to deliver a, or says that there is no plane for it.
func (in *Inbox) claim(a arrival, now time.Time) error {
	cl := &claim{seq: a.seq, from: a.from, triggered: strings.Clone(a.id), attempt: a.attempt, subject: a.subject, until: now.Add(a.within), asked: now}
	if !in.heeded(a.subject) || in.isHeld(a.subject) {
		// Another stamp may do it, which an operator's hold does not stop.
		// Said until the origin has heard: it may have given leave before a
		// restart of this stamp, and then waits for its word.
		cl.w = waiterOf(a)
		in.claims.without[a.seq] = cl
		in.stale = true
		return in.claims.ask(bridge.AskDecline, cl)
	}
	delete(in.givens.letGo, a.id) // it is offered once more
	cl.w = waiterOf(a)
	in.engage(cl.w)
	in.claims.waiting[a.seq] = cl
	in.stale = true
	in.noteWaiting(cl.w.about(), cl.from, whyLeave, a.within)
	return in.claims.ask(bridge.AskClaim, cl)
}

// unclaim ends the wait for leave.
func (in *Inbox) unclaim(cl *claim) {
	delete(in.claims.waiting, cl.seq)
	in.release(cl.w)
	in.stale = true
}

// askClaims repeats questions that were not answered, less often when the time
// of the task is over: its origin may have given leave and waits for this stamp,
// or have asked another. It lets go when the origin has done so, too.
func (in *Inbox) askClaims(ctx context.Context, now time.Time) error {
	for seq, cl := range in.claims.waiting {
		wait := askAgain
		if now.After(cl.until) {
			wait *= 4
		}
		switch {
		case now.Sub(cl.until) > in.cfg.MaxWait:
			in.unclaim(cl)
			in.fresh = append(in.fresh, seq)
		case now.Sub(cl.asked) >= wait:
			cl.asked = now
			if err := in.claims.ask(bridge.AskClaim, cl); err != nil {
				return err
			}
		}
	}
	return in.declineTasks(ctx, now)
}

// bound limits how long a task may wait for a plane, if its origin said so.
func (in *Inbox) bound(a arrival, now time.Time) {
	if a.within > 0 && a.id != "" {
		in.claims.without[a.seq] = &claim{seq: a.seq, from: a.from, triggered: strings.Clone(a.id), attempt: a.attempt, subject: a.subject, until: now.Add(a.within)}
	}
}

// declineTasks tells origins of the tasks that found no plane in their time.
// From then on the task is not delivered any more, even if a plane comes up:
// the origin may have let the answers of other stamps go ahead. An origin that
// does not hear of it for long is told no more.
func (in *Inbox) declineTasks(ctx context.Context, now time.Time) error {
	for seq, cl := range in.claims.without {
		declining := !cl.asked.IsZero()
		switch {
		case !declining && !in.waiting.holds(seq):
			delete(in.claims.without, seq) // it found one
			continue
		case !declining && (now.Before(cl.until) || in.heeded(cl.subject) || in.isHeld(cl.subject)), now.Sub(cl.asked) < askAgain:
			continue
		case now.Sub(cl.until) > in.cfg.MaxWait && declining:
			if err := in.declined(ctx, cl); err != nil {
				return err
			}
			continue
		case !declining:
			cl.w = in.waiting.bySeq[seq]
			in.waiting.remove(cl.w)
			in.release(cl.w)
			in.stale = true
		}
		cl.asked = now
		if err := in.claims.ask(bridge.AskDecline, cl); err != nil {
			return err
		}
	}
	return nil
}

// declined sets a task aside for which this stamp has no plane, now that its
// origin knows.
func (in *Inbox) declined(ctx context.Context, cl *claim) error {
	a, err := in.reread(ctx, cl.seq)
	if err == nil && a.claim {
		in.fresh = append(in.fresh, cl.seq) // another stamp may take it
	} else if err == nil {
		detail := []string{fmt.Sprintf("nobody subscribed to %s for %s", cl.subject, a.within)}
		if e, err := bridge.Parse(a.subject, a.body); err == nil && in.cfg.Router().Nobody(in.cfg.Me, e) {
			detail = append(detail, "no plane that is known in stamp "+string(in.cfg.Me)+" will take this")
		}
		err = in.bury(ctx, a, bridge.ReasonNoPlane, detail)
	}
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		in.vanished(cl.seq)
	case err != nil:
		return err
	}
	in.note1(bridge.StepDeclined, cl.about(), cl.from, "no plane took it in time")
	delete(in.claims.without, cl.seq)
	in.stale = true
	return in.commit(ctx)
}

// granted delivers a task that its origin leaves to this stamp, or lets go of
// it.
func (in *Inbox) granted(ctx context.Context, answer claimAnswer) error {
	if cl := in.claims.without[answer.seq]; cl != nil && answer.yes {
		return in.declined(ctx, cl)
	}
	cl := in.claims.waiting[answer.seq]
	if cl == nil {
		return nil
	}
	in.unclaim(cl)
	if !answer.yes {
		in.fresh = append(in.fresh, answer.seq)
		in.note1(bridge.StepDropped, cl.about(), cl.from, string(cl.from)+" has given the task to another stamp")
		return in.commit(ctx)
	}
	in.note1(bridge.StepClaimed, cl.about(), cl.from, "")
	a, err := in.reread(ctx, answer.seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		in.vanished(answer.seq)
	case err != nil:
		return err
	case !in.heeded(a.subject) || in.isHeld(a.subject):
		// The plane has gone meanwhile. Were the task to wait here, nobody
		// could tell when it is done. The origin waits for this stamp until it
		// hears of that.
		cl.asked = time.Now()
		in.claims.without[cl.seq] = cl
		err = in.claims.ask(bridge.AskDecline, cl)
	default:
		a.claim, a.id, a.context = false, cl.triggered, cl.w.context
		if !in.suspect(a) {
			err = in.offerNow(ctx, a)
		}
	}
	return errors.Join(err, in.commit(ctx))
}
