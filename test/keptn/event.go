package keptn

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// Parts of event types.
const (
	prefix       = "sh.keptn.event."
	allSubjects  = "sh.keptn.>"
	kindTrig     = "triggered"
	kindStarted  = "started"
	kindFinished = "finished"
	typeLogError = "sh.keptn.log.error"
	specVersion  = "0.2.4"
	jsonType     = "application/json"
)

// An Event is an event in the shape of go-utils, which api-service, go-sdk and
// the uniform API write: keys in the order of the alphabet, contenttype, and no
// key that it does not know.
type Event struct {
	ContentType string          `json:"contenttype,omitempty"`
	Data        json.RawMessage `json:"data"`
	Extensions  map[string]any  `json:"extensions,omitempty"`
	ID          string          `json:"id,omitempty"`
	Context     string          `json:"shkeptncontext,omitempty"`
	KeptnSpec   string          `json:"shkeptnspecversion,omitempty"`
	Source      *string         `json:"source"`
	SpecVersion string          `json:"specversion,omitempty"`
	Time        time.Time       `json:"time,omitzero"`
	TriggeredID string          `json:"triggeredid,omitempty"`
	Commit      string          `json:"gitcommitid,omitempty"`
	Type        *string         `json:"type"`
}

// A Data is what the data of every Keptn event may hold.
type Data struct {
	Project string            `json:"project,omitempty"`
	Stage   string            `json:"stage,omitempty"`
	Service string            `json:"service,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Status  string            `json:"status,omitempty"`
	Result  string            `json:"result,omitempty"`
	Message string            `json:"message,omitempty"`
}

// ParseEvent reads an event as go-utils does: what is unknown is lost, and a
// missing type or source stays nil.
func ParseEvent(body []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(body, &e); err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	return e, nil
}

// Of returns the common data. One label that is no string makes all of it
// unreadable.
func (e Event) Of() (Data, error) {
	var d Data
	if len(e.Data) == 0 {
		return d, errors.New("read data: there is none")
	}
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return Data{}, fmt.Errorf("read data: %w", err)
	}
	return d, nil
}

// TypeName returns the type, or "" for none.
func (e Event) TypeName() string { return deref(e.Type) }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// kind returns the last part of a type.
func kind(typ string) string { return typ[strings.LastIndexByte(typ, '.')+1:] }

// task returns the task of a type of five parts, or "".
func task(typ string) string {
	parts := strings.Split(typ, ".")
	if len(parts) != 5 || !strings.HasPrefix(typ, prefix) {
		return ""
	}
	return parts[3]
}

// sequence returns stage and sequence of a type of six parts, or "".
func sequence(typ string) (stage, name string) {
	parts := strings.Split(typ, ".")
	if len(parts) != 6 || !strings.HasPrefix(typ, prefix) {
		return "", ""
	}
	return parts[3], parts[4]
}

// withSubscription returns data with the id of the subscription that it was
// received by, as temporaryData.distributor.subscriptionID, unless there is
// temporaryData of somebody else.
func withSubscription(data json.RawMessage, id string) json.RawMessage {
	var m map[string]any
	if json.Unmarshal(data, &m) != nil || m == nil {
		return data
	}
	tmp, ok := m["temporaryData"].(map[string]any)
	if !ok {
		tmp = map[string]any{"distributor": map[string]any{}}
	}
	mine, ok := tmp["distributor"].(map[string]any)
	if !ok {
		return data
	}
	mine["subscriptionID"] = id
	m["temporaryData"] = tmp
	return encode(m)
}

// sdk returns the event in the shape of the CloudEvents SDK with all of
// Keptn's extensions, empty or not, as go-utils converts it.
func (e Event) sdk() ([]byte, error) {
	if e.Type == nil || e.Source == nil {
		return nil, errors.New("convert event: no type or no source")
	}
	out := cloudevents.New()
	out.SetID(e.ID)
	out.SetSource(*e.Source)
	out.SetType(*e.Type)
	out.SetTime(e.Time)
	for k, v := range map[string]string{
		"shkeptncontext": e.Context, "triggeredid": e.TriggeredID, "gitcommitid": e.Commit, "shkeptnspecversion": e.KeptnSpec,
	} {
		out.SetExtension(k, v)
	}
	var data any
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return nil, fmt.Errorf("convert event: %w", err)
	}
	if err := out.SetData(jsonType, data); err != nil {
		return nil, fmt.Errorf("convert event: %w", err)
	}
	return out.MarshalJSON()
}

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return uuid(b)
}

// uuid writes 16 bytes as a UUID.
func uuid(b [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// encode returns v as JSON. It is given only what can be encoded.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}
