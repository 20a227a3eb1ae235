package keptn

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A natsReceiver is the connection by which events come and what is subscribed
// to on it.
type natsReceiver struct {
	nc       *nats.Conn
	subjects []string // sorted
	subs     []*nats.Subscription
}

// receive connects and subscribes to the topics of the environment.
func (d *Distributor) receive() (func(), *Exit) {
	nc, err := nats.Connect(d.PubSubURL, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(d.of(2*time.Second)))
	if err != nil {
		return nil, &Exit{distributorName, 1, "no NATS", err}
	}
	if !nc.IsConnected() {
		nc.Close()
		return nil, &Exit{distributorName, 1, "no NATS to subscribe at", nats.ErrConnectionClosed}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nats.nc = nc
	if err := d.subscribe(list(d.PubSubTopic)); err != nil {
		nc.Close()
		return nil, &Exit{distributorName, 1, "no subscription", err}
	}
	return func() {
		nc.Close()
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, p := range d.publishers {
			p.Close()
		}
	}, nil
}

// subscribe subscribes to subjects in the queue group. mu is held.
func (d *Distributor) subscribe(subjects []string) error {
	d.nats.subjects, d.nats.subs = slices.Sorted(slices.Values(subjects)), nil
	for _, s := range subjects {
		sub, err := d.nats.nc.QueueSubscribe(s, d.PubSubGroup, d.take)
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", s, err)
		}
		d.nats.subs = append(d.nats.subs, sub)
	}
	return d.nats.nc.Flush()
}

// resubscribe subscribes to what a ping said, if that is something else than
// before: first nothing, then everything. No list leaves all as it is.
func (d *Distributor) resubscribe(subscriptions []Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var subjects []string
	for _, s := range subscriptions {
		if !slices.Contains(subjects, s.Event) {
			subjects = append(subjects, s.Event)
		}
	}
	if d.nats.nc == nil || len(subjects) == 0 || slices.Equal(slices.Sorted(slices.Values(subjects)), d.nats.subjects) {
		return
	}
	for _, s := range d.nats.subs {
		_ = s.Unsubscribe() // it is gone anyway
	}
	_ = d.nats.nc.Flush() // as above
	if d.Gap != nil {
		d.Gap()
	}
	_ = d.subscribe(subjects) // the next ping tries again if they differ
}

// take handles one message. What is no event is ignored, and what no
// subscription is about is gone, for the whole queue group.
func (d *Distributor) take(m *nats.Msg) {
	e, err := ParseEvent(m.Data)
	if err != nil || e.Type == nil || e.Source == nil {
		return
	}
	data, err := e.Of()
	if err != nil {
		return
	}
	d.delivery.Lock()
	defer d.delivery.Unlock()
	if !d.registers() {
		if d.filter().matches(data) {
			_ = d.deliver(context.Background(), e) // lost
		}
		return
	}
	var about []Subscription
	for _, s := range d.current() {
		if s.Event == m.Sub.Subject && s.Filter.matches(data) {
			about = append(about, s)
		}
	}
	for i, s := range about {
		if !d.first(s.ID+" "+e.ID, i == len(about)-1) {
			continue
		}
		one := e
		one.Data = withSubscription(e.Data, s.ID)
		_ = d.deliver(context.Background(), one) // lost
	}
}

// first reports whether key is new. It is remembered for 10 s; up to 0.19 for
// ever, unless it is of the last subscription.
func (d *Distributor) first(key string, last bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, known := d.given[key]
	if known && (until.IsZero() || time.Now().Before(until)) {
		return false
	}
	if last || d.Release != Release019 {
		d.given[key] = time.Now().Add(d.of(10 * time.Second))
	} else {
		d.given[key] = time.Time{}
	}
	return true
}

// poll asks for open events at each tick. What is open stays known, until it is
// not open any more or the process ends.
func (d *Distributor) poll(ctx context.Context, wg *sync.WaitGroup) {
	known := map[string][]string{} // ids of events by subscription
	var mu sync.Mutex              // guards known
	for d.pause(ctx, cmp.Or(d.PollingInterval, 10*time.Second)) {
		for _, s := range d.current() {
			events, err := d.api.open(ctx, s)
			if err != nil {
				continue // logged
			}
			mu.Lock()
			var ids []string
			for _, e := range events {
				ids = append(ids, e.ID)
				data, err := e.Of()
				if slices.Contains(known[s.ID], e.ID) || err != nil || !s.Filter.matches(data) {
					continue
				}
				e.Data = withSubscription(e.Data, s.ID)
				wg.Go(func() {
					if d.deliver(ctx, e) != nil {
						mu.Lock()
						defer mu.Unlock()
						known[s.ID] = slices.DeleteFunc(known[s.ID], func(id string) bool { return id == e.ID })
					}
				})
			}
			known[s.ID] = ids
			mu.Unlock()
		}
	}
}

// deliver posts an event to the service, four times at most and within 5 s.
func (d *Distributor) deliver(ctx context.Context, e Event) error {
	body, err := e.sdk()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for attempt := 1; ; attempt++ {
		if err = d.post(ctx, body); err == nil || attempt == 4 {
			return err
		}
		if !d.pause(ctx, time.Duration(attempt)*700*time.Millisecond) {
			return err
		}
	}
}

func (d *Distributor) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Recipient, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("deliver to %s: %w", d.Recipient, err)
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	resp, err := d.api.http.Do(req)
	if err != nil {
		return fmt.Errorf("deliver to %s: %w", d.Recipient, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body) // only its status counts
	_ = resp.Body.Close()                 // nothing is left in it
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("deliver to %s: status %d", d.Recipient, resp.StatusCode)
	}
	return nil
}
