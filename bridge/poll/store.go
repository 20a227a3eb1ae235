package poll

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
)

// The streams of this package, in account RELAY of the local server.
//
// RW_OPEN holds the events that planes which poll may see, and what is known of
// them. Losing it takes from them what they have not seen; rolling it back shows
// again what is over.
//
// RW_POST remembers what was posted. Losing it, or rolling it back, lets a retry
// of before cross as another event.
const (
	StreamOpen = "RW_OPEN"
	StreamPost = "RW_POST"
)

// Subjects of RW_OPEN. An event is stored under its key, and the stream keeps one
// message a subject, so the store itself refuses a second copy.
const (
	openEvent = "open.ev."   // <key>: the event
	openNote  = "open.note." // <key>.<what>…: what is known of it
	openEnd   = "open.end."  // <key>: it is over
)

// Kinds of notes, the token behind the key.
const (
	noteBy       = "by" // <plane>.<source>: a plane that polls has answered
	noteStarted  = "st" // <key of the answer>
	noteFinished = "fi" // <key of the answer>
	noteReleased = "re" // <sequence of the event>: the stamp has let go of it
)

// opened are the streams once they are there.
type opened struct{ events, posts jetstream.Stream }

// remove removes a message from RW_OPEN, if it is there.
func (o *opened) remove(ctx context.Context, seq uint64) error {
	err := o.events.DeleteMsg(ctx, seq)
	if err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("remove from %s: %w", StreamOpen, err)
	}
	return nil
}

// askTimeout is how long an answer of JetStream is waited for.
const askTimeout = time.Second

// heartbeat is how often the server says that a consumer is alive, where it may
// move from one replica to another.
const heartbeat = 500 * time.Millisecond

func openStream(replicas int, age time.Duration) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamOpen, Subjects: []string{"open.>"}, Replicas: replicas,
		Description: "events that planes which poll may see, and what is known of them",
		Retention:   jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxAge: age,
	}
}

func postStream(replicas int, age time.Duration) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamPost, Subjects: []string{"post.>"}, Replicas: replicas,
		Description: "what planes posted, and what was made of it",
		Retention:   jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld, MaxAge: age,
	}
}

// Run keeps the index up to date until ctx ends. It calls ready once the index
// has everything that is open. It may be called again after it has returned, and
// polls are answered meanwhile, from what is known.
func (s *Server) Run(ctx context.Context, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := jstream.Ensure(ctx, s.js, openStream(s.cfg.Replicas, max(s.cfg.TTL, forgetAfter)))
	if err != nil {
		return fmt.Errorf("open stream %s: %w", StreamOpen, err)
	}
	posts, err := jstream.Ensure(ctx, s.js, postStream(s.cfg.Replicas, s.cfg.Window))
	if err != nil {
		return fmt.Errorf("open stream %s: %w", StreamPost, err)
	}
	s.open.Store(&opened{stream, posts})
	s.wg.Go(func() { s.sweep(ctx) })
	defer s.wg.Wait()
	defer cancel()
	for {
		began, err := s.follow(ctx, stream, ready)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		if !began {
			return fmt.Errorf("read %s: %w", StreamOpen, err)
		}
		s.cfg.Log.Debug("reader begins anew", "stream", StreamOpen, "err", err)
	}
}

// errGap reports that a delivery was lost.
var errGap = errors.New("a delivery was lost")

// follow reads the stream behind what was read last, until ctx ends or the reader is
// gone: it lives in one server, and dies with it.
func (s *Server) follow(ctx context.Context, stream jetstream.Stream, ready func()) (began bool, err error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return false, err //nolint:wrapcheck // the caller says which stream
	}
	if info.State.LastSeq < s.index.appliedTo() {
		s.index.reset() // it was lost, or restored
	}
	last := s.index.appliedTo()
	cons, err := jstream.Reader(ctx, stream, last+1)
	if err != nil {
		return false, err //nolint:wrapcheck // the same
	}
	opts := []jetstream.PullMessagesOpt{jetstream.PullMaxMessages(1000)}
	if s.cfg.Replicas > 1 {
		opts = append(opts, jetstream.PullHeartbeat(heartbeat))
	}
	msgs, err := cons.Messages(opts...)
	if err != nil {
		return false, err //nolint:wrapcheck // the same
	}
	defer context.AfterFunc(ctx, msgs.Stop)()
	defer msgs.Stop()
	for n := uint64(1); ; {
		m, err := s.next(ctx, cons, msgs, n-1, ready)
		switch {
		case err != nil:
			return true, err
		case m == nil:
			continue
		}
		meta, err := m.Metadata()
		if err != nil {
			return true, err //nolint:wrapcheck // the same
		}
		if meta.Sequence.Consumer != n {
			return true, errGap
		}
		s.apply(m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp)
		s.index.read(meta.Sequence.Stream)
		n++
	}
}

