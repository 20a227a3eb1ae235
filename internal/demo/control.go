package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ControlConfig is what a ControlPlane needs.
type ControlConfig struct {
	URL   string // of the stamp's NATS, as NATS_URL
	Seat  *Seat  // joined with NewControlParty
	Flow  Flow
	Log   *slog.Logger // nil discards
	Now   func() time.Time
	OnLog func(string) // told, in one line, what a person should see; nil for nobody
}

// A Flow is what a control plane runs.
type Flow struct {
	Project  string   // "" is sockshop
	Service  string   // "" is carts
	Sequence string   // "" is delivery
	Stages   []string // in order; none is dev, hardening, production
	Tasks    []string // of every stage, in order; none is deployment, test

	Rate        float64       // sequences per second; 0 is as fast as Concurrency allows
	Concurrency int           // sequences at once; 0 is 64
	TaskTimeout time.Duration // a task that is open for longer is a Hang; 0 is 30 s

	// Data returns what is added to the data of sequence n, counted from 0; nil
	// adds nothing. It must be safe for concurrent use.
	Data func(n int) map[string]any
}

// fill puts in the defaults.
func (f Flow) fill() Flow {
	f.Project = cmp.Or(f.Project, "sockshop")
	f.Service = cmp.Or(f.Service, "carts")
	f.Sequence = cmp.Or(f.Sequence, "delivery")
	if len(f.Stages) == 0 {
		f.Stages = []string{"dev", "hardening", "production"}
	}
	if len(f.Tasks) == 0 {
		f.Tasks = []string{"deployment", "test"}
	}
	f.Concurrency = cmp.Or(f.Concurrency, 64)
	f.TaskTimeout = cmp.Or(f.TaskTimeout, 30*time.Second)
	if f.Data == nil {
		f.Data = func(int) map[string]any { return nil }
	}
	return f
}

// NewControlParty returns the party that the control plane in stamp is.
func NewControlParty(stamp string) Party {
	return Party{Stamp: stamp, Name: sourceShip, Control: true, Patterns: []string{keptnSubject}}
}

// A ControlPlane behaves on NATS as Keptn's shipyard-controller: it has its own
// stream on sh.keptn.>, publishes without headers, and takes a task for done
// when as many .finished as .started have arrived.
type ControlPlane struct {
	cfg  ControlConfig
	flow Flow
	log  *slog.Logger

	up   chan struct{} // closed when nc is set
	over chan struct{} // closed when Run returns
	nc   *nats.Conn

	mu       sync.Mutex
	open     map[string]*task // by the id of their .triggered
	progress Progress
}

// Progress is how far a ControlPlane got, in sequences and tasks.
type Progress struct {
	Sequences int    `json:"sequences"` // started
	Completed int    `json:"completed"` // ended in the last stage, by whatever result
	Failed    int    `json:"failed"`    // of these, not with pass or warning
	Tasks     int    `json:"tasks"`     // triggered
	Unrouted  int    `json:"unrouted"`  // of these, no plane anywhere had to answer
	Late      int    `json:"late"`      // answers that came after Keptn's rule had closed their task
	Hung      int    `json:"hung"`      // tasks never complete
	Hangs     []Hang `json:"hangs"`     // the first 20 of them
}

// A Hang is a task that was not complete in time.
type Hang struct {
	Context  string `json:"context"`
	Stage    string `json:"stage"`
	Task     string `json:"task"`
	ID       string `json:"id"`
	Started  int    `json:"started"`  // .started that arrived
	Finished int    `json:"finished"` // .finished that arrived
}

// maxHangs bounds Progress.Hangs.
const maxHangs = 20

// ErrOver reports that the control plane is not running, or not any more.
var ErrOver = errors.New("control plane is not running")

