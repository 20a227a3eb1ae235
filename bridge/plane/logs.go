package plane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// LogStream is the name of the stream, in account RELAY, of what planes have to
// say to Keptn's log and no control plane has taken yet. Losing it loses that.
const LogStream = "RW_LOG"

const (
	logSubject = "log.plane"
	logAge     = 48 * time.Hour
	logBytes   = 64 << 20
	maxLogPart = 256 << 10       // bytes in a message
	maxMessage = 64 << 10        // bytes of what an entry says
	logLook    = 5 * time.Second // how often it is looked for what other replicas stored
)

// A logBody is the body of POST /v1/log. Entries are passed on as they are, but
// for the integration and a time that is missing.
type logBody struct {
	Logs []map[string]any `json:"logs"`
}

// onLog stores what a plane has to say.
func (r *Registry) onLog(w http.ResponseWriter, req *http.Request) {
	var in logBody
	if !read(w, req, maxLogs, &in) {
		return
	}
	in.Logs = slices.DeleteFunc(in.Logs, func(e map[string]any) bool { return e == nil }) // null
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for _, e := range in.Logs {
		if t, _ := e["time"].(string); t == "" || t[:min(4, len(t))] == "0001" {
			e["time"] = now
		}
	}
	if len(in.Logs) > 0 && !r.alone() {
		if err := r.spoolAll(req.Context(), in.Logs); err != nil {
			r.cfg.Log.Warn("log of a plane not stored", "n", len(in.Logs), "err", err)
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	answer(w, http.StatusOK, struct{}{})
}

// spoolAll stores entries, as many in a message as fit.
func (r *Registry) spoolAll(ctx context.Context, logs []map[string]any) error {
	var some []map[string]any
	size := 0
	for _, e := range logs {
		if text, _ := e["message"].(string); len(text) > maxMessage {
			e["message"] = strings.ToValidUTF8(text[:maxMessage], "")
		}
		b, err := encode(e)
		if err != nil {
			return err
		}
		if len(b) > 2*maxLogPart {
			continue // no log of Keptn's
		}
		if size += len(b); size > maxLogPart && len(some) > 0 {
			if err := r.spool(ctx, logBody{some}); err != nil {
				return err
			}
			some, size = nil, len(b)
		}
		some = append(some, e)
	}
	if len(some) == 0 {
		return nil
	}
	return r.spool(ctx, logBody{some})
}

func (r *Registry) spool(ctx context.Context, in logBody) error {
	b, err := encode(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, err = r.store.js.Publish(ctx, logSubject, b)
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		if _, err = r.logs(ctx); err == nil {
			_, err = r.store.js.Publish(ctx, logSubject, b)
		}
	}
	if err != nil {
		return fmt.Errorf("store in %s: %w", LogStream, err)
	}
	select {
	case r.logged <- struct{}{}:
	default:
	}
	return nil
}

// logs returns the stream, which it makes if need be.
func (r *Registry) logs(ctx context.Context) (jetstream.Stream, error) {
	s, err := jstream.Ensure(ctx, r.store.js, jetstream.StreamConfig{
		Name: LogStream, Subjects: []string{logSubject}, Replicas: r.cfg.Replicas, Description: "logs of planes for Keptn",
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
		MaxAge: logAge, MaxBytes: logBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", LogStream, err)
	}
	return s, nil
}

// passLogs gives what is stored to the control planes until ctx ends.
func (r *Registry) passLogs(ctx context.Context) {
	for wait := firstRead; ; wait = min(2*wait, lastRetry) {
		err := r.readLogs(ctx)
		if ctx.Err() != nil {
			return
		}
		r.cfg.Log.Debug("logs of planes not read, will try again", "err", err, "after", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (r *Registry) readLogs(ctx context.Context) error {
	opening, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	defer cancel()
	s, err := r.logs(opening)
	if err != nil {
		return err
	}
	for next := uint64(1); ; {
		m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(logSubject))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-r.logged:
			case <-time.After(logLook):
			}
			continue
		case err != nil:
			return fmt.Errorf("read %s: %w", LogStream, err)
		}
		for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
			if err = r.passLog(ctx, m.Data); !errors.Is(err, errAway) {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
		}
		if err != nil {
			r.cfg.Log.Warn("log of a plane not taken", "err", err)
		}
		// One that is not removed, because the process dies, is passed on twice.
		if err := s.DeleteMsg(ctx, m.Sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("remove from %s: %w", LogStream, err)
		}
		next = m.Sequence + 1
	}
}

// passLog gives entries to the control planes that know their integrations, each
// under the id that it has there.
func (r *Registry) passLog(ctx context.Context, body []byte) error {
	var in logBody
	if err := json.Unmarshal(body, &in); err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	view := r.cfg.View()
	to := map[*topology.ControlPlane][]map[string]any{}
	for _, e := range in.Logs {
		id, _ := e["integrationid"].(string)
		rec, _ := r.record(id)
		known := false
		for _, cp := range view.ControlPlanes {
			if m, ok := rec.remote(cp.Name); ok && m.ID != "" {
				known = true
				its := map[string]any{}
				for k, v := range e {
					its[k] = v
				}
				its["integrationid"] = m.ID
				to[cp] = append(to[cp], its)
			}
		}
		if i := slices.IndexFunc(view.ControlPlanes, hasAPI); !known && i >= 0 {
			to[view.ControlPlanes[i]] = append(to[view.ControlPlanes[i]], e)
		}
	}
	var errs []error
	for cp, logs := range to {
		switch a := r.api(cp); {
		case a != nil:
			errs = append(errs, a.do(ctx, http.MethodPost, logPath, logBody{logs}, nil))
		case hasAPI(cp):
			errs = append(errs, errAway)
		}
	}
	return errors.Join(errs...)
}
