package chaos_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
)

const (
	keptnPrefix = "sh.keptn.event."
	triggered   = ".triggered"
	started     = ".started"
	finished    = ".finished"
)

// An event is what somebody published.
type event struct {
	bridge.Event

	key   bridge.Key
	stamp string    // of the publisher
	by    string    // the publisher
	n     int       // serial number of the publisher: the order of publishing
	at    time.Time // when it began to be published
	body  []byte
}

func (e *event) String() string {
	return fmt.Sprintf("%s %s (stage %s, context %s) of %s in %s", e.ID, e.Type, e.Stage, e.Context, e.by, e.stamp)
}

// A sighting is one copy of an event that somebody was given.
type sighting struct {
	key   bridge.Key
	stamp string
	by    string
	at    time.Time
}

// A journal notes what is published and what arrives. It is safe for
// concurrent use.
type journal struct {
	mu       sync.Mutex // guards the following fields
	events   []*event
	byKey    map[bridge.Key]*event
	serials  map[string]int // by publisher
	sighted  []sighting     // in order
	lastSeen time.Time
}

func newJournal() *journal {
	return &journal{byKey: map[bridge.Key]*event{}, serials: map[string]int{}, lastSeen: time.Now()}
}

// sent notes an event that by in stamp is about to publish on subject.
func (j *journal) sent(stamp, by, subject string, body []byte) {
	e := &event{stamp: stamp, by: by, at: time.Now(), body: body}
	if p, err := bridge.Parse(subject, body); err == nil {
		e.Event, e.key = *p, p.Key()
	} else {
		e.Type, e.key = subject, "bad:"+string(body)
	}
	j.add(e)
}

// add files e, which has everything but its serial number.
func (j *journal) add(e *event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.serials[e.stamp+"/"+e.by]++
	e.n = j.serials[e.stamp+"/"+e.by]
	j.events = append(j.events, e)
	j.byKey[e.key] = e
}

// saw notes that by in stamp was given an event.
func (j *journal) saw(stamp, by string, key bridge.Key) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastSeen = time.Now()
	j.sighted = append(j.sighted, sighting{key: key, stamp: stamp, by: by, at: j.lastSeen})
}

// idle returns for how long nothing has arrived.
func (j *journal) idle() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return time.Since(j.lastSeen)
}

// A head is the part of an event that the actors read.
type head struct {
	ID          string `json:"id"`
	Type        string `json:"type"`
	Source      string `json:"source"`
	Context     string `json:"shkeptncontext"`
	TriggeredID string `json:"triggeredid"`
	Data        struct {
		Project string            `json:"project"`
		Stage   string            `json:"stage"`
		Labels  map[string]string `json:"labels"`
		Result  string            `json:"result"`
		Status  string            `json:"status"`
		Message string            `json:"message"`
	} `json:"data"`
}

func readHead(body []byte) (head, bridge.Key) {
	var h head
	_ = json.Unmarshal(body, &h) // an empty head is no event of ours
	return h, bridge.KeyOf(h.ID, h.Type, h.Type)
}

// kind returns the last part of a type with its dot.
func (h head) kind() string { return h.Type[max(0, strings.LastIndexByte(h.Type, '.')):] }

// newBody makes an event as Keptn's programs do.
func newBody(h head) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":%q,"type":%q,"time":"2026-01-01T00:00:00Z","shkeptncontext":%q,"triggeredid":%q,`+
		`"data":{"project":%q,"stage":%q,"service":"s","labels":{"stamp":%q},"status":"succeeded","result":"pass"}}`,
		h.ID, h.Source, h.Type, h.Context, h.TriggeredID, h.Data.Project, h.Data.Stage, h.Data.Labels["stamp"])
}
