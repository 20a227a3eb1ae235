package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// Stream is the name of the stream of dead letters. Losing it loses nothing
// that was going anywhere; rolling it back brings back letters already sent on.
const Stream = "RW_DLQ"

// Bounds of the stream.
const (
	MaxLetters = 10_000
	MaxAge     = 7 * 24 * time.Hour
	maxBytes   = 1 << 30
)

// askTimeout is how long an answer of JetStream is waited for. Where a stamp
// has replicas, the one that should answer may be gone, and asking the next is
// sooner than waiting.
const askTimeout = 2 * time.Second

// ErrNotFound reports that there is no letter with that number: it never
// existed, was sent on, or fell out of the bounds. Trying again cannot help.
var ErrNotFound = errors.New("no such dead letter")

// A Box is the dead letters of one stamp. It is safe for concurrent use.
type Box struct {
	js       jetstream.JetStream
	stream   jetstream.Stream
	relay    *nats.Conn
	deliver  *nats.Conn
	letters  *prometheus.CounterVec
	replayed prometheus.Counter
}

// An Entry is a letter and its number.
type Entry struct {
	Number uint64    `json:"number"`
	At     time.Time `json:"at"` // when it was set aside
	bridge.Letter
}

// Open makes the stream in account RELAY. deliver is a connection of account
// DELIVER, for sending letters on.
func Open(ctx context.Context, relay, deliver *nats.Conn, replicas int, reg prometheus.Registerer) (*Box, error) {
	js, err := jetstream.New(relay, jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	s, err := jstream.Ensure(ctx, js, jetstream.StreamConfig{
		Name: Stream, Subjects: []string{"dlq.>"}, Replicas: max(replicas, 1),
		Description: "events that were set aside, with the reason",
		Storage:     jetstream.FileStorage, Discard: jetstream.DiscardOld,
		MaxMsgs: MaxLetters, MaxAge: MaxAge, MaxBytes: maxBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", Stream, err)
	}
	f := promauto.With(reg)
	return &Box{
		js: js, stream: s, relay: relay, deliver: deliver,
		letters: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_dead_letters_total",
			Help: "Events set aside, by where on their way and why.",
		}, []string{"side", "reason"}),
		replayed: f.NewCounter(prometheus.CounterOpts{
			Name: "ringway_dead_letters_replayed_total",
			Help: "Dead letters that were sent on their way again.",
		}),
	}, nil
}

// Headers of a stored letter. The body is that of the event.
const (
	hdrReason   = "Ringway-Dead-Reason"
	hdrDetail   = "Ringway-Dead-Detail" // JSON array of strings
	hdrSide     = "Ringway-Dead-Side"
	hdrTo       = "Ringway-Dead-To"
	hdrEventKey = "Ringway-Dead-Key"
)

// Put returns once the letter is stored. A letter about the same event on the
// same side is stored once within two minutes, so that an event offered again
// after a lost reply makes one letter.
func (b *Box) Put(ctx context.Context, l bridge.Letter) error {
	detail, err := json.Marshal(l.Detail)
	if err != nil {
		return fmt.Errorf("store dead letter: %w", err)
	}
	m := nats.NewMsg("dlq." + string(l.Side) + "." + string(l.Reason))
	m.Data = l.Body
	m.Header = nats.Header{
		hdrReason: {string(l.Reason)}, hdrDetail: {string(detail)}, hdrSide: {string(l.Side)},
		hdrTo: {string(l.To)}, hdrEventKey: {l.Key},
		bridge.HeaderSubject: {l.Subject}, bridge.HeaderOrigin: {string(l.From)},
		bridge.HeaderCaptured: {l.Captured.UTC().Format(time.RFC3339Nano)},
	}
	cut(m, l.Detail, int(b.relay.MaxPayload()))
	var opts []jetstream.PublishOpt
	if l.Key != "" {
		opts = append(opts, jetstream.WithMsgID(string(l.Side)+":"+l.Key))
	}
	ack, err := b.js.PublishMsg(ctx, m, opts...)
	if err == nil && ack.Duplicate {
		err = b.restore(ctx, m, ack.Sequence)
	}
	if err != nil {
		return fmt.Errorf("store dead letter: %w", err)
	}
	b.letters.WithLabelValues(string(l.Side), string(l.Reason)).Inc()
	return nil
}

// restore stores a letter of which the stream says that it has it, if it was
// sent on its way since, and has come back.
func (b *Box) restore(ctx context.Context, m *nats.Msg, number uint64) error {
	for {
		_, err := b.stream.GetMsg(ctx, number)
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		m.Header.Del(nats.MsgIdHdr)
		// One id a place: tried again after a lost reply, it is stored once.
		ack, err := b.js.PublishMsg(ctx, m, jetstream.WithMsgID("again:"+strconv.FormatUint(number, 10)))
		if err != nil || !ack.Duplicate {
			return err
		}
		number = ack.Sequence
	}
}

