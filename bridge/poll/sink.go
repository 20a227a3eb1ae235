package poll

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
)

// Wants reports whether a plane polls for a subject. The answers for a control
// plane of this stamp are the control plane's; one who polls for them gets a copy,
// but is nobody to whom they could be delivered.
func (s *Server) Wants(subject string) bool {
	if !isKeptns(subject) {
		return false
	}
	if s.cfg.View().Me.Control && bridge.Classify(subject).FromExecution() {
		return false
	}
	return s.Overhears(subject)
}

// Overhears reports whether a subject says something of events that are open.
func (s *Server) Overhears(subject string) bool {
	return isKeptns(subject) && (s.polled(subject) || s.ends(subject))
}

func (s *Server) polled(subject string) bool { return s.what.of(s.cfg.Planes, subject, time.Now()) }

func isKeptns(subject string) bool { return strings.HasPrefix(subject, "sh.keptn.") }

// ends reports whether a subject may say that something open has begun or is
// over. What is open is not known before the store was read.
func (s *Server) ends(subject string) bool {
	switch bridge.Classify(subject) {
	case bridge.KindTaskAnswer:
		return (strings.HasSuffix(subject, started) || strings.HasSuffix(subject, finished)) && s.maybe(triggeredType(subject))
	case bridge.KindSeqProgress:
		return strings.HasSuffix(subject, finished) && (s.index.n() > 0 || !s.index.isLoaded())
	}
	return false
}

func (s *Server) maybe(typ string) bool { return s.index.has(typ) || !s.index.isLoaded() }

// Put stores events that a plane may see, and takes note of those that say
// something of others that are open.
func (s *Server) Put(ctx context.Context, events []bridge.Passing) error {
	var batch []*nats.Msg
	opens := false // something in the batch
	flush := func() error {
		last, err := s.store(ctx, batch)
		if err == nil && last > 0 {
			s.settle(ctx, last)
		}
		batch, opens = batch[:0], false
		return err
	}
	for _, p := range events {
		e, err := bridge.Parse(p.Subject, p.Body)
		if err != nil {
			continue // nobody could read it
		}
		if answers(e) {
			if opens { // what it answers, maybe, and has to be known
				if err := flush(); err != nil {
					return err
				}
			}
			if !s.index.isLoaded() && !p.Local {
				continue // nobody waits for this stamp to know
			}
			if err := s.index.await(ctx, 0); err != nil {
				return fmt.Errorf("read %s: %w", StreamOpen, err)
			}
			batch = append(batch, s.notes(e)...)
		}
		if m := s.opening(p, e); m != nil {
			batch, opens = append(batch, m), true
		}
	}
	return flush()
}

func answers(e *bridge.Event) bool {
	return e.Kind == bridge.KindTaskAnswer || e.Kind == bridge.KindSeqProgress
}

// opening returns what is stored of an event that a plane may see, or nil. A task
// of this stamp's own control plane that another stamp gets is none of them.
func (s *Server) opening(p bridge.Passing, e *bridge.Event) *nats.Msg {
	if !s.polled(p.Subject) {
		return nil
	}
	router := s.cfg.Router()
	if p.Local && e.Kind == bridge.KindTaskTriggered && router.Owns(e.Project) {
		if d := router.Route(e); !d.Local && d.Refused != bridge.ReasonNoRule {
			return nil
		}
	}
	key := e.Key()
	if _, over := s.index.get(key); over {
		return nil
	}
	m := nats.NewMsg(openEvent + key)
	m.Data = p.Body
	m.Header.Set(bridge.HeaderSubject, p.Subject)
	return m
}

// notes returns what an answer says of events that are open.
func (s *Server) notes(e *bridge.Event) []*nats.Msg {
	if e.Kind == bridge.KindSeqProgress {
		return s.sequenceNotes(e)
	}
	typ := triggeredType(e.Type)
	key := bridge.KeyOf(e.TriggeredID, typ, typ)
	if open, _ := s.index.get(key); open == nil {
		return nil
	}
	switch {
	case strings.HasSuffix(e.Type, started):
		return []*nats.Msg{nats.NewMsg(openNote + key + "." + noteStarted + "." + e.Key())}
	case strings.HasSuffix(e.Type, finished):
		return []*nats.Msg{nats.NewMsg(openNote + key + "." + noteFinished + "." + e.Key())}
	}
	return nil
}

// sequenceNotes closes what belongs to a sequence that is over: its tasks, and the
// event that started it.
func (s *Server) sequenceNotes(e *bridge.Event) []*nats.Msg {
	if !strings.HasSuffix(e.Type, finished) {
		return nil
	}
	var out []*nats.Msg
	for _, o := range s.index.find(func(o *entry) bool {
		return o.id == e.TriggeredID && o.kind == bridge.KindSeqTriggered ||
			o.kind == bridge.KindTaskTriggered && o.context == e.Context && o.project == e.Project && o.stage == e.Stage
	}) {
		out = append(out, nats.NewMsg(openEnd+o.key))
	}
	return out
}

// Release takes a task back that no plane has started: the stamp lets go of it.
func (s *Server) Release(ctx context.Context, triggered string) error {
	if err := s.index.await(ctx, 0); err != nil {
		return fmt.Errorf("read %s: %w", StreamOpen, err)
	}
	for _, e := range s.index.withID(triggered) {
		if e.kind != bridge.KindTaskTriggered {
			continue
		}
		released := nats.NewMsg(openNote + e.key + "." + noteReleased + "." + strconv.FormatUint(e.seq, 10))
		last, err := s.store(ctx, []*nats.Msg{released})
		if err == nil {
			err = s.index.await(ctx, last)
		}
		// Now, for the task may come again.
		if err == nil {
			err = s.open.Load().remove(ctx, e.seq)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// answered takes note that a plane has answered, so that it is not offered the
// event again. It returns once the next poll knows.
func (s *Server) answered(ctx context.Context, plane string, e *bridge.Event) error {
	typ := triggeredType(e.Type)
	if typ == "" || !strings.HasSuffix(e.Type, started) && !strings.HasSuffix(e.Type, finished) {
		return nil
	}
	key := bridge.KeyOf(e.TriggeredID, typ, typ)
	if open, _ := s.index.get(key); open == nil {
		return nil
	}
	last, err := s.store(ctx, []*nats.Msg{nats.NewMsg(openNote + key + "." + noteBy + "." + token(plane) + "." + token(e.Source))})
	if err != nil || last == 0 {
		return err
	}
	s.settle(ctx, last)
	return nil
}

// settle returns when what was stored up to a sequence is read, so that the next
// poll knows of it; or after a while, for it is stored, and this replica reads it
// when it can.
func (s *Server) settle(ctx context.Context, last uint64) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	_ = s.index.await(ctx, last) // as said
}

// readTime is how long it may take until what was stored is read.
const readTime = 2 * time.Second
