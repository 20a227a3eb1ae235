package inbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/internal/jstream"
)

// A progress says which events of RW_IN are settled: delivered, dropped or put
// aside. It is every one up to Floor and those in Above, which are inclusive
// ranges in order with gaps between them, of the numbers that places take (span).
type progress struct {
	By    string // the Inbox that wrote it
	Floor uint64
	Above [][2]uint64
	// Clean says that nothing was published that is not in here.
	Clean bool
	// Held says that no task was published that is not in here: an operator had
	// them held.
	Held bool
	// Open are the places of events that are not settled and may have been
	// published, and Exact says that no other may.
	Open  [][2]place
	Exact bool
	// Given are tasks that planes were given and have not answered, and
	// Answering the subjects whose planes are known to answer.
	Given     [][2]place
	Answering []string
}

// newProgress is that of a stream of which nothing was read.
func newProgress() progress { return progress{Floor: endOf(0)} }

// has reports whether the event at pl is settled.
func (p *progress) has(pl place) bool {
	first, _ := span(pl)
	return first <= p.Floor || within(p.Above, first)
}

// done settles the event at pl.
func (p *progress) done(pl place) {
	first, last := span(pl)
	switch {
	case p.has(pl):
	case first == p.Floor+1:
		p.Floor = last
	default:
		p.insert(first, last)
	}
	for len(p.Above) > 0 && p.Above[0][0] == p.Floor+1 {
		p.Floor = p.Above[0][1]
		p.Above = p.Above[1:]
	}
}

func (p *progress) insert(first, last uint64) {
	i := len(p.Above)
	for i > 0 && p.Above[i-1][0] > first {
		i--
	}
	before := i > 0 && p.Above[i-1][1]+1 == first
	after := i < len(p.Above) && p.Above[i][0] == last+1
	switch {
	case before && after:
		p.Above[i-1][1] = p.Above[i][1]
		p.Above = slices.Delete(p.Above, i, i+1)
	case before:
		p.Above[i-1][1] = last
	case after:
		p.Above[i][0] = first
	default:
		p.Above = slices.Insert(p.Above, i, [2]uint64{first, last})
	}
}

// unread returns the first message with an event that is not settled.
func (p *progress) unread() uint64 { return seqOf(p.Floor + 1) }

// clip forgets what lies beyond the end of the stream, which can only be if the
// stream was lost or restored: sequences up to that of the last message are then
// used again.
func (p *progress) clip(last uint64) {
	end := endOf(last)
	p.Floor = min(p.Floor, end)
	kept := p.Above[:0]
	for _, r := range p.Above {
		if r[0] <= end {
			kept = append(kept, [2]uint64{r[0], min(r[1], end)})
		}
	}
	p.Above = kept
}

// A stateStore keeps the progress in the stream RW_STATE. A consumer's own
// acknowledgements would not do: the server writes them to disk some time
// after it has answered, so that a crash brings delivered events back.
type stateStore struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	rev    uint64 // sequence of what was last read or written
}

const stateSubject = "state.inbox"

// errDeposed reports that another process has written the progress: it delivers
// now, and this one has to stop.
var errDeposed = errors.New("another replica delivers the stamp's events")

func openState(ctx context.Context, js jetstream.JetStream, replicas int) (*stateStore, error) {
	s, err := jstream.Ensure(ctx, js, StateStream(replicas))
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", StreamState, err)
	}
	return &stateStore{js: js, stream: s}, nil
}

// load returns the progress last saved, or none.
func (s *stateStore) load(ctx context.Context) (progress, error) {
	p := newProgress()
	m, err := s.last(ctx)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return p, nil
	case err != nil:
		return p, fmt.Errorf("read %s: %w", StreamState, err)
	}
	s.rev = m.Sequence
	if err := json.Unmarshal(m.Data, &p); err != nil {
		return p, fmt.Errorf("read %s: %w", StreamState, err)
	}
	return p, nil
}

func (s *stateStore) last(ctx context.Context) (*jetstream.RawStreamMsg, error) {
	return jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.stream.GetLastMsgForSubject(ctx, stateSubject)
	})
}

// save returns once p is stored, and fails if somebody else has stored another
// progress since.
func (s *stateStore) save(ctx context.Context, p progress) error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write %s: %w", StreamState, err)
	}
	for {
		// The leader of the stream may be gone; the next one is chosen sooner
		// than an answer is given up for lost.
		once, cancel := context.WithTimeout(ctx, saveTimeout)
		ack, err := s.js.Publish(once, stateSubject, b, jetstream.WithExpectLastSequencePerSubject(s.rev))
		cancel()
		var api *jetstream.APIError
		switch {
		case err == nil:
			s.rev = ack.Sequence
			return nil
		case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
			return s.mine(ctx, b)
		case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant || api.Code == unavailable) && ctx.Err() == nil:
			// Another write is on its way through the replicas, such as an
			// earlier attempt of ours. What became of it shows soon. Or the
			// stream cannot be written for a moment.
			pause(ctx, saveAgain)
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, jetstream.ErrNoStreamResponse):
			return fmt.Errorf("write %s: %w", StreamState, err)
		}
	}
}

// unavailable is the code of JetStream's errors that are about now.
const unavailable = 503

// saveAgain is how long a write waits for one that is on its way.
const saveAgain = 20 * time.Millisecond

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// mine finds out whether what is stored is what was to be written: the answer
// to an earlier attempt was lost.
func (s *stateStore) mine(ctx context.Context, b []byte) error {
	m, err := s.last(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", StreamState, err)
	case !bytes.Equal(m.Data, b):
		return errDeposed
	}
	s.rev = m.Sequence
	return nil
}

// saveTimeout is how long an answer to one write is waited for.
const saveTimeout = 500 * time.Millisecond
