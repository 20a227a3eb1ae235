package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// A control is a control plane: shipyard-controller's stream and consumer, its
// accounting of tasks, and a steady load. A second client looks on, as
// mongodb-datastore does, and would see what the stream's own memory of ids
// hides: a repeated event.
type control struct {
	t     testing.TB
	stamp string
	c     *client
	j     *journal
	r     *rand.Rand

	mu    sync.Mutex // guards the following fields
	tasks map[string]*task
}

// A task is what shipyard-controller keeps of a task it triggered.
type task struct {
	started  []string // stamps, in order of arrival; "?" for none
	finished []string
	complete bool // as Keptn judges it; nothing counts after that
	late     []string
}

// add counts an answer as shipyard-controller does: by number alone, and only
// while the task is open.
func (k *task) add(kind, stamp string) {
	switch {
	case k.complete:
		k.late = append(k.late, kind+" of "+stamp)
	case kind == started:
		k.started = append(k.started, stamp)
	case kind == finished:
		k.finished = append(k.finished, stamp)
	}
	k.complete = k.complete || len(k.started) > 0 && len(k.started) == len(k.finished)
}

func newControl(t testing.TB, url, stamp string, seed uint64, j *journal) *control {
	t.Helper()
	c := &control{
		t: t, stamp: stamp, j: j, tasks: map[string]*task{},
		c: connect(t, url, stamp, "shipyard-controller", j), r: rand.New(rand.NewPCG(seed, uint64(len(stamp)))), //nolint:gosec // meant to be repeated
	}
	js, err := jetstream.New(c.c.nc)
	require.NoError(t, err)
	_, err = js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "keptn", Subjects: []string{"sh.keptn.>"}})
	require.NoError(t, err)
	return c
}

// watch subscribes as mongodb-datastore does.
func (c *control) watch() {
	sub, err := c.c.nc.QueueSubscribe("sh.keptn.event.>", "mongodb-datastore", func(m *nats.Msg) {
		if h, key := readHead(m.Data); h.kind() == started || h.kind() == finished {
			c.j.saw(c.stamp, "mongodb-datastore", key)
		}
	})
	require.NoError(c.t, err)
	require.NoError(c.t, sub.SetPendingLimits(-1, -1))
}

// receive takes in answers until ctx ends.
func (c *control) receive(ctx context.Context) {
	var last uint64
	for ctx.Err() == nil {
		messages, err := c.open(ctx)
		for err == nil {
			var m jetstream.Msg
			m, err = messages.Next(jetstream.NextContext(ctx))
			if errors.Is(err, jetstream.ErrNoHeartbeat) {
				err = nil // the server is away
				continue
			}
			if err == nil {
				last = c.take(m, last)
			}
		}
		if messages != nil {
			messages.Stop()
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *control) open(ctx context.Context) (jetstream.MessagesContext, error) {
	js, err := jetstream.New(c.c.nc)
	if err != nil {
		return nil, err
	}
	cons, err := js.CreateOrUpdateConsumer(ctx, "keptn", jetstream.ConsumerConfig{
		Durable: "shipyard-controller:all-events", FilterSubject: "sh.keptn.>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return nil, err
	}
	return cons.Messages()
}

// take counts one message of the stream, unless the stream offers it again.
func (c *control) take(m jetstream.Msg, last uint64) uint64 {
	meta, err := m.Metadata()
	if err != nil {
		return last
	}
	if err := m.Ack(); err != nil || meta.Sequence.Stream <= last {
		return max(last, meta.Sequence.Stream)
	}
	h, key := readHead(m.Data())
	kind := h.kind()
	if kind != started && kind != finished {
		return meta.Sequence.Stream
	}
	c.j.saw(c.stamp, "shipyard-controller", key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.tasks[h.TriggeredID]; k != nil {
		k.add(kind, speaker(h))
	}
	return meta.Sequence.Stream
}

// contexts is how many sequences of a control plane run at the same time.
const contexts = 6

// load triggers a task at each tick until ctx ends, in one context after the
// other, and now and then something that must be refused.
func (c *control) load(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		own := projects[c.stamp]
		h := head{ID: fmt.Sprintf("%s-%d", c.stamp, i), Source: "shipyard-controller", Context: fmt.Sprintf("%s-%d", c.stamp, i%contexts)}
		h.Type = keptnPrefix + pick(c.r, []string{"deployment", "test"}) + triggered
		h.Data.Project, h.Data.Stage = pick(c.r, own), pick(c.r, stages)
		switch n := c.r.IntN(100); {
		case n < 2:
			h.Data.Stage = "nowhere"
			c.c.publish(h.Type, newBody(h))
			continue
		case n < 3:
			c.c.publish(h.Type, fmt.Appendf(nil, `{"id":%q,"n":"%s-%d"}`, h.ID, c.stamp, i))
			continue
		}
		c.trigger(h)
	}
}

func (c *control) trigger(h head) {
	body := newBody(h)
	c.mu.Lock()
	c.tasks[h.ID] = &task{}
	c.mu.Unlock()
	c.c.publish(h.Type, body)
}

// unfinished returns how many tasks are not complete.
func (c *control) unfinished() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, k := range c.tasks {
		if !k.complete {
			n++
		}
	}
	return n
}
