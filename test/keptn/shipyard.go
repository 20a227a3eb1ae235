package keptn

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const shipyardName = "shipyard-controller"

// A Shipyard is shipyard-controller. Its HTTP side is Handler.
type Shipyard struct {
	NATS  string // NATS_URL
	Store *Store

	// AckWait is after how long stream keptn offers again what was not
	// acknowledged; 0 is 30 s. It is not compressed: a slow machine would then
	// count events twice.
	AckWait time.Duration

	nc *nats.Conn
}

// Run makes stream keptn and its durable consumer, then takes in events. An
// event without type or source ends it before it is acknowledged, so that the
// next run meets the event again.
func (s *Shipyard) Run(ctx context.Context, ready func()) error {
	nc, err := nats.Connect(s.NATS, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		return &Exit{shipyardName, 1, "no NATS", err}
	}
	defer nc.Close()
	s.nc = nc
	consumer, err := s.consumer(ctx, nc)
	if err != nil {
		return &Exit{shipyardName, 1, "no stream", err}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { s.tick(ctx) })
	ready()
	return s.receive(ctx, consumer, &wg)
}

// consumer sees to the stream, which it creates or sets back to the bare
// configuration, and returns the durable consumer.
func (s *Shipyard) consumer(ctx context.Context, nc *nats.Conn) (jetstream.Consumer, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	cfg := jetstream.StreamConfig{Name: "keptn", Subjects: []string{allSubjects}}
	_, err = js.Stream(ctx, cfg.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		_, err = js.CreateStream(ctx, cfg)
	case err == nil:
		_, err = js.UpdateStream(ctx, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("stream keptn: %w", err)
	}
	return js.CreateOrUpdateConsumer(ctx, cfg.Name, jetstream.ConsumerConfig{
		Durable: shipyardName + ":all-events", FilterSubject: allSubjects, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: cmp.Or(s.AckWait, 30*time.Second),
	})
}

// receive takes in events until one is its end. When the stream can not be read
// it tries again: only on its start it wants everything to be there.
func (s *Shipyard) receive(ctx context.Context, consumer jetstream.Consumer, wg *sync.WaitGroup) error {
	for ctx.Err() == nil {
		messages, err := consumer.Messages(jetstream.PullMaxMessages(10))
		if err == nil {
			exit := s.read(ctx, messages, wg)
			messages.Stop()
			if exit != nil {
				return exit
			}
		}
		(Clock{}).pause(ctx, 20*time.Millisecond)
	}
	return nil
}

// read hands each event to a goroutine of its own, so their order is not kept,
// and acknowledges it whatever becomes of it.
func (s *Shipyard) read(ctx context.Context, messages jetstream.MessagesContext, wg *sync.WaitGroup) *Exit {
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case errors.Is(err, jetstream.ErrNoHeartbeat) && ctx.Err() == nil:
			continue // the server is away
		case err != nil:
			return nil //nolint:nilerr // told to stop, or to try again
		}
		if e, err := ParseEvent(m.Data()); err == nil {
			if e.Type == nil || e.Source == nil {
				return &Exit{shipyardName, 2, "panic: nil pointer in HandleIncomingEvent", nil}
			}
			wg.Go(func() { s.handle(e) })
		}
		_ = m.Ack() // what is not acknowledged comes again, and is counted again
	}
}

// tick starts what was blocked and gives up on tasks that nobody answers.
func (s *Shipyard) tick(ctx context.Context) {
	blocked, watch := time.NewTicker(s.Store.clock.of(10*time.Second)), time.NewTicker(s.Store.clock.of(time.Minute))
	defer blocked.Stop()
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-blocked.C:
			s.dispatch()
		case <-watch.C:
			s.giveUp()
		}
	}
}

// handle does what an event asks for.
func (s *Shipyard) handle(e Event) {
	var err error
	_, name := sequence(e.TypeName())
	switch k := kind(e.TypeName()); {
	case name != "" && k == kindTrig:
		err = s.trigger(e)
	case task(e.TypeName()) != "" && (k == kindStarted || k == kindFinished):
		err = s.progress(e)
	}
	if err != nil {
		s.Store.mu.Lock()
		defer s.Store.mu.Unlock()
		s.Store.dropped[e.ID] = err
	}
}

