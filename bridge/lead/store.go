package lead

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/internal/jstream"
)

// The stream of this package and the subject of its records.
const (
	Stream  = "RW_LEAD"
	Subject = "lead.active"
)

// errLost reports that the last record is not the one that was expected.
var errLost = errors.New("lease went to another replica")

// A record says who holds the lease.
type record struct {
	Holder   string `json:"holder"` // name of the replica, for people
	Token    string `json:"token"`  // of one run of one process
	Released bool   `json:"released,omitempty"`
}

func (r record) holder() string {
	if r.Released {
		return ""
	}
	return r.Holder
}

func parse(b []byte) (record, error) {
	var r record
	err := json.Unmarshal(b, &r)
	return r, err
}

// A store reads and writes the records.
type store struct {
	js       jetstream.JetStream
	stream   jetstream.Stream // nil: not opened yet
	replicas int
	name     string
	token    string
}

func newStore(relay *nats.Conn, name string, replicas int) (*store, error) {
	js, err := jetstream.New(relay)
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return &store{js: js, replicas: replicas, name: name, token: rand.Text()}, nil
}

// last returns the last record and its number; 0 if there is none. It is called
// by one goroutine at a time.
func (s *store) last(ctx context.Context) (uint64, record, error) {
	if s.stream == nil {
		stream, err := jstream.Ensure(ctx, s.js, jetstream.StreamConfig{
			Name: Stream, Subjects: []string{Subject}, Replicas: s.replicas,
			Description: "which replica is active",
			Storage:     jetstream.FileStorage, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld,
		})
		if err != nil {
			return 0, record{}, fmt.Errorf("open stream %s: %w", Stream, err)
		}
		s.stream = stream
	}
	m, err := s.stream.GetLastMsgForSubject(ctx, Subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, record{}, nil
	}
	if err != nil {
		if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, nats.ErrNoResponders) {
			s.stream = nil // made again, if it is gone
		}
		return 0, record{}, fmt.Errorf("read %s: %w", Stream, err)
	}
	r, err := parse(m.Data)
	if err != nil {
		return 0, record{}, fmt.Errorf("read %s: %w", Stream, err)
	}
	return m.Sequence, r, nil
}

// write stores the next record if the last one has number after.
func (s *store) write(ctx context.Context, after uint64, released bool) (uint64, error) {
	b, err := json.Marshal(record{Holder: s.name, Token: s.token, Released: released})
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", Stream, err)
	}
	ack, err := s.js.Publish(ctx, Subject, b, jetstream.WithExpectLastSequencePerSubject(after))
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return 0, errLost
	}
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", Stream, err)
	}
	return ack.Sequence, nil
}
