package task

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/ringway/ringway/topology"
)

// specVersion is the version of Keptn's event format that Keptn 0.19 and 1.4
// write (contract §1.2).
const specVersion = "0.2.4"

// A written is an answer in a stamp's name.
type written struct {
	Type string
	ID   string
	Body []byte
}

// data is the common part of Keptn's task events (contract §1.4).
type data struct {
	Project string            `json:"project"`
	Stage   string            `json:"stage"`
	Service string            `json:"service"`
	Labels  map[string]string `json:"labels,omitempty"`
	Status  string            `json:"status,omitempty"`
	Result  string            `json:"result,omitempty"`
	Message string            `json:"message,omitempty"`
}

// write makes the events of an order: a .finished, and before it a .started if
// the stamp has sent none. Writing an order again makes events with the same
// ids, so that they are stored once.
func (t *Task) write(o Order, now time.Time) ([]written, error) {
	task := strings.TrimSuffix(t.Type, ".triggered")
	var out []written
	if o.Start {
		w, err := t.event(idOf(t.ID, task+".started", o.Stamp, o.Source), task+".started", o, data{Message: o.Why}, now)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	d := data{Status: "succeeded", Result: "warning", Message: o.Why}
	if o.Errored {
		d.Status, d.Result = "errored", "fail"
	}
	w, err := t.event(idOf(t.ID, task+".finished", o.Stamp, o.Source), task+".finished", o, d, now)
	return append(out, w), err
}

func (t *Task) event(id, typ string, o Order, d data, now time.Time) (written, error) {
	d.Project, d.Stage, d.Service, d.Labels = t.Project, t.Stage, t.Service, t.Labels
	e := cloudevents.New()
	e.SetID(id)
	e.SetType(typ)
	e.SetSource(o.Source)
	e.SetTime(now.UTC())
	e.SetExtension("shkeptncontext", t.Context)
	e.SetExtension("triggeredid", t.ID)
	e.SetExtension("shkeptnspecversion", specVersion)
	if t.CommitID != "" {
		e.SetExtension("gitcommitid", t.CommitID)
	}
	if err := e.SetData(cloudevents.ApplicationJSON, d); err != nil {
		return written{}, fmt.Errorf("write answer for stamp %s: %w", o.Stamp, err)
	}
	body, err := e.MarshalJSON()
	if err != nil {
		return written{}, fmt.Errorf("write answer for stamp %s: %w", o.Stamp, err)
	}
	return written{Type: typ, ID: e.ID(), Body: body}, nil
}

// idOf makes the id of an answer in a stamp's name: a UUID that is a function
// of what it answers.
func idOf(triggered, typ string, stamp topology.StampID, source string) string {
	h := sha256.Sum256([]byte(strings.Join([]string{triggered, typ, string(stamp), source}, "\x00")))
	h[6] = h[6]&0x0f | 0x80 // version 8: made up by an application
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