// scope returns the data of an event that has project, stage and service.
func scope(e Event) (Data, error) {
	d, err := e.Of()
	if err == nil && (d.Project == "" || d.Stage == "" || d.Service == "") {
		err = errors.New("event has no project, stage or service")
	}
	return d, err
}

// trigger takes up a sequence, once for each id.
func (s *Shipyard) trigger(e Event) error {
	d, err := scope(e)
	if err != nil {
		return err
	}
	s.Store.mu.Lock()
	defer s.Store.mu.Unlock()
	stage, name := sequence(e.TypeName())
	p := s.Store.project(d.Project)
	if p == nil || p.stage(stage) < 0 || p.Sequence != name {
		return fmt.Errorf("no sequence %s in stage %s of project %s", name, stage, d.Project)
	}
	for _, x := range s.Store.executions {
		if x.TriggeredID == e.ID {
			return nil
		}
	}
	x := &execution{tasks: p.Stages[p.stage(stage)].Tasks, Sequence: Sequence{
		Project: d.Project, Stage: stage, Service: d.Service, Name: name, Context: e.Context, TriggeredID: e.ID, State: Queued,
	}}
	if err := json.Unmarshal(e.Data, &x.data); err != nil {
		return err
	}
	x.data["stage"] = stage
	s.Store.executions = append(s.Store.executions, x)
	s.Store.open = append(s.Store.open, e)
	s.begin(x)
	return nil
}

// dispatch starts what is not blocked any more.
func (s *Shipyard) dispatch() {
	s.Store.mu.Lock()
	defer s.Store.mu.Unlock()
	for _, x := range s.Store.executions {
		s.begin(x)
	}
}

// begin starts a sequence unless another of the same service in the same stage
// runs. mu is held.
func (s *Shipyard) begin(x *execution) {
	if x.State != Queued {
		return
	}
	for _, o := range s.Store.executions {
		if o.State == Running && o.Project == x.Project && o.Stage == x.Stage && o.Service == x.Service {
			return
		}
	}
	x.State = Running
	s.proceed(x)
}

// proceed triggers the next task, or ends the sequence. mu is held.
func (s *Shipyard) proceed(x *execution) {
	if len(x.Tasks) == len(x.tasks) || x.failed() {
		s.finish(x, Finished)
		return
	}
	name := x.tasks[len(x.Tasks)]
	e := s.publish(x, prefix+name+"."+kindTrig, "", x.next(name))
	x.Tasks = append(x.Tasks, Task{Name: name, TriggeredID: e.ID, at: time.Now()})
	s.Store.open = append(s.Store.open, e)
}

// progress counts an answer.
func (s *Shipyard) progress(e Event) error {
	d, err := scope(e)
	if err != nil {
		return err
	}
	s.Store.mu.Lock()
	defer s.Store.mu.Unlock()
	for _, x := range s.Store.executions {
		t := x.current()
		if t == nil || x.Project != d.Project || x.Context != e.Context || e.TriggeredID != "" && e.TriggeredID != t.TriggeredID {
			continue
		}
		if t.add(e) {
			s.Store.close(t.TriggeredID)
			x.learn(t)
			s.proceed(x)
		}
		return nil
	}
	s.Store.late = append(s.Store.late, e)
	return nil
}

// finish ends a sequence and starts the same in the next stage, if it has not
// failed. mu is held.
func (s *Shipyard) finish(x *execution, state string) {
	switch {
	case state == TimedOut:
		x.Result, x.Status = fail, errored
	case state == Aborted:
		x.Result, x.Status = fail, aborted
	case len(x.tasks) == 0:
		x.Result, x.Status = pass, succeeded
	}
	x.State = state
	for _, t := range x.Tasks {
		s.Store.close(t.TriggeredID)
	}
	s.Store.close(x.TriggeredID)
	s.publish(x, prefix+x.Stage+"."+x.Name+"."+kindFinished, x.TriggeredID, x.next(""))
	p := s.Store.project(x.Project)
	at := p.stage(x.Stage) + 1
	if x.failed() || at == len(p.Stages) {
		return
	}
	stage := p.Stages[at]
	n := &execution{tasks: stage.Tasks, Sequence: x.Sequence, data: merge(x.data, map[string]any{"stage": stage.Name})}
	n.Stage, n.State, n.Tasks, n.Result, n.Status = stage.Name, Queued, nil, "", ""
	e := s.publish(n, prefix+stage.Name+"."+x.Name+"."+kindTrig, "", n.next(""))
	n.TriggeredID = e.ID
	s.Store.executions = append(s.Store.executions, n)
	s.Store.open = append(s.Store.open, e)
	s.begin(n)
}

