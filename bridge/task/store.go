package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	doneSubject = "task.done." // a task that is over
	bodySubject = "task.body." // its event, while a stamp is being looked for
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
		MaxMsgsPerSubject: 1, MaxAge: openAge, AllowMsgTTL: true, AllowDirect: true,
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
	m, err := s.stream.GetLastMsgForSubject(ctx, bodySubject+keyOf(id))
	if err != nil {
		return nil, fmt.Errorf("read event of task %s: %w", id, err)
	}
	return m.Data, nil
}

// read returns a task that is open or was over not long ago; nil if there is
// none.
func (s *store) read(ctx context.Context, id string) (*Task, error) {
	for _, subject := range []string{openSubject, doneSubject} {
		m, err := s.stream.GetLastMsgForSubject(ctx, subject+keyOf(id))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue
		case err != nil:
			return nil, fmt.Errorf("read task %s: %w", id, err)
		}
		return decode(m.Data)
	}
	return nil, nil
}

// forget removes what is kept of a task under way.
func (s *store) forget(ctx context.Context, id string) error {
	for _, subject := range []string{openSubject, bodySubject} {
		if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(subject+keyOf(id))); err != nil {
			return fmt.Errorf("remove task %s: %w", id, err)
		}
	}
	return nil
}

// open returns every task under way.
func (s *store) open(ctx context.Context) ([]*Task, error) {
	info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(openSubject+">"))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	if len(info.State.Subjects) == 0 {
		return nil, nil
	}
	cons, err := s.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{openSubject + ">"}})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	out := make([]*Task, 0, len(info.State.Subjects))
	for {
		batch, err := cons.FetchNoWait(1000)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", Stream, err)
		}
		n := 0
		for m := range batch.Messages() {
			n++
			t, err := decode(m.Data())
			if err != nil {
				continue // written by a later version: its answers are refused
			}
			out = append(out, t)
		}
		if err := batch.Error(); err != nil {
			return nil, fmt.Errorf("read %s: %w", Stream, err)
		}
		if n == 0 {
			return out, nil
		}
	}
}

func decode(b []byte) (*Task, error) {
	t := &Task{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("read task: %w", err)
	}
	return t, nil
}
