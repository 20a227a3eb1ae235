package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrQuestion reports a question that makes no sense.
var ErrQuestion = errors.New("wrong question")

// why answers what became of the event with ?id=, which may be a shkeptncontext.
func (s *Server) why(w http.ResponseWriter, r *http.Request) {
	story, err := s.cfg.Why(r.Context(), r.URL.Query().Get("id"))
	switch {
	case errors.Is(err, ErrQuestion):
		fail(w, http.StatusBadRequest, err)
	case err != nil:
		fail(w, http.StatusInternalServerError, err)
	default:
		reply(w, http.StatusOK, story)
	}
}

// lineTimeout is how long a client may take to read a line of a tail.
const lineTimeout = 30 * time.Second

// tail streams what happens to events: a JSON object a line, or server-sent events
// if the client asks for those.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) {
	t := &tail{w: w, ctl: http.NewResponseController(w), sse: strings.Contains(r.Header.Get("Accept"), "text/event-stream")}
	// The stream lasts longer than any other answer.
	_ = t.ctl.SetReadDeadline(time.Time{}) // then it ends with the server's own
	err := s.cfg.Tail(r.Context(), r.URL.Query(), t.line)
	switch {
	case err == nil || t.begun:
	case errors.Is(err, ErrQuestion):
		fail(w, http.StatusBadRequest, err)
	default:
		fail(w, http.StatusInternalServerError, err)
	}
}

// A tail writes lines.
type tail struct {
	w     http.ResponseWriter
	ctl   *http.ResponseController
	sse   bool
	begun bool
}

// line writes one line, or with nil one that says nothing.
func (t *tail) line(line any) error {
	if !t.begun {
		t.begun = true
		kind := "application/jsonl"
		if t.sse {
			kind = "text/event-stream"
		}
		t.w.Header().Set("Content-Type", kind)
		t.w.Header().Set("Cache-Control", "no-store")
	}
	text := ""
	if line != nil {
		b, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("write line: %w", err)
		}
		text = string(b)
	}
	switch {
	case t.sse && line == nil:
		text = ":\n\n"
	case t.sse:
		text = "data: " + text + "\n\n"
	default:
		text += "\n"
	}
	_ = t.ctl.SetWriteDeadline(time.Now().Add(lineTimeout)) // else the server's own holds
	if _, err := t.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write line: %w", err)
	}
	return t.ctl.Flush()
}
