package demo

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// Names of Keptn's event types.
const (
	typePrefix   = "sh.keptn.event."
	keptnSpec    = "0.2.4"
	sourceShip   = "shipyard-controller"
	keptnSubject = "sh.keptn.>"
)

// A head is the part of an event that tells what it belongs to.
type head struct {
	ID          string `json:"id"`
	Type        string `json:"type"`
	Source      string `json:"source"`
	Context     string `json:"shkeptncontext"`
	TriggeredID string `json:"triggeredid"`
	Data        struct {
		Stage string `json:"stage"`
	} `json:"data"`
}

// readHead reads the head of body.
func readHead(body []byte) (head, error) {
	var h head
	if err := json.Unmarshal(body, &h); err != nil {
		return head{}, fmt.Errorf("read event: %w", err)
	}
	return h, nil
}

// state returns the last part of an event type: triggered, started, finished.
func (h head) state() string { return h.Type[strings.LastIndexByte(h.Type, '.')+1:] }

// common is what every data block of Keptn has.
type common struct {
	Project string            `json:"project,omitempty"`
	Stage   string            `json:"stage,omitempty"`
	Service string            `json:"service,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Status  string            `json:"status,omitempty"`
	Result  string            `json:"result,omitempty"`
	Message string            `json:"message,omitempty"`
}

// triggered makes the body of an event as shipyard-controller publishes it:
// attributes in the order of the CloudEvents SDK, extensions flattened.
func triggered(h head, ext map[string]string, data map[string]any, now time.Time) ([]byte, error) {
	e := cloudevents.New()
	e.SetID(h.ID)
	e.SetSource(sourceShip)
	e.SetType(h.Type)
	e.SetTime(now.UTC())
	e.SetExtension("shkeptncontext", h.Context)
	e.SetExtension("shkeptnspecversion", keptnSpec)
	for k, v := range ext {
		e.SetExtension(k, v)
	}
	if err := e.SetData("application/json", data); err != nil {
		return nil, fmt.Errorf("encode data of %s: %w", h.Type, err)
	}
	body, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", h.Type, err)
	}
	return body, nil
}

// An answer is an event as Keptn's go-sdk publishes it: attributes in the
// order of the alphabet, contenttype instead of datacontenttype.
type answer struct {
	ContentType string    `json:"contenttype"`
	Data        any       `json:"data"`
	ID          string    `json:"id"`
	Context     string    `json:"shkeptncontext"`
	Spec        string    `json:"shkeptnspecversion"`
	Source      string    `json:"source"`
	SpecVersion string    `json:"specversion"`
	Time        time.Time `json:"time"`
	TriggeredID string    `json:"triggeredid"`
	Type        string    `json:"type"`
}

// newAnswer makes the answer of source to the triggered event to.
func newAnswer(to head, typ, source string, data any, now time.Time) ([]byte, error) {
	body, err := json.Marshal(answer{
		ContentType: "application/json", Data: data, ID: newID(), Context: to.Context,
		Spec: keptnSpec, Source: source, SpecVersion: "1.0", Time: now.UTC(),
		TriggeredID: to.ID, Type: typ,
	})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	return body, nil
}

// newID returns a random UUID, version 4.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// matches reports whether subject is matched by pattern, a NATS subject that
// may hold * and >.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s), token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}
