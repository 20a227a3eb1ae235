package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ringway/ringway/topology"
)

// Reasons of an Error. They are on the wire, in the header HeaderReason, and a
// label of metrics.
const (
	ReasonNoRoute   = "no-route"               // 503: nobody in that stamp hears us
	ReasonNoReplica = "no-replica"             // 521: the stamp is there, nobody serves its targets
	ReasonNoTarget  = "no-target"              // 404: the stamp has no target of this name
	ReasonDenied    = "denied"                 // 403: a rule forbids it
	ReasonRefused   = "upstream-refused"       // 502: no connection to the upstream
	ReasonUpstream  = "upstream-failed"        // 502: the upstream broke off or spoke no HTTP
	ReasonLost      = "replica-lost"           // 502: the replica or the way to it is gone; whether the upstream acted is not known
	ReasonTimeout   = "timeout"                // 504: no answer in time
	ReasonTooLarge  = "too-large"              // 413: the body of the request
	ReasonHead      = "head-too-large"         // 431: the header of the request
	ReasonBusy      = "busy"                   // 429: too many requests are open
	ReasonStopping  = "stopping"               // 503: this gateway, or the one that had the request, goes away
	ReasonBad       = "bad-request"            // 400: the request is malformed or its body truncated
	ReasonCancelled = "cancelled"              // 499: whoever asked does not wait any more
	ReasonProtocol  = "protocol"               // 502: frames that make no sense
	StatusNoReplica = 521                      // ReasonNoReplica; not one of HTTP's own
	statusCancelled = 499                      // is never sent to anybody: there is nobody
	HeaderReason    = "Ringway-Reason"         // header of an answer that the tunnel made up
	KeptnTimeout    = 29500 * time.Millisecond // Keptn's own clients give up after 30 s
)

// An Error says why a request was not served, and on which side. It may be
// compared by Reason; whether trying again helps, RetryAfter says.
type Error struct {
	Status     int              // of HTTP
	Reason     string           // one of the list above
	Side       topology.StampID // whose gateway found out
	Message    string           // for a person
	RetryAfter time.Duration    // 0: trying again does not help

	undone bool // the upstream has seen nothing of the request
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (%s)", e.Message, e.Reason) }

// status is the HTTP status of each reason, and after how long to try again.
var status = map[string]struct {
	code  int
	retry time.Duration
}{
	ReasonNoRoute:   {http.StatusServiceUnavailable, 5 * time.Second},
	ReasonNoReplica: {StatusNoReplica, 5 * time.Second},
	ReasonNoTarget:  {http.StatusNotFound, 0},
	ReasonDenied:    {http.StatusForbidden, 0},
	ReasonRefused:   {http.StatusBadGateway, 5 * time.Second},
	ReasonUpstream:  {http.StatusBadGateway, time.Second},
	ReasonLost:      {http.StatusBadGateway, time.Second},
	ReasonTimeout:   {http.StatusGatewayTimeout, time.Second},
	ReasonTooLarge:  {http.StatusRequestEntityTooLarge, 0},
	ReasonHead:      {http.StatusRequestHeaderFieldsTooLarge, 0},
	ReasonBusy:      {http.StatusTooManyRequests, time.Second},
	ReasonStopping:  {http.StatusServiceUnavailable, time.Second},
	ReasonBad:       {http.StatusBadRequest, 0},
	ReasonCancelled: {statusCancelled, 0},
	ReasonProtocol:  {http.StatusBadGateway, 0},
}

// fault returns an Error of side. format and args are for a person.
func fault(side topology.StampID, reason, format string, args ...any) *Error {
	s := status[reason]
	return &Error{
		Status: s.code, Reason: reason, Side: side, RetryAfter: s.retry,
		Message: "gateway of " + string(side) + ": " + fmt.Sprintf(format, args...),
	}
}

// before marks e: the upstream has seen nothing of the request.
func (e *Error) before() *Error {
	e.undone = true
	return e
}

// ended returns why ctx is over, seen from side; doing says what was waited for.
func ended(ctx context.Context, side topology.StampID, doing string) *Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault(side, ReasonTimeout, "no answer in time %s", doing)
	}
	return fault(side, ReasonCancelled, "not waited for %s", doing)
}

// meta returns e as a reset frame says it.
func (e *Error) meta() fields {
	var f fields
	f.num(metaStatus, int64(e.Status))
	f.add(metaReason, e.Reason)
	f.add(metaMessage, e.Message)
	if e.RetryAfter > 0 {
		f.num(metaRetry, int64(e.RetryAfter/time.Second))
	}
	if e.undone {
		f.add(metaUndone, "1")
	}
	return f
}

// parseReset reads the body of a reset frame that side has sent.
func parseReset(side topology.StampID, body []byte) *Error {
	f, _, ok := parseFields(body)
	code := f.int(metaStatus, 0)
	if !ok || code < 400 || code > 599 {
		return fault(side, ReasonProtocol, "malformed end of a request")
	}
	reason := f.get(metaReason)
	if _, known := status[reason]; !known {
		reason = ReasonProtocol // is a label of metrics: a closed list
	}
	return &Error{
		Status: int(code), Reason: reason, Side: side, Message: f.get(metaMessage),
		RetryAfter: time.Duration(f.int(metaRetry, 0)) * time.Second, undone: f.get(metaUndone) != "",
	}
}

// write answers with e in Keptn's shape.
func (e *Error) write(w http.ResponseWriter) {
	b, _ := json.Marshal(struct { // a number and a text
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{e.Status, e.Message})
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set(HeaderReason, e.Reason)
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)))
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(b) // whoever asked may be gone
}
