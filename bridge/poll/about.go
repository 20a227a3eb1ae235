package poll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge/call"
)

// How long what Keptn says about itself is taken for true, and how long it is
// waited for.
const (
	aboutFresh = time.Minute
	aboutWait  = 2 * time.Second
	aboutSize  = 64 << 10
)

// aboutNothing is what is said about a Keptn that has said nothing.
var aboutNothing = []byte(`{"automaticprovisioning":false,"bridgeversion":"N/A","keptnlabel":"keptn","keptnversion":"N/A","namespace":"keptn","shipyardversion":"0.2.0"}`)

// about is what Keptn last said about itself.
type about struct {
	mu   sync.Mutex // guards the following fields
	body []byte     // nil: nothing yet
	at   time.Time  // of the last question
}

// serveAbout says what Keptn says about itself: from memory while that is fresh,
// and else when Keptn cannot be asked. It is asked by one at a time, and no more
// than once in a while.
func (s *Server) serveAbout(w http.ResponseWriter, r *http.Request) {
	a := &s.about
	a.mu.Lock()
	ask := s.cfg.Control != nil && time.Since(a.at) >= aboutFresh
	if ask {
		a.at = time.Now()
	}
	body := a.body
	a.mu.Unlock()
	if ask {
		if said, err := s.askAbout(r.Context()); err != nil {
			s.cfg.Log.Debug("Keptn not asked about itself", "err", err)
		} else {
			body = said
			a.mu.Lock()
			a.body = said
			a.mu.Unlock()
		}
	}
	if body == nil {
		body = aboutNothing
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(body) // the client has gone
}

func (s *Server) askAbout(ctx context.Context) ([]byte, error) {
	view := s.cfg.View()
	cp := view.ControlOf("")
	if cp == nil && len(view.ControlPlanes) > 0 {
		cp = view.ControlPlanes[0]
	}
	if cp == nil {
		return nil, errors.New("no control plane")
	}
	way := s.cfg.Control(cp, call.API)
	if way == nil {
		return nil, fmt.Errorf("control plane %s has no API", cp.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, aboutWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+call.API+":8080/v1/metadata", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", cp.Name, err)
	}
	resp, err := way.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", cp.Name, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	body, err := io.ReadAll(io.LimitReader(resp.Body, aboutSize))
	if err != nil || resp.StatusCode != http.StatusOK || !json.Valid(body) {
		return nil, fmt.Errorf("ask %s: status %d: %w", cp.Name, resp.StatusCode, err)
	}
	return body, nil
}
