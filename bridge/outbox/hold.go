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
	"github.com/ringway/ringway/topology"
)

// holdPrefix starts the subjects of RW_HOLD: hold.<target>.<key>.
const holdPrefix = "hold."

// A hold is the stream of events whose target is away.
type hold struct {
	js     jetstream.JetStream
	stream jetstream.Stream
}

func openHold(ctx context.Context, js jetstream.JetStream, replicas int) (*hold, error) {
	s, err := js.CreateOrUpdateStream(ctx, holdStream(replicas))
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", StreamHold, err)
	}
	return &hold{js: js, stream: s}, nil
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

// put stores items in order and calls done on each. n of them are done, of
// which fresh were not in the stream before: a repeated store of the same item,
// after a lost reply or a restart, is refused by its Nats-Msg-Id. What is not
// done is still in RW_OUT.
func (h *hold) put(ctx context.Context, target topology.StampID, items []*item) (n, fresh int, err error) {
	futures := make([]jetstream.PubAckFuture, 0, len(items))
	for _, it := range items {
		_, _, key, _ := bridge.Address(it.msg.Subject)
		m := &nats.Msg{Subject: holdPrefix + string(target) + "." + key, Data: it.msg.Data, Header: nats.Header{}}
		for k, v := range it.msg.Header {
			m.Header[k] = v
		}
		id := string(target) + ":" + strconv.FormatUint(it.seq, 10)
		f, err := h.js.PublishMsgAsync(m, jetstream.WithMsgID(id))
		if err != nil {
			return n, fresh, fmt.Errorf("store in %s: %w", StreamHold, err)
		}
		futures = append(futures, f)
	}
	for i, f := range futures {
		select {
		case pa := <-f.Ok():
			crash.At(crash.OutboxHeld)
			items[i].done()
			n++
			if !pa.Duplicate {
				fresh++
			}
		case err := <-f.Err():
			return n, fresh, fmt.Errorf("store in %s: %w", StreamHold, err)
		case <-time.After(5 * time.Second):
			return n, fresh, fmt.Errorf("store in %s: %w", StreamHold, nats.ErrTimeout)
		case <-ctx.Done():
			return n, fresh, ctx.Err()
		}
	}
	return n, fresh, nil
}

// consumer returns a fresh reader of what is held for target; see
// Outbox.open for why it is made anew.
func (h *hold) consumer(ctx context.Context, target topology.StampID) (jetstream.Consumer, error) {
	name := "to-" + string(target)
	if err := resetConsumer(ctx, h.js, StreamHold, name); err != nil {
		return nil, err
	}
	c, err := h.js.CreateConsumer(ctx, StreamHold, jetstream.ConsumerConfig{
		Durable: name, FilterSubject: holdPrefix + string(target) + ".>",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxAckPending: 2 * maxItems,
	})
	if err != nil {
		return nil, fmt.Errorf("open consumer of %s: %w", StreamHold, err)
	}
	return c, nil
}

// heldItem makes an item of a message of RW_HOLD.
func heldItem(me, target topology.StampID, m jetstream.Msg, done func()) (*item, error) {
	hop := m.Headers().Get(bridge.HeaderHop)
	seq, err := strconv.ParseUint(hop[strings.LastIndexByte(hop, ':')+1:], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read held event: %w", err)
	}
	attempt, _ := strconv.Atoi(m.Headers().Get(bridge.HeaderAttempt)) // 0 if it is no offer
	seq = hopNumber(seq, attempt)
	key := strings.TrimPrefix(m.Subject(), holdPrefix+string(target)+".")
	msg := nats.NewMsg(bridge.EventSubject(target, me, key))
	msg.Reply = bridge.AckSubject(me, target, strconv.FormatUint(seq, 10))
	msg.Data = m.Data()
	for k, v := range m.Headers() {
		if strings.HasPrefix(k, "Ringway-") {
			msg.Header[k] = v
		}
	}
	subject := m.Headers().Get(bridge.HeaderSubject)
	order := subject
	if e, err := bridge.Parse(subject, m.Data()); err == nil {
		order = e.Context
	}
	return &item{seq: seq, order: order, msg: msg, done: done}, nil
}
