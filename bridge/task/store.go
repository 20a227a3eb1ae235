package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
)

// Stream is the name of the stream of tasks, in account RELAY of the local
// server. Losing it refuses the answers to tasks that are under way; rolling it
// back may let a stamp answer twice.
const Stream = "RW_TASK"

// Subjects of the stream, each followed by the key of a task's id.
const (
	openSubject = "task.open." // a task under way
	// Followed by a name of its own: tasks with one target, of which nothing
	// has been heard.
	askedSubject = "task.asked."
	doneSubject  = "task.done." // a task that is over
	bodySubject  = "task.body." // its event, while a stamp is being looked for
)

// How long a task is known.
const (
	openAge = 30 * 24 * time.Hour // after its last answer
	doneAge = 24 * time.Hour      // after it is over; a repeated answer comes within that
)

// A write is tried again after attemptTimeout, and given up after storeTimeout.
const (
	attemptTimeout = 500 * time.Millisecond
	storeTimeout   = 10 * time.Second
)

type store struct {
	js     jetstream.JetStream
	stream jetstream.Stream
}

func openStore(ctx context.Context, relay *nats.Conn, replicas int) (*store, error) {
	js, err := jetstream.New(relay, jetstream.WithPublishAsyncTimeout(attemptTimeout), jetstream.WithDefaultTimeout(2*attemptTimeout))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	s, err := jstream.Ensure(ctx, js, jetstream.StreamConfig{
		Name: Stream, Subjects: []string{"task.>"}, Replicas: max(replicas, 1),
		Description: "tasks that control planes of this stamp gave to others",
		Storage:     jetstream.FileStorage, Discard: jetstream.DiscardOld,
		MaxMsgsPerSubject: 1, MaxAge: openAge, AllowMsgTTL: true,
		// A replica that lags behind would not know a task, and its answers would
		// be refused: only the leader is asked.
		AllowDirect: replicas <= 1,
	})
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", Stream, err)
	}
	return &store{js: js, stream: s}, nil
}

func keyOf(id string) string { return bridge.KeyOf(id, "task", "") }

// write starts to store t and returns where the result comes.
func (s *store) write(t *Task) (jetstream.PubAckFuture, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("store task %s: %w", t.ID, err)
	}
	var f jetstream.PubAckFuture
	if t.Over() {
		f, err = s.js.PublishAsync(doneSubject+keyOf(t.ID), b, jetstream.WithMsgTTL(doneAge))
	} else {
		f, err = s.js.PublishAsync(openSubject+keyOf(t.ID), b)
	}
	if err != nil {
		return nil, fmt.Errorf("store task %s: %w", t.ID, err)
	}
	return f, nil
}

// writeBody stores the event of a task for which a stamp is looked for.
func (s *store) writeBody(ctx context.Context, g *bridge.Given) error {
	if _, err := s.js.Publish(ctx, bodySubject+keyOf(g.Event.ID), g.Body); err != nil {
		return fmt.Errorf("store event of task %s: %w", g.Event.ID, err)
	}
	return nil
}

func (s *store) body(ctx context.Context, id string) ([]byte, error) {
	m, err := s.last(ctx, bodySubject+keyOf(id))
	if err != nil {
		return nil, fmt.Errorf("read event of task %s: %w", id, err)
	}
	return m.Data, nil
}

// read returns a task that is open or was over not long ago; nil if there is
// none.
func (s *store) read(ctx context.Context, id string) (*Task, error) {
	for _, subject := range []string{openSubject, doneSubject} {
		m, err := s.last(ctx, subject+keyOf(id))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue
		case err != nil:
			return nil, fmt.Errorf("read task %s: %w", id, err)
		}
		t, err := decode(m.Data)
		if err != nil {
			return nil, err
		}
		t.own, t.noted = subject == openSubject, true
		return t, nil
	}
	return nil, nil
}

func (s *store) last(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	return jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.stream.GetLastMsgForSubject(ctx, subject)
	})
}

func (s *store) purge(ctx context.Context, subject string) error {
	return jstream.Tell(ctx, func(ctx context.Context) error {
		return s.stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	})
}

// forget removes what is kept of a task under way, besides a note in a batch.
func (s *store) forget(ctx context.Context, t *Task) error {
	var subjects []string
	if t.own {
		subjects = append(subjects, openSubject)
	}
	if t.Turn != nil {
		subjects = append(subjects, bodySubject)
	}
	for _, subject := range subjects {
		if err := s.purge(ctx, subject+keyOf(t.ID)); err != nil {
			return fmt.Errorf("remove task %s: %w", t.ID, err)
		}
	}
	return nil
}

// writeBatch stores tasks as one message, in the place of an earlier one of the
// same id.
func (s *store) writeBatch(ctx context.Context, id string, tasks []byte) error {
	if _, err := s.js.Publish(ctx, askedSubject+id, tasks); err != nil {
		return fmt.Errorf("store tasks: %w", err)
	}
	return nil
}

func (s *store) dropBatch(ctx context.Context, id string) error {
	if err := s.purge(ctx, askedSubject+id); err != nil {
		return fmt.Errorf("remove tasks: %w", err)
	}
	return nil
}

// open returns every task under way that has a message of its own, and every one
// that is in a batch.
func (s *store) open(ctx context.Context) (tasks, noted []*Task, err error) {
	err = jstream.Each(ctx, s.stream, 1, []string{openSubject + ">", askedSubject + ">"}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) bool {
		// What cannot be read was written by a later version: its answers
		// are refused.
		if id, ok := strings.CutPrefix(m.Subject(), askedSubject); ok {
			noted = append(noted, s.readBatch(id, m.Data())...)
		} else if t, err := decode(m.Data()); err == nil {
			t.own, t.noted = true, true
			tasks = append(tasks, t)
		}
		return true
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	return tasks, noted, nil
}

// readBatch returns the tasks of a batch.
func (s *store) readBatch(id string, body []byte) (tasks []*Task) {
	var texts []json.RawMessage
	if json.Unmarshal(body, &texts) != nil {
		return nil
	}
	b := newBatch(id, len(body), s)
	for _, text := range texts {
		t, err := decode(text)
		if err != nil {
			return nil
		}
		t.noted = true
		b.note(t, text)
		tasks = append(tasks, t)
	}
	b.end()
	b.stored = true
	return tasks
}

func decode(b []byte) (*Task, error) {
	t := &Task{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("read task: %w", err)
	}
	return t, nil
}