// loadLook is after what silence it is asked whether everything was read that was
// there at the start: some of it may have been removed meanwhile.
const loadLook = 5 * time.Millisecond

// next returns the next message after got of them, or nil if there may be none.
func (s *Server) next(ctx context.Context, cons jetstream.Consumer, msgs jetstream.MessagesContext, got uint64, ready func()) (jetstream.Msg, error) {
	if s.index.isLoaded() {
		ready()
		return msgs.Next() //nolint:wrapcheck // the caller says which stream
	}
	m, err := msgs.Next(jetstream.NextMaxWait(loadLook))
	if !errors.Is(err, nats.ErrTimeout) {
		return m, err //nolint:wrapcheck // the same
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // the same
	}
	if info.NumPending == 0 && info.Delivered.Consumer == got {
		s.index.load()
	}
	return nil, nil
}

// apply takes one message of RW_OPEN into the index.
func (s *Server) apply(subject string, h nats.Header, body []byte, seq uint64, at time.Time) {
	switch {
	case strings.HasPrefix(subject, openEvent):
		e, err := newEntry(h.Get(bridge.HeaderSubject), body, seq, at, ttls{s.cfg.TTL, s.cfg.NewsTTL})
		if err != nil {
			s.cfg.Log.Error("open event not readable", "stream", StreamOpen, "n", seq, "err", err)
			return
		}
		s.index.open(e)
	case strings.HasPrefix(subject, openEnd):
		s.index.close(strings.TrimPrefix(subject, openEnd), at, seq)
	case strings.HasPrefix(subject, openNote):
		t := strings.Split(strings.TrimPrefix(subject, openNote), ".")
		n := note{seq: seq}
		switch {
		case len(t) == 4 && t[1] == noteBy:
			n.key, n.what, n.who, n.mark = t[0], t[1], t[2], t[3]
		case len(t) == 3 && t[1] == noteReleased:
			n.key, n.what = t[0], t[1]
			n.upTo, _ = strconv.ParseUint(t[2], 10, 64) // 0 is no event
		case len(t) == 3:
			n.key, n.what, n.mark = t[0], t[1], t[2]
		default:
			return // of a later version
		}
		s.index.take(n)
	}
	s.metrics.open.Set(float64(s.index.n()))
}

// token makes any text a token of a subject.
func token(s string) string {
	if s == "" {
		return "-" // no text has this code
	}
	return base64.RawURLEncoding.EncodeToString([]byte(s))
}

// sweepEvery is how often what is over is removed from RW_OPEN.
const sweepEvery = time.Second

// sweep tells the stream what is over, and removes what is of no use.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.cache.trim(now)
			if !s.cfg.Active() || !s.index.isLoaded() {
				continue
			}
			if err := s.clean(ctx, now); err != nil && ctx.Err() == nil {
				s.cfg.Log.Debug("what is over not removed, will try again", "stream", StreamOpen, "err", err)
			}
		}
	}
}

func (s *Server) clean(ctx context.Context, now time.Time) error {
	ends, garbage := s.index.over(now)
	records := make([]*nats.Msg, len(ends))
	for i, key := range ends {
		records[i] = nats.NewMsg(openEnd + key)
	}
	if _, err := s.store(ctx, records); err != nil {
		s.index.again(garbage)
		return err
	}
	for i, seq := range garbage {
		if err := s.open.Load().remove(ctx, seq); err != nil {
			s.index.again(garbage[i:])
			return err
		}
	}
	return nil
}
