package poll

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
)

// An entry is one open event. Its identity and body do not change; what is known
// of its answers does, under the lock of the index.
type entry struct {
	seq  uint64 // in RW_OPEN
	key  bridge.Key
	kind bridge.Kind
	at   time.Time // when it was stored
	due  time.Time // not to be seen before; zero is at once
	end  time.Time // not to be seen from then on
	json []byte    // as a poll returns it

	id, typ, context        string
	project, stage, service string

	by       map[string]map[string]struct{} // planes that have answered, and the sources that did
	started  map[string]struct{}            // keys of the .started
	finished map[string]struct{}            // keys of the .finished
	notes    []uint64                       // sequences of what is known of it

	// kept holds the planes from which it was hidden. It has a lock of its own.
	kept sync.Map
}

// ttls is how long events are open.
type ttls struct{ task, news time.Duration }

// newEntry reads an event as it was stored.
func newEntry(subject string, body []byte, seq uint64, at time.Time, open ttls) (*entry, error) {
	e, err := bridge.Parse(subject, body)
	if err != nil {
		return nil, err
	}
	n := &entry{
		seq: seq, key: e.Key(), kind: e.Kind, at: at, id: strings.Clone(e.ID), typ: strings.Clone(e.Type),
		context: strings.Clone(e.Context), project: strings.Clone(e.Project), stage: strings.Clone(e.Stage), service: strings.Clone(e.Service),
	}
	if t, err := time.Parse(time.RFC3339, e.Time); err == nil && t.After(at) {
		n.due = t // triggeredAfter: Keptn hides it until then
	}
	open.news = min(open.news, open.task)
	n.end = at.Add(open.news)
	if n.gives() {
		n.end = at.Add(open.task)
	}
	if !n.due.IsZero() {
		n.end = n.end.Add(n.due.Sub(at))
	}
	n.json, err = modelled(body)
	return n, err
}

// gives reports whether the event gives something to do, so that something ends
// it but time.
func (e *entry) gives() bool {
	return e.kind == bridge.KindTaskTriggered || e.kind == bridge.KindSeqTriggered
}

// seen reports whether the event is to be seen now.
func (e *entry) seen(now time.Time) bool {
	return !now.Before(e.due) && now.Before(e.end)
}

// hidden reports whether a plane has begun with all of what it does about the
// event: n integrations of its want it. It stays so for those that come to want it
// later: a distributor forgets what it is not shown any more, and would begin anew
// if it saw it again.
func (e *entry) hidden(plane string, n int) bool {
	if len(e.by[plane]) == 0 {
		return false
	}
	if len(e.by[plane]) >= max(n, 1) {
		e.kept.Store(plane, nil)
		return true
	}
	_, kept := e.kept.Load(plane)
	return kept
}

// A model is an event in the shape of Keptn's API (contract §1.1): its keys in
// alphabetical order, and no others.
type model struct {
	ContentType string          `json:"contenttype,omitempty"`
	Data        json.RawMessage `json:"data"`
	Extensions  json.RawMessage `json:"extensions,omitempty"`
	GitCommitID string          `json:"gitcommitid,omitempty"`
	ID          string          `json:"id,omitempty"`
	Context     string          `json:"shkeptncontext,omitempty"`
	KeptnSpec   string          `json:"shkeptnspecversion,omitempty"`
	Source      *string         `json:"source"`
	SpecVersion string          `json:"specversion,omitempty"`
	Time        string          `json:"time,omitempty"`
	TriggeredID string          `json:"triggeredid,omitempty"`
	Type        *string         `json:"type"`
}

// modelled returns the body of an event in the shape of Keptn's API.
func modelled(body []byte) ([]byte, error) {
	var in struct {
		model
		DataContentType string `json:"datacontenttype"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	if in.ContentType == "" {
		in.ContentType = in.DataContentType
	}
	out, err := json.Marshal(in.model)
	if err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	return out, nil
}

// triggeredType returns the type of the event that an answer of this type
// answers; "" if it is no answer.
func triggeredType(typ string) string {
	if bridge.Classify(typ) != bridge.KindTaskAnswer {
		return ""
	}
	task, _, _ := strings.Cut(strings.TrimPrefix(typ, keptnEvent), ".")
	return keptnEvent + task + triggered
}

const (
	keptnEvent = "sh.keptn.event."
	triggered  = ".triggered"
	started    = ".started"
	finished   = ".finished"
)
