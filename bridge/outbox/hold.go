package outbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/crash"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// holdPrefix starts the subjects of RW_HOLD: hold.<target>.<key>.
const holdPrefix = "hold."

// A hold is the stream of events whose target is away.
type hold struct {
	me     topology.StampID
	js     jetstream.JetStream
	stream jetstream.Stream
}

func openHold(ctx context.Context, me topology.StampID, js jetstream.JetStream, replicas int) (*hold, error) {
	s, err := jstream.Ensure(ctx, js, holdStream(replicas))
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", StreamHold, err)
	}
	return &hold{me: me, js: js, stream: s}, nil
}

// targets returns how many events are held for each target.
func (h *hold) targets(ctx context.Context) (map[topology.StampID]uint64, error) {
	info, err := h.stream.Info(ctx, jetstream.WithSubjectFilter(holdPrefix+">"))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", StreamHold, err)
	}
	out := map[topology.StampID]uint64{}
	for subject, n := range info.State.Subjects {
		target, _, _ := strings.Cut(strings.TrimPrefix(subject, holdPrefix), ".")
		out[topology.StampID(target)] += n
	}
	return out, nil
}

// count returns how many events are held for target.
func (h *hold) count(ctx context.Context, target topology.StampID) (uint64, error) {
	info, err := h.stream.Info(ctx, jetstream.WithSubjectFilter(holdPrefix+string(target)+".>"))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", StreamHold, err)
	}
	var n uint64
	for _, of := range info.State.Subjects {
		n += of
	}
	return n, nil
}

// holdTimeout is how long an answer of RW_HOLD is waited for.
const holdTimeout = 5 * time.Second

// put stores items and calls done on each, many at a time but of one order only
// one: else one that is lost while the stream changes its leader would come
// behind those after it. left is what is not stored, in order; it is still in
// RW_OUT. kept is called with each item that is. fresh items were not in the stream before: a repeated store of the
// same item, after a lost reply or a restart, is refused by its Nats-Msg-Id.
func (h *hold) put(ctx context.Context, target topology.StampID, items []*item, kept func(*item)) (left []*item, fresh int, err error) {
	left = items
	for len(left) > 0 && err == nil {
		var n int
		left, n, err = h.putWave(ctx, target, left, kept)
		fresh += n
	}
	return left, fresh, err
}

// putWave stores the first item of each order.
func (h *hold) putWave(ctx context.Context, target topology.StampID, items []*item, kept func(*item)) (left []*item, fresh int, err error) {
	futures := make(map[*item]jetstream.PubAckFuture, len(items))
	seen := map[string]bool{}
	for _, it := range items {
		if seen[it.order] {
			continue
		}
		seen[it.order] = true
		f, err := h.js.PublishMsgAsync(heldMsg(h.me, target, it), jetstream.WithMsgID(string(target)+":"+strconv.FormatUint(it.seq, 10)))
		if err != nil {
			break // what was published is waited for
		}
		futures[it] = f
	}
	limit, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()
	var errs []error
	for _, it := range items {
		f := futures[it]
		if f == nil {
			left = append(left, it)
			continue
		}
		pa, err := stored(limit, f)
		if err != nil {
			errs = append(errs, err)
			left = append(left, it)
			continue
		}
		crash.At(crash.OutboxHeld)
		it.done()
		kept(it)
		if !pa.Duplicate {
			fresh++
		}
	}
	if len(errs) == 0 && len(futures) == 0 && len(items) > 0 {
		errs = append(errs, nats.ErrTimeout)
	}
	if len(errs) > 0 {
		return left, fresh, fmt.Errorf("store in %s: %w", StreamHold, errs[0])
	}
	return left, fresh, nil
}

func stored(ctx context.Context, f jetstream.PubAckFuture) (*jetstream.PubAck, error) {
	select {
	case pa := <-f.Ok():
		return pa, nil
	case err := <-f.Err():
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func heldMsg(me, target topology.StampID, it *item) *nats.Msg {
	return &nats.Msg{Subject: holdPrefix + string(target) + "." + it.token(), Data: it.Body, Header: it.header(me)}
}

// consumer returns a fresh reader of what is held for target; see
// Outbox.open for why it is made anew.
func (h *hold) consumer(ctx context.Context, target topology.StampID) (jetstream.Consumer, error) {
	name := "to-" + string(target)
	return freshConsumer(ctx, h.js, StreamHold, jetstream.ConsumerConfig{
		Durable: name, FilterSubject: holdPrefix + string(target) + ".>",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxAckPending: 4 * drainItems,
	})
}

// heldItem makes an item of a message of RW_HOLD.
func heldItem(target topology.StampID, m jetstream.Msg, done func()) (*item, error) {
	hop := m.Headers().Get(bridge.HeaderHop)
	seq, err := strconv.ParseUint(hop[strings.LastIndexByte(hop, ':')+1:], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read held event: %w", err)
	}
	it := &item{Copy: copyOf(strings.TrimPrefix(m.Subject(), holdPrefix+string(target)+"."), m.Headers(), m.Data()), more: true, done: done}
	it.Hop, it.seq = seq, hopNumber(seq, it.Attempt)
	it.order = it.Subject
	if e, err := bridge.Parse(it.Subject, it.Body); err == nil {
		it.order, it.event = e.Context, e
	}
	return it, nil
}