// giveUp ends the sequences whose task has waited for ten minutes without any
// event about it in mongodb-datastore.
func (s *Shipyard) giveUp() {
	s.Store.mu.Lock()
	defer s.Store.mu.Unlock()
	for _, x := range s.Store.executions {
		t := x.current()
		if t != nil && time.Since(t.at) > s.Store.clock.of(10*time.Minute) && s.Store.heard[t.TriggeredID] == 0 {
			s.finish(x, TimedOut)
		}
	}
}

// abort ends the sequences of a context that are under way, and reports whether
// there were any.
func (s *Shipyard) abort(project, shkeptncontext string) bool {
	s.Store.mu.Lock()
	defer s.Store.mu.Unlock()
	found := false
	for _, x := range s.Store.executions {
		if x.Project == project && x.Context == shkeptncontext && (x.State == Queued || x.State == Running) {
			found = true
			s.finish(x, Aborted)
		}
	}
	return found
}

// onControl takes the order to abort, the only one it knows.
func (s *Shipyard) onControl(w http.ResponseWriter, r *http.Request) {
	var in struct{ State string }
	if !read(w, r, &in) {
		return
	}
	switch {
	case in.State != "abort":
		refuse(w, http.StatusBadRequest, "unknown state "+in.State)
	case !s.abort(r.PathValue("project"), r.PathValue("context")):
		refuse(w, http.StatusNotFound, "sequence not found")
	default:
		answer(w, http.StatusOK, struct{}{})
	}
}

// A wire is an event in the shape of the CloudEvents SDK.
type wire struct {
	SpecVersion string         `json:"specversion"`
	ID          string         `json:"id"`
	Source      string         `json:"source"`
	Type        string         `json:"type"`
	ContentType string         `json:"datacontenttype"`
	Time        time.Time      `json:"time"`
	Data        map[string]any `json:"data"`
	Commit      string         `json:"gitcommitid,omitempty"`
	Context     string         `json:"shkeptncontext"`
	KeptnSpec   string         `json:"shkeptnspecversion,omitempty"`
	TriggeredID string         `json:"triggeredid,omitempty"`
}

// publish sends an event about a sequence, and nobody knows whether it arrived.
func (s *Shipyard) publish(x *execution, typ, triggeredID string, data map[string]any) Event {
	w := wire{
		SpecVersion: "1.0", ID: newID(), Source: shipyardName, Type: typ, ContentType: jsonType, Time: time.Now().UTC(), Data: data,
		Commit: commit(x.Context), Context: x.Context, KeptnSpec: specVersion, TriggeredID: triggeredID,
	}
	_ = s.nc.Publish(typ, encode(w)) // as the original: logged at most
	source := w.Source
	return Event{
		ContentType: jsonType, Data: encode(data), ID: w.ID, Context: w.Context, KeptnSpec: w.KeptnSpec, Source: &source,
		SpecVersion: w.SpecVersion, Time: w.Time.Truncate(time.Millisecond), TriggeredID: triggeredID, Commit: w.Commit, Type: &typ,
	}
}

// Handler returns the HTTP API.
func (s *Shipyard) Handler() http.Handler {
	mux := http.NewServeMux()
	s.Store.uniform.serve(mux)
	mux.HandleFunc("GET /v1/event/triggered/{type}", s.Store.onTriggered)
	mux.HandleFunc("POST /v1/log", s.Store.onLog)
	mux.HandleFunc("GET /v1/log", s.Store.onLogs)
	mux.HandleFunc("DELETE /v1/log", s.Store.onForget)
	mux.HandleFunc("POST /v1/sequence/{project}/{context}/control", s.onControl)
	mux.HandleFunc("POST /v1/event", func(w http.ResponseWriter, r *http.Request) {
		var e Event
		if !read(w, r, &e) {
			return
		}
		if e.ID == "" || e.Time.IsZero() || e.Type == nil || e.Source == nil {
			refuse(w, http.StatusBadRequest, "id, time, type and source are required")
			return
		}
		s.handle(e)
		answer(w, http.StatusOK, struct{}{})
	})
	return mux
}
