package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ringway/ringway/topology"
)

// ErrInvalid reports a message that is not an event Keptn could read. It is
// permanent: sending the message again cannot help.
var ErrInvalid = errors.New("not a Keptn event")

// An Event holds the few fields of a CloudEvent that decide where it goes. The
// strings share memory with one copy of the body.
type Event struct {
	ID          string
	Type        string
	Source      string
	SpecVersion string
	Time        string
	Context     string // shkeptncontext
	TriggeredID string
	Project     string // data.project
	Stage       string // data.stage
	Service     string // data.service
	Kind        Kind

	// GivenBy is the stamp that gave the task which an Unaddressed event is
	// about. Whoever routes the event finds that out; empty is not known.
	GivenBy topology.StampID

	body []byte
}

// Parse reads the event in body that was published on subject, and checks what
// Keptn's programs would crash or hang on (contract §8-9): a JSON object with
// type equal to the subject, source, id, specversion, a readable time, a data
// object with labels that are strings, and for task events the project, stage,
// service and context they belong to. Every error wraps ErrInvalid.
//
// body is kept, and must not be changed.
func Parse(subject string, body []byte) (*Event, error) {
	e := &Event{body: body}
	if err := scanEvent(e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	e.Kind = Classify(e.Type)
	if err := e.check(subject); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return e, nil
}

func (e *Event) check(subject string) error {
	switch {
	case e.Type == "":
		return errors.New("no type")
	case e.Type != subject:
		return fmt.Errorf("type %.100q is not the subject", e.Type)
	case e.Source == "":
		return errors.New("no source")
	case e.ID == "":
		return errors.New("no id")
	case e.SpecVersion == "":
		return errors.New("no specversion")
	}
	if e.Time != "" {
		if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
			return fmt.Errorf("time %.40q is not RFC 3339", e.Time)
		}
	}
	return e.checkTask()
}

// checkTask asks of a task event what shipyard-controller needs to find the
// sequence it belongs to.
func (e *Event) checkTask() error {
	if e.Kind != KindTaskTriggered && e.Kind != KindTaskAnswer {
		return nil
	}
	switch {
	case e.Project == "":
		return errors.New("no data.project")
	case e.Stage == "":
		return errors.New("no data.stage")
	case e.Service == "":
		return errors.New("no data.service")
	case e.Context == "":
		return errors.New("no shkeptncontext")
	case e.Kind == KindTaskAnswer && e.TriggeredID == "":
		return errors.New("no triggeredid")
	}
	return nil
}

// Detach gives texts memory of their own, one piece for all. A text that is part
// of an event keeps all of its body in memory, and of the pack that it came in.
func Detach(texts ...*string) {
	size := 0
	for _, t := range texts {
		size += len(*t)
	}
	var b strings.Builder
	b.Grow(size)
	for _, t := range texts {
		b.WriteString(*t)
	}
	all := b.String()
	for _, t := range texts {
		n := len(*t)
		*t, all = all[:n], all[n:]
	}
}

// Key returns the identity of the event over all hops.
func (e *Event) Key() Key { return KeyOf(e.ID, e.Type, e.Type) }

// Has reports whether k is the Key of the event.
func (e *Event) Has(k Key) bool { return isKey(k, e.ID, e.Type, e.Type) }

// Env decodes the whole event for an expression of the topology. It is slow
// compared with Parse, and called only where a rule has an expression.
func (e *Event) Env() topology.Env {
	var full struct {
		Data map[string]any `json:"data"`
	}
	// Parse has read the body as JSON; what does not fit the shape is absent.
	_ = json.Unmarshal(e.body, &full)
	labels := map[string]string{}
	if m, ok := full.Data["labels"].(map[string]any); ok {
		for k, v := range m {
			if s, ok := v.(string); ok {
				labels[k] = s
			}
		}
	}
	return topology.Env{
		Type: e.Type, Source: e.Source, ID: e.ID,
		Project: e.Project, Stage: e.Stage, Service: e.Service,
		Labels: labels, Data: full.Data,
	}
}

// TypeOf returns the type of the event in body, which is the subject Keptn
// publishes it on. Its error wraps ErrInvalid.
func TypeOf(body []byte) (string, error) {
	e := &Event{body: body}
	if err := scanEvent(e); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return e.Type, nil
}
