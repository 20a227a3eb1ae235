package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/ringway/ringway/bridge"
)

// firstWait is how long an answer that was not posted waits for the next try.
const firstWait = 100 * time.Millisecond

// graceTime is how long a POST that is under way may still take when the
// process stops: its result then needs not be looked up.
const graceTime = 2 * time.Second

// A result is what is known of a POST.
type result string

const (
	resultTaken   result = "taken"
	resultRefused result = "refused" // for good
	resultNot     result = "failed"  // not taken, try again
	resultUnknown result = "unknown" // it may have been taken
)

// settle posts an answer until the control plane has it or it is set aside. It
// returns an error if ctx ends, or another process does this work.
func (t *term) settle(ctx context.Context, r *record) error {
	ended := time.Now() // of the last try that may have been taken
	for tries := 0; ; tries++ {
		over, err := t.attempt(ctx, r, &ended)
		if over || errors.Is(err, errFenced) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			t.trouble(r.control, err)
		}
		if time.Since(r.at) > t.cfg.MaxWait {
			if over, err := t.expire(ctx, r, err); over || errors.Is(err, errFenced) {
				return err
			}
		}
		wait := min(firstWait<<min(tries, 20), t.cfg.MaxBackoff)
		if r.state == stateTrying {
			wait = max(wait, time.Until(ended.Add(t.cfg.Settle)))
		}
		if !pause(ctx, waitOf(err, jittered(wait)+wait/2)) {
			return ctx.Err()
		}
	}
}

// attempt tries once. over is true when nothing is left to do.
func (t *term) attempt(ctx context.Context, r *record, ended *time.Time) (over bool, err error) {
	up := t.upstream(r.control)
	if up == nil {
		return false, fmt.Errorf("control plane %s is not called: the topology in force does not say how", r.control)
	}
	if d := up.silence(); d > 0 && !pause(ctx, d) {
		return false, ctx.Err()
	}
	select {
	case up.slots <- struct{}{}:
		defer func() { <-up.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if r.state == stateTrying {
		if time.Since(*ended) < t.cfg.Settle {
			return false, nil // too early to know
		}
		if over, err := t.lookUp(ctx, up, r); over || err != nil {
			return over, err
		}
	}
	if err := t.change(ctx, r, stateTrying); err != nil {
		return false, err
	}
	res, err := t.post(ctx, up, r)
	*ended = time.Now()
	t.metrics.posts.WithLabelValues(r.control, string(res)).Inc()
	switch res {
	case resultTaken:
		return true, t.done(ctx, r)
	case resultRefused:
		if err := t.bury(ctx, r, bridge.ReasonRejected, err.Error()); err != nil {
			r.state = stateDue // not taken: nothing to look up
			return false, err
		}
		return true, t.done(ctx, r)
	case resultNot:
		r.state = stateDue // in memory: whoever reads the note looks it up
	}
	return false, err
}

// post makes the call.
func (t *term) post(ctx context.Context, up *upstream, r *record) (result, error) {
	call, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(graceTime, cancel) })()
	var sent atomic.Bool
	call = httptrace.WithClientTrace(call, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := up.request(call, http.MethodPost, api, "/v1/event", nil, bytes.NewReader(r.body))
	if err != nil {
		return resultNot, err
	}
	resp, err := up.http.Do(req)
	if err != nil {
		err = fmt.Errorf("call control plane %s: %w", up.name, err)
		if sent.Load() {
			return resultUnknown, err
		}
		return resultNot, err
	}
	defer resp.Body.Close() //nolint:errcheck // the status says it all
	if resp.StatusCode >= 200 && resp.StatusCode <= 204 {
		return resultTaken, nil
	}
	return judge(resp.StatusCode), up.refused(resp, "/v1/event")
}

// judge says what a status that is no success means. Behind a proxy a 5xx may
// be about an event that was taken. What is wrong with the address or the token
// is not the fault of the event.
func judge(code int) result {
	switch {
	case code == http.StatusRequestTimeout || code >= 500:
		return resultUnknown
	case code == http.StatusTooManyRequests || code < 400:
		return resultNot
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusNotFound ||
		code == http.StatusMethodNotAllowed || code == http.StatusProxyAuthRequired:
		return resultNot
	}
	return resultRefused
}

// change notes how far an answer is.
func (t *term) change(ctx context.Context, r *record, s state) error {
	next := *r
	next.state = s
	if s == stateDone {
		next.body = nil
	}
	if err := t.store.note(ctx, &next); err != nil {
		return err
	}
	r.state, r.seq = s, next.seq
	return nil
}

// done notes that an answer is with its control plane, or set aside, however
// long that takes: it is not to be posted again.
func (t *term) done(ctx context.Context, r *record) error {
	for wait := firstWait; ; wait = min(2*wait, t.cfg.MaxBackoff) {
		err := t.change(ctx, r, stateDone)
		if err == nil {
			break
		}
		if errors.Is(err, errFenced) || !pause(ctx, wait) {
			return err
		}
		t.trouble(r.control, err)
	}
	t.mu.Lock()
	t.over(r, time.Now())
	delete(t.posted, r.control)
	t.mu.Unlock()
	t.metrics.delay.WithLabelValues(r.control).Observe(time.Since(r.at).Seconds())
	return nil
}

// expire sets an answer aside that could not be posted for too long.
func (t *term) expire(ctx context.Context, r *record, why error) (over bool, err error) {
	detail := "not posted in time"
	if why != nil {
		detail = why.Error()
	}
	if err := t.bury(ctx, r, bridge.ReasonExpired, detail); err != nil {
		return false, err
	}
	return true, t.done(ctx, r)
}

// trouble notes why answers are not posted, and says so when it is news.
func (t *term) trouble(control string, err error) {
	t.mu.Lock()
	was := t.posted[control]
	t.posted[control] = &postState{err: err.Error()}
	t.mu.Unlock()
	if was == nil {
		t.cfg.Log.Warn("answer not posted, will try again", "control", control, "err", err)
	}
}