// cut shortens the body of a letter that is too big for NATS with its headers,
// and says so. The alternative is to keep nothing of it.
func cut(m *nats.Msg, detail []string, limit int) {
	const room = 1 << 10 // for what the client adds, and for the words below
	over := m.Size() + room - limit
	if over <= 0 || over > len(m.Data) {
		return
	}
	m.Data = m.Data[:len(m.Data)-over]
	b, err := json.Marshal(append(slices.Clone(detail), fmt.Sprintf("the last %d bytes are cut off: too big to be kept", over)))
	if err == nil {
		m.Header.Set(hdrDetail, string(b))
	}
}

// Get returns the letter with a number.
func (b *Box) Get(ctx context.Context, number uint64) (*Entry, error) {
	m, err := b.stream.GetMsg(ctx, number)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, fmt.Errorf("%w: %d", ErrNotFound, number)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	return entry(m.Sequence, m.Time, m.Header, m.Data), nil
}

// Count returns how many letters there are.
func (b *Box) Count(ctx context.Context) (uint64, error) {
	info, err := b.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at %s: %w", Stream, err)
	}
	return info.State.Msgs, nil
}

// List returns up to limit letters from number start on, oldest first.
func (b *Box) List(ctx context.Context, start uint64, limit int) ([]*Entry, error) {
	var out []*Entry
	if limit <= 0 {
		return out, nil
	}
	err := jstream.Each(ctx, b.stream, start, nil, func(m jetstream.Msg, meta *jetstream.MsgMetadata) bool {
		out = append(out, entry(meta.Sequence.Stream, meta.Timestamp, m.Headers(), m.Data()))
		return len(out) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Stream, err)
	}
	return out, nil
}

// Search returns up to limit letters that want lets through, oldest first, without
// their bodies. more says that there may be others.
func (b *Box) Search(ctx context.Context, want func(*Entry) bool, limit int) (out []*Entry, more bool, err error) {
	err = jstream.Each(ctx, b.stream, 1, nil, func(m jetstream.Msg, meta *jetstream.MsgMetadata) bool {
		if e := entry(meta.Sequence.Stream, meta.Timestamp, m.Headers(), m.Data()); want(e) {
			e.Body = nil
			out = append(out, e)
		}
		return len(out) < limit
	})
	if err != nil {
		return out, true, fmt.Errorf("read %s: %w", Stream, err)
	}
	return out, len(out) == limit, nil
}

// Replay sends a letter on its way again and removes it. One that was set
// aside on its way out is captured and routed anew, by today's topology; one
// that had arrived is delivered to whoever subscribes.
func (b *Box) Replay(ctx context.Context, number uint64) error {
	e, err := b.Get(ctx, number)
	if err != nil {
		return err
	}
	if _, _, _, between := bridge.Address(e.Subject); between {
		return fmt.Errorf("replay dead letter %d: %s is no subject of an event: what came there could not be read", number, e.Subject)
	}
	if err := b.send(ctx, e); err != nil {
		return fmt.Errorf("replay dead letter %d: %w", number, err)
	}
	if err := b.stream.DeleteMsg(ctx, number); err != nil {
		return fmt.Errorf("remove dead letter %d: %w", number, err)
	}
	b.replayed.Inc()
	return nil
}

func (b *Box) send(ctx context.Context, e *Entry) error {
	if e.Side == bridge.SideOut {
		m := nats.NewMsg(bridge.CapturePrefix + e.Subject)
		m.Data = e.Body
		_, err := b.js.PublishMsg(ctx, m)
		return err
	}
	if err := b.deliver.Publish(e.Subject, e.Body); err != nil {
		return err
	}
	return b.deliver.FlushWithContext(ctx)
}

func entry(number uint64, at time.Time, h nats.Header, body []byte) *Entry {
	e := &Entry{Number: number, At: at, Letter: bridge.Letter{
		Side: bridge.Side(h.Get(hdrSide)), Reason: bridge.Reason(h.Get(hdrReason)),
		Subject: h.Get(bridge.HeaderSubject), From: topology.StampID(h.Get(bridge.HeaderOrigin)),
		To: topology.StampID(h.Get(hdrTo)), Key: h.Get(hdrEventKey), Body: body,
	}}
	// What cannot be read stays empty: a letter is shown as far as it goes.
	_ = json.Unmarshal([]byte(h.Get(hdrDetail)), &e.Detail)
	e.Captured, _ = time.Parse(time.RFC3339Nano, h.Get(bridge.HeaderCaptured))
	return e
}

// ParseNumber reads the number of a letter as people write it.
func ParseNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read number of a dead letter: %w", err)
	}
	return n, nil
}
