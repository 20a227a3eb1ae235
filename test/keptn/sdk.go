package keptn

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// An SDK is a service made with go-sdk, which speaks to Keptn itself. Its
// fields are its name, which is compiled in, and the variables of its
// environment.
type SDK struct {
	Clock
	Release string // of Keptn whose go-utils it is made with; "" is the newest
	Hosts   Hosts

	Name                  string
	APIEndpoint, APIToken string // KEPTN_API_*; an endpoint switches NATS off
	EventBroker           string // NATS_URL is ignored
	PubSubTopic           string
	Namespace, Node, Pod  string // K8S_NAMESPACE, K8S_NODE_NAME, K8S_POD_NAME
	Deployment, Version   string // K8S_DEPLOYMENT_NAME, K8S_DEPLOYMENT_VERSION
	Location              string

	// Connector makes it a service that uses cp-connector by itself and answers
	// with the older helper of go-utils.
	Connector bool

	// Handler does a task and returns the data of .finished; nil sends none, and
	// a nil Handler answers with pass. It is called for several at once.
	Handler func(ctx context.Context, e Event) map[string]any
	// Gap is called between the end of the old subscriptions and the beginning
	// of new ones. nil does nothing.
	Gap func()

	api  *client
	exit chan *Exit
	work sync.WaitGroup

	mu            sync.Mutex // guards the following fields
	id            string
	subscriptions []Subscription
	nc            *nats.Conn
	subs          map[string]*nats.Subscription
	received      []Event
	over          bool // no more work
}

// Received returns the events that were handled, as often as they were.
func (s *SDK) Received() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

func (s *SDK) remote() bool { return s.APIEndpoint != "" }

// dies ends the process.
func (s *SDK) dies(code int, why string, err error) {
	select {
	case s.exit <- &Exit{s.Name, code, why, err}:
	default: // it is dying
	}
}

// registration is what the service registers as: without filters.
func (s *SDK) registration() Integration {
	out := Integration{Name: s.Name, Subscriptions: []Subscription{}, Metadata: Metadata{
		Hostname: s.Node, IntegrationVersion: s.Version, DistributorVersion: "0.15.0", Location: cmp.Or(s.Location, "control-plane"),
		Kubernetes: Kubernetes{Namespace: s.Namespace, Pod: s.Pod, Deployment: s.Deployment},
	}}
	for _, topic := range list(s.PubSubTopic) {
		out.Subscriptions = append(out.Subscriptions, Subscription{Event: topic})
	}
	return out
}

// Run registers, once, and handles events until ctx ends or the service dies.
func (s *SDK) Run(ctx context.Context, ready func()) error {
	s.api = newClient(s.APIEndpoint, s.APIToken, s.Hosts)
	defer s.api.close()
	s.exit, s.subs = make(chan *Exit, 1), map[string]*nats.Subscription{}
	ctx, cancel := context.WithCancel(ctx)
	defer s.finish(cancel)
	id, err := s.api.register(ctx, s.registration())
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // told to stop
	case err != nil:
		return &Exit{s.Name, 1, "not registered", err}
	}
	s.id = id
	if !s.remote() {
		s.nc, err = nats.Connect(s.EventBroker, nats.MaxReconnects(-1), nats.ReconnectWait(s.of(2*time.Second)))
		if err != nil {
			return &Exit{s.Name, 1, "no NATS", err}
		}
		defer s.nc.Close()
	}
	s.work.Go(func() { s.heartbeat(ctx, ready) })
	if s.remote() {
		s.work.Go(func() { s.poll(ctx) })
	}
	select {
	case <-ctx.Done():
		return nil
	case exit := <-s.exit:
		return exit
	}
}

// finish ends what runs.
func (s *SDK) finish(cancel func()) {
	cancel()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.work.Wait()
}

// heartbeat pings at once and every five seconds, each time with ten tries.
func (s *SDK) heartbeat(ctx context.Context, ready func()) {
	for {
		var subscriptions []Subscription
		err := s.tries(ctx, 10, func() (err error) {
			subscriptions, err = s.api.ping(ctx, s.id)
			return err
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.dies(1, "ping fails", err)
			return
		}
		s.mu.Lock()
		s.subscriptions = subscriptions
		s.mu.Unlock()
		if !s.remote() {
			s.subscribe(ctx, subscriptions)
		}
		ready()
		if !s.pause(ctx, 5*time.Second) {
			return
		}
	}
}

// tries calls f until it works, n times at most and three seconds apart.
func (s *SDK) tries(ctx context.Context, n int, f func() error) error {
	for i := 1; ; i++ {
		err := f()
		if err == nil || i == n || !s.pause(ctx, 3*time.Second) {
			return err
		}
	}
}

// current returns the subscriptions of the last ping.
func (s *SDK) current() []Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.subscriptions)
}

// handle runs a task: .started, the handler, .finished. Nobody looks whether it
// has run before.
func (s *SDK) handle(ctx context.Context, e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.received = append(s.received, e)
	if task(e.TypeName()) == "" || kind(e.TypeName()) != kindTrig {
		return
	}
	s.work.Go(func() {
		d, err := e.Of()
		if err != nil {
			return
		}
		s.answer(ctx, e, kindStarted, s.started(d))
		if data := s.finished(ctx, e, d); data != nil {
			s.answer(ctx, e, kindFinished, data)
		}
	})
}

// started returns the data of .started: what says where the task is.
func (s *SDK) started(d Data) json.RawMessage {
	out := Data{Project: d.Project, Stage: d.Stage, Service: d.Service, Labels: d.Labels}
	if s.Connector {
		out.Status = succeeded
	}
	return encode(out)
}

// finished does the task and returns the data of .finished: what the handler
// says and nothing of the task. nil is for none.
func (s *SDK) finished(ctx context.Context, e Event, d Data) json.RawMessage {
	if s.Handler != nil {
		out := s.Handler(ctx, e)
		if out == nil {
			return nil
		}
		return encode(merge(map[string]any{"status": succeeded, "result": pass}, out))
	}
	d.Status, d.Result, d.Message = succeeded, pass, "done by sdk-task"
	if s.Connector {
		d.Message = "done by cpc-task"
		return encode(d)
	}
	var out map[string]any
	_ = json.Unmarshal(encode(d), &out) // keys in the order of the alphabet
	return encode(out)
}

// answer sends an event about a task. What can not be sent is lost.
func (s *SDK) answer(ctx context.Context, to Event, as string, data json.RawMessage) {
	source, typ := s.Name, strings.TrimSuffix(to.TypeName(), kindTrig)+as
	e := Event{
		ContentType: jsonType, Data: data, ID: newID(), Context: to.Context, KeptnSpec: specVersion, Source: &source,
		SpecVersion: "1.0", Time: time.Now().UTC(), TriggeredID: to.ID, Type: &typ,
	}
	if s.Connector {
		e.Commit = to.Commit
	}
	if l, ok := failure(e, s.id); ok {
		_ = s.api.log(ctx, []LogEntry{l}) // logged at most; the event goes as well
	}
	if s.remote() {
		_ = s.tries(ctx, 3, func() error { return s.api.send(ctx, e) }) // lost
		return
	}
	body := encode(e)
	if s.nc.IsConnected() {
		_ = s.nc.Publish(typ, body) // lost
		return
	}
	nc, err := nats.Connect(s.EventBroker) // not what nats.go would keep for later
	if err != nil {
		return // lost
	}
	defer nc.Close()
	_ = nc.Publish(typ, body) // lost
}
