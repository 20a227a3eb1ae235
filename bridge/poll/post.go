package poll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// postTimeout is how long a post may take; clients give up after 30 s.
const postTimeout = 20 * time.Second

// postPause is how long a post that could not be stored waits for the next try.
const postPause = 200 * time.Millisecond

// overhead is room for the headers that an event travels with.
const overhead = 8 << 10

// requiredCode is the code of go-openapi for a field that is missing.
const requiredCode = 602

// defaultSource is the source of an event that names none (contract §5).
const defaultSource = "https://github.com/keptn/keptn/api"

// A posted is what a client posts. What is not in here does not survive, as with
// Keptn.
type posted struct {
	Data        json.RawMessage `json:"data"`
	Extensions  json.RawMessage `json:"extensions"`
	GitCommitID string          `json:"gitcommitid"`
	ID          string          `json:"id"`
	Context     string          `json:"shkeptncontext"`
	Source      *string         `json:"source"`
	TriggeredID string          `json:"triggeredid"`
	Type        *string         `json:"type"`
}

// servePost takes an event as api-service does, but once: a retry gets the answer
// of the first try. It is answered when the event is stored for every stamp that
// is to get it.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request, plane string) {
	limit := s.maxEvent()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		s.metrics.posts.WithLabelValues(resultRefused).Inc()
		refuse(w, http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge, fmt.Sprintf("event has more than %d bytes", big.Limit)) // of the face, if that is less
		return
	case err != nil:
		s.metrics.posts.WithLabelValues(resultRefused).Inc()
		refuse(w, http.StatusBadRequest, http.StatusBadRequest, "body not read: "+err.Error())
		return
	}
	p, status, code, why := readPosted(body)
	if status != 0 {
		s.metrics.posts.WithLabelValues(resultRefused).Inc()
		refuse(w, status, code, why)
		return
	}
	ctx, cancel := bounded(r)
	defer cancel()
	context, result, err := s.post(ctx, plane, p, r.Header.Get("Idempotency-Key"), body)
	for until := time.Now().Add(s.cfg.Patience); result == resultFailed && r.Context().Err() == nil && time.Now().Before(until); {
		pause(r.Context(), postPause)
		context, result, err = s.post(ctx, plane, p, r.Header.Get("Idempotency-Key"), body)
	}
	s.metrics.posts.WithLabelValues(result).Inc()
	switch {
	case errors.Is(err, bridge.ErrInvalid):
		refuse(w, http.StatusBadRequest, http.StatusBadRequest, err.Error())
	case err != nil:
		s.cfg.Log.Warn("event of a plane not stored, it has to post it again", "plane", plane, "subject", *p.Type, "err", err)
		unavailable(w, err)
	default:
		answer(w, http.StatusOK, struct {
			KeptnContext string `json:"keptnContext"`
		}{context})
	}
}

// maxEvent returns how long an event may be, in bytes.
func (s *Server) maxEvent() int64 {
	most := s.cfg.Relay.MaxPayload()
	if s.cfg.MaxPayload != nil {
		if there := s.cfg.MaxPayload(); there > 0 {
			most = min(most, there)
		}
	}
	return most - overhead
}

// unreadable says what is wrong with a body, without our names for it.
func unreadable(err error) string {
	var t *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &t):
		return err.Error()
	case t.Field == "":
		return "it is a JSON " + t.Value + ", and an event is an object"
	}
	return t.Field + " is a " + t.Value + ", not a text"
}

// readPosted reads an event. status is not 0 if it is refused.
func readPosted(body []byte) (p *posted, status, code int, why string) {
	p = &posted{}
	if err := json.Unmarshal(body, p); err != nil {
		return nil, http.StatusBadRequest, http.StatusBadRequest, "parsing body failed: " + unreadable(err)
	}
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"data", len(p.Data) == 0 || string(p.Data) == "null"},
		{"source", p.Source == nil},
		{"type", p.Type == nil},
	} {
		if f.missing {
			return nil, http.StatusUnprocessableEntity, requiredCode, f.name + " in body is required"
		}
	}
	t := *p.Type
	if !isKeptns(t) || !topology.Pattern(t).Valid() || strings.ContainsAny(t, "*>") {
		return nil, http.StatusBadRequest, http.StatusBadRequest, fmt.Sprintf("type %.100q is none of Keptn's: it does not begin with sh.keptn., or holds a wildcard or a blank", t)
	}
	return p, 0, 0, ""
}

