package face

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/ringway/ringway/bridge/tunnel"
)

// Why a request was answered here. They are in the header Ringway-Reason and a
// label of metrics.
const (
	reasonNowhere  = "not-found"  // 404: nothing is served at this path
	reasonToken    = "token"      // 401: none, or a wrong one
	reasonClosed   = "closed"     // 401: there are no tokens
	reasonReview   = "review"     // 503: the cluster's API does not say whose token it is
	reasonLimited  = "limited"    // 429: too many wrong ones
	reasonSource   = "source"     // 403: the address may not connect without a token
	reasonDenied   = "denied"     // 403: Keptn's own gateway denies it, too
	reasonTooLarge = "too-large"  // 413: the body
	reasonClimbs   = "bad-target" // 400: goes up with ..
	reasonOff      = "off"        // 403: the tunnel is not open to clients
	reasonNoTarget = "no-target"  // 404: the topology has no such stamp
	reasonOrigin   = "origin"     // 403: a page of another site asks in somebody's browser
	// reasonCrowded is for metrics alone: such a connection is closed.
	reasonCrowded = "connections"
)

// Answer answers in the shape that Keptn's clients read.
func Answer(w http.ResponseWriter, code int, reason, message string) {
	answerAs(w, "application/json", code, reason, message)
}

func answerAs(w http.ResponseWriter, contentType string, code int, reason, message string) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // it is read by people: <stamp>
	_ = enc.Encode(struct {  // a number and a text
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, message})
	b := bytes.TrimSuffix(body.Bytes(), []byte{'\n'})
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(tunnel.HeaderReason, reason)
	w.WriteHeader(code)
	_, _ = w.Write(b) // whoever asked may be gone
}
