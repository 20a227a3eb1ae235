package keptn

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const datastoreName = "mongodb-datastore"

// A Datastore is mongodb-datastore: it keeps every event it gets, also one it
// has, and dies of one without a type.
type Datastore struct {
	NATS  string // NATS_URL
	Store *Store
}

// Run subscribes in the queue group of its name.
func (d *Datastore) Run(ctx context.Context, ready func()) error {
	nc, err := nats.Connect(d.NATS, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		return &Exit{datastoreName, 1, "no NATS", err}
	}
	defer nc.Close()
	dead, die := make(chan struct{}), sync.Once{}
	sub, err := nc.QueueSubscribe("sh.keptn.event.>", datastoreName, func(m *nats.Msg) {
		e, err := ParseEvent(m.Data)
		switch {
		case err != nil:
		case e.Type == nil:
			die.Do(func() { close(dead) })
		default:
			d.Store.keep(e)
		}
	})
	if err != nil {
		return &Exit{datastoreName, 1, "no subscription", err}
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return &Exit{datastoreName, 1, "no subscription", err}
	}
	if err := nc.Flush(); err != nil {
		return &Exit{datastoreName, 1, "no NATS", err}
	}
	ready()
	select {
	case <-ctx.Done():
		return nil
	case <-dead:
		return &Exit{datastoreName, 2, "panic: nil pointer for an event without type", nil}
	}
}

// keep stores an event; the deletion of a project takes its events along,
// whoever says so.
func (s *Store) keep(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.TypeName() == prefix+"project.delete.finished" {
		gone, _ := e.Of()
		var left []Event
		for _, o := range s.stored {
			if d, _ := o.Of(); d.Project != gone.Project {
				left = append(left, o)
			}
		}
		s.stored = left
		return
	}
	s.stored = append(s.stored, e)
	if e.TriggeredID != "" {
		s.heard[e.TriggeredID]++
	}
}

// Handler returns the HTTP API: GET /event, all on one page.
func (d *Datastore) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /event", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		out := eventPage{Events: []Event{}, NextPageKey: "0"}
		for _, e := range d.Store.Stored() {
			data, _ := e.Of() // no data is no match
			match := true
			for key, v := range map[string]string{
				"project": data.Project, "stage": data.Stage, "service": data.Service, "keptnContext": e.Context,
				"type": e.TypeName(), "source": strings.TrimSpace(deref(e.Source)), "eventID": e.ID,
			} {
				match = match && (q.Get(key) == "" || q.Get(key) == v)
			}
			if match {
				out.Events = append(out.Events, e)
			}
		}
		out.TotalCount = len(out.Events)
		answer(w, http.StatusOK, out)
	})
	return mux
}
