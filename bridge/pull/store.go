package pull

import (
	"context"
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

// Stream is the name of the stream, in account RELAY of the local server.
// Losing it puts open events in once more, which stamps that had them in the
// last 24 h refuse, and loses answers that were not posted; rolling it back may
// post answers twice.
const Stream = "RW_PULL"

// Subjects of the stream, each followed by the name of a control plane and the
// key of an event, one message a subject.
const (
	inSubject  = "pull.in."  // an open event that was polled
	outSubject = "pull.out." // an answer to post
)

// A state is how far an event is.
type state string

const (
	stateDue    state = "due"    // stored, and nothing done
	stateTrying state = "trying" // it may have been posted
	stateDone   state = "done"   // the body is gone
)

// Headers of a record.
const (
	hdrState  = "Ringway-Pull-State"
	hdrNumber = "Ringway-Pull-Number" // the sequence that it was stored with first
	hdrPrint  = "Ringway-Pull-Print"  // what the control plane keeps of it, as a digest
)

// doneAge is how long an answer is known after it was posted: who hands it over
// may do so again after a restart.
const doneAge = 24 * time.Hour

// storeTime bounds one try to write.
const storeTime = 5 * time.Second

// errFenced reports a record that somebody else has changed: another process
// does this work now.
var errFenced = errors.New("another process has changed the record")

// A record is an event in the stream.
type record struct {
	in      bool // polled, not to post
	control string
	key     bridge.Key
	subject string // its type
	state   state
	body    []byte // nil when done
	print   string // of an answer
	number  uint64 // order in which they were stored
	seq     uint64 // of the message now; 0 is not stored
	at      time.Time
}

func (r *record) name() string {
	prefix := outSubject
	if r.in {
		prefix = inSubject
	}
	return prefix + r.control + "." + r.key
}

// message is how a record is stored.
func (r *record) message() *nats.Msg {
	m := nats.NewMsg(r.name())
	m.Header.Set(hdrState, string(r.state))
	m.Header.Set(bridge.HeaderSubject, r.subject)
	if r.number > 0 {
		m.Header.Set(hdrNumber, strconv.FormatUint(r.number, 10))
	}
	if r.print != "" {
		m.Header.Set(hdrPrint, r.print)
	}
	m.Data = r.body
	return m
}

// readRecord is the reverse. It returns nil for what it can not read, which a
// later version has written.
func readRecord(subject string, h nats.Header, body []byte, seq uint64, at time.Time) *record {
	rest, in := strings.CutPrefix(subject, inSubject)
	if !in {
		rest = strings.TrimPrefix(subject, outSubject)
	}
	control, key, ok := strings.Cut(rest, ".")
	r := &record{
		in: in, control: control, key: key, subject: h.Get(bridge.HeaderSubject), state: state(h.Get(hdrState)), body: body,
		print: h.Get(hdrPrint), seq: seq, number: seq, at: at,
	}
	if n, err := strconv.ParseUint(h.Get(hdrNumber), 10, 64); err == nil {
		r.number = n
	}
	if !ok || r.state == "" {
		return nil
	}
	return r
}

// A store is the stream.
type store struct {
	js     jetstream.JetStream
	stream jetstream.Stream
}

func openStore(ctx context.Context, relay *nats.Conn, replicas int) (*store, error) {
	js, err := jetstream.New(relay, jetstream.WithDefaultTimeout(storeTime), jetstream.WithPublishAsyncTimeout(storeTime))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	s, err := jstream.Ensure(ctx, js, jetstream.StreamConfig{
		Name: Stream, Subjects: []string{"pull.>"}, Replicas: replicas,
		Description: "events polled from control planes, and answers to post there",
		Storage:     jetstream.FileStorage, Discard: jetstream.DiscardOld,
		MaxMsgsPerSubject: 1, AllowMsgTTL: true,
		// A replica that lags behind would not know what was done: only the
		// leader is asked.
		AllowDirect: replicas <= 1,
	})
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", Stream, err)
	}
	return &store{js: js, stream: s}, nil
}

// all returns what is stored.
func (s *store) all(ctx context.Context) ([]*record, error) {
	var out []*record
	err := jstream.Each(ctx, s.stream, 1, nil, func(m jetstream.Msg, meta *jetstream.MsgMetadata) bool {
		if r := readRecord(m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp); r != nil {
			out = append(out, r)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	return out, nil
}

// create stores a new record; known says that there was one already.
func (s *store) create(ctx context.Context, r *record) (known bool, err error) {
	ack, err := s.js.PublishMsg(ctx, r.message(), jetstream.WithExpectLastSequencePerSubject(0))
	if isWrongSequence(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("store %s: %w", Stream, err)
	}
	r.seq, r.number = ack.Sequence, ack.Sequence
	return false, nil
}

// note stores a record in the place of what it was, also while the process
// stops. It fails with errFenced if that is not there any more.
func (s *store) note(ctx context.Context, r *record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(r.seq)}
	if r.state == stateDone && !r.in {
		opts = append(opts, jetstream.WithMsgTTL(doneAge))
	}
	ack, err := s.js.PublishMsg(ctx, r.message(), opts...)
	if isWrongSequence(err) {
		return fmt.Errorf("store %s: %w", Stream, errFenced)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", Stream, err)
	}
	r.seq = ack.Sequence
	return nil
}

// forget removes a record.
func (s *store) forget(ctx context.Context, r *record) error {
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(r.name())); err != nil {
		return fmt.Errorf("remove from %s: %w", Stream, err)
	}
	return nil
}

func isWrongSequence(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// get returns the record as it is stored; nil if it is not there any more.
func (s *store) get(ctx context.Context, r *record) (*record, error) {
	m, err := s.stream.GetLastMsgForSubject(ctx, r.name())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	got := readRecord(r.name(), m.Header, m.Data, m.Sequence, m.Time)
	if got == nil {
		return nil, fmt.Errorf("read %s: a record of another version", Stream)
	}
	return got, nil
}