// NewControlPlane returns the ControlPlane that cfg describes.
func NewControlPlane(cfg ControlConfig) (*ControlPlane, error) {
	if cfg.URL == "" || cfg.Seat == nil || !cfg.Seat.Control {
		return nil, errors.New("control plane needs a URL and the seat of a control plane")
	}
	c := &ControlPlane{
		cfg: cfg, flow: cfg.Flow.fill(), log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		up: make(chan struct{}), over: make(chan struct{}), open: map[string]*task{},
	}
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	if c.cfg.OnLog == nil {
		c.cfg.OnLog = func(string) {}
	}
	return c, nil
}

// Run connects, creates stream and consumer as shipyard-controller does, calls
// ready and takes in answers until ctx is cancelled. Run is called once.
func (c *ControlPlane) Run(ctx context.Context, ready func()) error {
	defer close(c.over)
	nc, err := nats.Connect(c.cfg.URL, nats.Name(sourceShip), nats.Timeout(connectWait),
		nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.cfg.URL, err)
	}
	defer nc.Close()
	messages, err := subscribeAll(ctx, nc)
	if err != nil {
		return err
	}
	defer messages.Stop()
	c.nc = nc
	close(c.up)
	ready()
	return c.receive(ctx, messages)
}

// subscribeAll makes the stream and the durable consumer, bare as Keptn's are.
func subscribeAll(ctx context.Context, nc *nats.Conn) (jetstream.MessagesContext, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "keptn", Subjects: []string{keptnSubject}})
	if err != nil {
		return nil, fmt.Errorf("create stream keptn: %w", err)
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: sourceShip + ":all-events", FilterSubject: keptnSubject, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("create consumer of stream keptn: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("read stream keptn: %w", err)
	}
	return messages, nil
}

// receive takes in what arrives in stream keptn: answers, and what the control
// plane published itself.
func (c *ControlPlane) receive(ctx context.Context, messages jetstream.MessagesContext) error {
	var last uint64 // sequence in the stream that has been taken in
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			c.log.Warn("consumer silent", "stream", "keptn", "err", err)
			continue
		case err != nil:
			return fmt.Errorf("read stream keptn: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read stream keptn: %w", err)
		}
		if meta.Sequence.Stream > last { // else our own stream delivers again, which is no copy
			last = meta.Sequence.Stream
			c.take(m.Data())
		}
		if err := m.Ack(); err != nil {
			c.log.Warn("ack not sent", "stream", "keptn", "err", err)
		}
	}
}

// take counts one event towards its task.
func (c *ControlPlane) take(body []byte) {
	sighting := c.cfg.Seat.Seen(body)
	h, err := readHead(body)
	if err != nil || strings.Count(h.Type, ".") != 4 {
		return // not about a task
	}
	state := h.state()
	if state != "started" && state != "finished" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.open[h.TriggeredID]
	if t == nil {
		if sighting == First || sighting == Local {
			c.progress.Late++
		}
		return
	}
	complete := false
	if state == "started" {
		complete = t.tally.start()
	} else {
		complete = t.finish(body)
	}
	if complete {
		delete(c.open, h.TriggeredID)
		close(t.done)
	}
}

// Progress returns how far the control plane got. It may be called at any time.
func (c *ControlPlane) Progress() Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.progress
	p.Hangs = append([]Hang{}, p.Hangs...)
	return p
}

// A task is a .triggered event that waits for its answers. Its fields are
// guarded by ControlPlane.mu until done is closed.
type task struct {
	tally tally
	data  []map[string]any // of every .finished
	done  chan struct{}    // closed when the task is complete
}

// finish counts the .finished event body and reports whether the task is
// complete.
func (t *task) finish(body []byte) bool {
	var e struct {
		Data map[string]any `json:"data"`
	}
	_ = json.Unmarshal(body, &e) // readHead has read it
	t.data = append(t.data, e.Data)
	result, _ := e.Data["result"].(string)
	status, _ := e.Data["status"].(string)
	return t.tally.finish(verdict{result: result, status: status})
}

// merged returns data with what every plane added, and the verdict of all.
func (t *task) merged(data map[string]any) map[string]any {
	for _, d := range t.data {
		data = merge(data, d)
	}
	v := t.tally.verdict()
	return merge(data, map[string]any{"result": v.result, "status": v.status, "message": ""})
}
