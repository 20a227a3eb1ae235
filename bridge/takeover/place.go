package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/internal/jstream"
)

// The stream of this package, in account RELAY, and the subject of its one
// record.
const (
	Stream  = "RW_TAKE"
	subject = "take.keptn"
)

// A place is how far the external stream was compared.
type place struct {
	Created time.Time `json:"created"` // of the external stream; another one has another
	Seq     uint64    `json:"seq"`     // of its last event that is in RW_OUT, or was
	// Since is when the last of those that our server captured was captured.
	Since time.Time `json:"since,omitzero"`
}

// A shelf keeps the place.
type shelf struct {
	js       jetstream.JetStream
	stream   jetstream.Stream
	replicas int
}

// load returns the place that was kept last; nil if there is none.
func (s *shelf) load(ctx context.Context) (*place, error) {
	var err error
	s.stream, err = jstream.Ensure(ctx, s.js, jetstream.StreamConfig{
		Name: Stream, Subjects: []string{subject}, Replicas: max(s.replicas, 1),
		Description: "how far the stream of the external NATS was taken over",
		Storage:     jetstream.FileStorage, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld,
	})
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", Stream, err)
	}
	m, err := s.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	p := &place{}
	if err := json.Unmarshal(m.Data, p); err != nil {
		return nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	return p, nil
}

func (s *shelf) save(ctx context.Context, p place) error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write %s: %w", Stream, err)
	}
	if _, err := s.js.Publish(ctx, subject, b); err != nil {
		return fmt.Errorf("write %s: %w", Stream, err)
	}
	return nil
}
