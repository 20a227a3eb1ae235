package keptn

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Pod is a service that speaks HTTP with a distributor beside it.
type Pod struct {
	Distributor
	Service string // source of its events; "" is sink-service

	// Work does a task and returns what is added to the data of .finished. nil
	// does nothing and is quick.
	Work func(ctx context.Context, e Event) map[string]any

	got     sync.Mutex // guards received
	recv    []Event
	forward string // where events are posted to
}

// Received returns the events that the service was given.
func (p *Pod) Received() []Event {
	p.got.Lock()
	defer p.got.Unlock()
	return slices.Clone(p.recv)
}

// Proxy returns the address of the distributor, as host:port. It is known when
// the pod is ready.
func (p *Pod) Proxy() string { return p.forward }

// Run runs both until the distributor exits or ctx ends.
func (p *Pod) Run(ctx context.Context, ready func()) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return &Exit{"pod", 1, "no listener", err}
	}
	if p.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		_ = l.Close() // not used
		return &Exit{"pod", 1, "no listener", err}
	}
	p.forward = p.listener.Addr().String()
	p.Recipient = cmp.Or(p.Recipient, "http://"+l.Addr().String())
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := httpServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		e, bad := ParseEvent(body)
		if err != nil || bad != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p.got.Lock()
		p.recv = append(p.recv, e)
		p.got.Unlock()
		wg.Go(func() { p.work(ctx, e) })
	}))
	wg.Go(func() { _ = s.Serve(l) }) // ends with Close
	defer shut(s)
	return p.Distributor.Run(ctx, ready)
}

// work answers a task, one way or another.
func (p *Pod) work(ctx context.Context, e Event) {
	data, err := e.Of()
	if kind(e.TypeName()) != kindTrig || task(e.TypeName()) == "" || err != nil {
		return
	}
	common := map[string]any{"project": data.Project, "stage": data.Stage, "service": data.Service, "status": succeeded}
	if data.Labels != nil {
		common["labels"] = data.Labels
	}
	p.post(ctx, e, kindStarted, common)
	result := map[string]any{"result": pass, "message": "done by sink"}
	if p.Work != nil {
		result = merge(result, p.Work(ctx, e))
	}
	p.post(ctx, e, kindFinished, merge(common, result))
}

// post gives an answer to the distributor.
func (p *Pod) post(ctx context.Context, to Event, as string, data map[string]any) {
	typ := strings.TrimSuffix(to.TypeName(), kindTrig) + as
	body := encode(wire{
		SpecVersion: "1.0", ID: newID(), Source: cmp.Or(p.Service, "sink-service"), Type: typ, ContentType: jsonType, Time: time.Now().UTC(),
		Data: data, Context: to.Context, TriggeredID: to.ID,
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.forward+"/event", bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	resp, err := p.api.http.Do(req)
	if err == nil {
		_ = resp.Body.Close() // its answer does not matter
	}
}