// event makes the event that is published of what was posted.
func (p *posted) event(id, context, at string) ([]byte, error) {
	source := *p.Source
	if _, err := url.Parse(source); err != nil || source == "" {
		source = defaultSource
	}
	extensions := p.Extensions
	if string(extensions) == "null" {
		extensions = nil
	}
	b, err := json.Marshal(model{
		ContentType: "application/json", Data: p.Data, Extensions: extensions, GitCommitID: p.GitCommitID, ID: id, Context: context,
		Source: &source, SpecVersion: "1.0", Time: at, TriggeredID: p.TriggeredID, Type: p.Type,
	})
	if err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	return b, nil
}

// post publishes what was posted, if that was not done before.
func (s *Server) post(ctx context.Context, plane string, p *posted, id string, body []byte) (keptnContext, result string, err error) {
	if s.open.Load() == nil {
		return "", resultFailed, fmt.Errorf("open stream %s: %w", StreamPost, nats.ErrNoResponders)
	}
	key, window := s.receiptKey(plane, p, id, body)
	f, first := s.flights.board(key)
	if !first { // the same is being posted now
		select {
		case <-f.done:
			return f.context, resultRepeated, f.err
		case <-ctx.Done():
			return "", resultFailed, ctx.Err()
		}
	}
	defer func() { s.flights.land(key, f, keptnContext, err) }()
	made := newReceipt(p)
	if _, err := s.check(p, made); err != nil {
		return "", resultRefused, err
	}
	got, err := s.claim(ctx, key, made, window)
	if err != nil {
		return "", resultFailed, err
	}
	if got.Done {
		return got.Context, resultRepeated, nil
	}
	if err := s.publish(ctx, plane, key, p, got); err != nil {
		return "", resultFailed, err
	}
	return got.Context, resultStored, nil
}

// check makes the event and asks of it what it must be for Keptn to read it.
func (s *Server) check(p *posted, r *receipt) ([]byte, error) {
	body, err := p.event(r.ID, r.Context, r.Time)
	if err != nil {
		return nil, err
	}
	if _, err := bridge.Parse(*p.Type, body); err != nil {
		return nil, err
	}
	return body, nil
}

// publish stores the event in RW_OUT, where what clients publish is captured,
// takes note of what it answers, and gives it to the clients of the stamp. Stored
// again under the same id it is the same event for all.
func (s *Server) publish(ctx context.Context, plane, key string, p *posted, r *receipt) error {
	body, err := s.check(p, r)
	if err != nil {
		return err
	}
	e, err := bridge.Parse(*p.Type, body)
	if err != nil {
		return err
	}
	under := bridge.CapturePrefix
	if s.cfg.Replicas > 1 {
		under = bridge.StorePrefix
	}
	m := &nats.Msg{Subject: under + e.Type, Data: body, Header: nats.Header{}}
	if _, err := s.write(ctx, m, jetstream.WithMsgID("post:"+key+":"+e.ID)); err != nil {
		return fmt.Errorf("store the event: %w", err)
	}
	if err := s.answered(ctx, plane, e); err != nil {
		return err
	}
	local := &nats.Msg{Subject: e.Type, Data: body, Header: nats.Header{nats.MsgIdHdr: {e.Key()}, bridge.HeaderOrigin: {string(s.cfg.Me)}}}
	if err := s.cfg.Deliver.PublishMsg(local); err != nil {
		return fmt.Errorf("give the event to the stamp's clients: %w", err)
	}
	if err := s.cfg.Deliver.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("give the event to the stamp's clients: %w", err)
	}
	r.Done = true
	s.note(key, r)
	return nil
}
