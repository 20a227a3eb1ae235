package poll

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// writeTime is how long a write may take in all, where the leader of a stream may
// be gone and the next one is chosen meanwhile.
const writeTime = 6 * time.Second

// store puts messages into RW_OPEN and returns once all are stored, and the
// sequence of the last. One that is there already is left alone, so that all of
// them can be stored again when an answer is missing.
func (s *Server) store(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	if len(msgs) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	for {
		n, err := s.storeOnce(ctx, msgs)
		last = max(last, n)
		if err == nil {
			return last, nil
		}
		if !s.again(ctx, err) {
			return 0, fmt.Errorf("store in %s: %w", StreamOpen, err)
		}
	}
}

// storeOnce is one try, of which all answers are waited for together.
func (s *Server) storeOnce(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	futures := make([]jetstream.PubAckFuture, 0, len(msgs))
	for _, m := range msgs {
		f, err := s.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		if err != nil {
			return last, err //nolint:wrapcheck // the caller says which stream
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case ack := <-f.Ok():
			last = max(last, ack.Sequence)
		case err := <-f.Err():
			if !isThere(err) {
				return last, err //nolint:wrapcheck // the same
			}
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
	return last, nil
}

// isThere reports whether a stream refused a message because its subject has one.
func isThere(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && strings.Contains(api.Description, "maximum messages per subject")
}

// again reports whether a write that failed may succeed when it is tried again.
// With one replica a stream that does not answer is not there.
func (s *Server) again(ctx context.Context, err error) bool {
	if s.cfg.Replicas == 1 || ctx.Err() != nil {
		return false
	}
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, jetstream.ErrNoStreamResponse) && !errors.Is(err, nats.ErrNoResponders) {
		return false
	}
	pause(ctx, writePause)
	return ctx.Err() == nil
}

// writePause is how long a write that failed waits.
const writePause = 20 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// write stores one message in a stream that knows a second copy of it.
func (s *Server) write(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	for {
		once, stop := context.WithTimeout(ctx, askTimeout)
		header := nats.Header{}
		for k, v := range m.Header {
			header[k] = v
		}
		ack, err := s.js.PublishMsg(once, &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data}, opts...)
		stop()
		if err == nil || !s.again(ctx, err) {
			return ack, err //nolint:wrapcheck // the caller says which stream
		}
	}
}
