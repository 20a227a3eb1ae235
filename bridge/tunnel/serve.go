package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"
)

// serve carries one request to its upstream and the answer back.
func (s *Server) serve(ctx context.Context, j *job, name string, meta fields, header http.Header, body []byte) {
	code, err := s.forward(ctx, j, name, meta, header, body)
	if err != nil {
		j.fail(err) // a client that is gone knows
		if first := j.failure(); first != nil {
			err = first
		}
	}
	j.finish()
	count(s.served, j.stamp, code, err)
}

// check refuses what must not reach the upstream.
func (s *Server) check(j *job, name string, meta fields) (*upstream, *Error) {
	u := s.target(name)
	method, target := meta.get(metaMethod), meta.get(metaTarget)
	switch {
	case u == nil:
		return nil, fault(s.cfg.Me, ReasonNoTarget, "the stamp has no target %q", name).before()
	case target != "*" && (target == "" || target[0] != '/') || method == http.MethodConnect:
		return nil, fault(s.cfg.Me, ReasonBad, "%s %.80q is not for a tunnel", method, target).before()
	case climbs(target):
		return nil, fault(s.cfg.Me, ReasonBad, "%.200q leaves what target %s serves", target, name).before()
	case !u.Rules.Allow(j.stamp, method, target):
		return nil, fault(s.cfg.Me, ReasonDenied, "stamp %s may not %s %.200q of target %s", j.stamp, method, target, name).before()
	case u.NoUpgrade && meta.get(metaUpgrade) != "":
		return nil, fault(s.cfg.Me, ReasonDenied, "target %s does not let the protocol be changed to %.40q", name, meta.get(metaUpgrade)).before()
	case u.err != nil:
		return nil, fault(s.cfg.Me, ReasonRefused, "%v", u.err).before()
	case u.MaxRequest > 0 && meta.int(metaLength, 0) > u.MaxRequest:
		return nil, tooLarge(s.cfg.Me, u.MaxRequest).before()
	}
	return u, nil
}

// forward asks the upstream and returns the status that was sent back, or why
// there is none or no end of it.
func (s *Server) forward(ctx context.Context, j *job, name string, meta fields, header http.Header, body []byte) (int, *Error) {
	u, err := s.check(j, name, meta)
	if err != nil {
		return 0, err
	}
	id, err := s.enter(j)
	if err != nil {
		return 0, err
	}
	defer s.leave(id)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	j.onEnd(cancel) // whatever ends the exchange ends the request to the upstream
	req, up, err := s.request(ctx, j, u, meta, header, body)
	if err != nil {
		return 0, err
	}
	s.accept(j, id, up)
	timeout := time.Duration(meta.int(metaTimeout, 0)) * time.Millisecond
	if u.Timeout > 0 && (timeout == 0 || u.Timeout < timeout) {
		timeout = u.Timeout
	}
	var alarm *time.Timer
	if timeout > 0 {
		alarm = time.AfterFunc(timeout, func() {
			j.fail(fault(s.cfg.Me, ReasonTimeout, "target %s, upstream %s: no answer in %s", name, u.Upstream.Host, timeout.Round(time.Millisecond)))
		})
		defer alarm.Stop()
	}
	res, e := u.transport.RoundTrip(req)
	if e != nil {
		if up != nil && up.err != nil {
			return 0, up.err
		}
		return 0, u.broken(s.cfg.Me, e)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusSwitchingProtocols {
		if alarm != nil {
			alarm.Stop()
		}
		return res.StatusCode, s.join(j, u, res)
	}
	return res.StatusCode, s.answer(j, u, req.Method, res)
}

// accept tells the client which replica has its request and how much of the
// body it may send.
func (s *Server) accept(j *job, id uint64, up *uploaded) {
	var meta fields
	meta.add(metaReplica, s.name)
	meta.num(metaID, int64(id)) //nolint:gosec // below 2^63
	first := int64(window)
	if up != nil && up.waits {
		first = 0
	}
	j.open(first)
	meta.num(metaWindow, first)
	j.say(frameAccept, meta)
}

// request makes the request to the upstream. up is its body, or nil if all of
// it is here.
func (s *Server) request(ctx context.Context, j *job, u *upstream, meta fields, header http.Header, body []byte) (*http.Request, *uploaded, *Error) {
	address, e := u.address(meta.get(metaTarget))
	if e != nil {
		return nil, nil, fault(s.cfg.Me, ReasonBad, "%v", e).before()
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		var m fields
		m.num(metaStatus, int64(code))
		j.say(frameInfo, m, headerFields(http.Header(h)))
		return nil
	}})
	req, e := http.NewRequestWithContext(ctx, meta.get(metaMethod), "http://upstream/", http.NoBody)
	if e != nil {
		return nil, nil, fault(s.cfg.Me, ReasonBad, "%v", e).before()
	}
	req.URL, req.Host, req.Header = address, u.Upstream.Host, forward(header)
	if h := meta.get(metaHost); u.KeepHost && h != "" {
		req.Host = h
	}
	if req.Header["User-Agent"] == nil {
		req.Header["User-Agent"] = []string{""} // or Go would send its own
	}
	if e := u.authorize(req.Header); e != nil {
		return nil, nil, fault(s.cfg.Me, ReasonRefused, "%v", e).before()
	}
	if meta.get(metaWhole) != "" {
		if len(body) > 0 {
			req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		return req, nil, nil
	}
	up := &uploaded{j: j, limit: u.MaxRequest, waits: req.Header.Get("Expect") != ""}
	for _, f := range meta {
		if f[0] == metaTrailer {
			if req.Trailer == nil {
				req.Trailer = http.Header{}
			}
			req.Trailer[f[1]] = nil
		}
	}
	up.trailer = req.Trailer
	req.Body, req.ContentLength = up, meta.int(metaLength, -1)
	return req, up, nil
}

// An uploaded is the body of a request, as it comes.
type uploaded struct {
	j       *job
	limit   int64
	waits   bool // nothing is sent before it is read
	n       int64
	trailer http.Header
	err     *Error // why it has no end
}

// Read implements io.Reader.
func (u *uploaded) Read(p []byte) (int, error) {
	if u.waits {
		u.waits = false
		u.j.grant(window)
	}
	n, err := u.j.Read(p)
	if u.n += int64(n); u.limit > 0 && u.n > u.limit {
		u.err = tooLarge(u.j.me, u.limit)
		return 0, u.err
	}
	var e *Error
	switch {
	case errors.Is(err, io.EOF):
		for name, values := range u.j.trailers() {
			if _, ok := u.trailer[name]; ok {
				u.trailer[name] = values
			}
		}
	case errors.As(err, &e):
		u.err = e
	}
	return n, err
}

// Close implements io.Closer.
func (u *uploaded) Close() error { return nil }

// answer sends res back.
func (s *Server) answer(j *job, u *upstream, method string, res *http.Response) *Error {
	var meta fields
	meta.num(metaStatus, int64(res.StatusCode))
	for name := range res.Trailer {
		meta.add(metaTrailer, name)
	}
	bodyless := method == http.MethodHead || res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified
	if res.ContentLength >= 0 {
		meta.num(metaLength, res.ContentLength)
	}
	header := headerFields(forward(res.Header))
	if bodyless || res.ContentLength >= 0 && res.ContentLength <= whole && len(res.Trailer) == 0 {
		var b []byte
		if !bodyless {
			b = make([]byte, res.ContentLength)
			if _, err := io.ReadFull(res.Body, b); err != nil {
				return u.broken(s.cfg.Me, truncated(err))
			}
		}
		meta.add(metaWhole, "1")
		j.sayWith(frameHead, b, meta, header)
		return nil
	}
	j.say(frameHead, meta, header)
	if err := j.copyFrom(res.Body, nil); err != nil {
		var e *Error
		if errors.As(err, &e) {
			return e
		}
		return u.broken(s.cfg.Me, truncated(err))
	}
	j.sendEnd(res.Trailer)
	return nil
}

// join connects the client with an upstream that has changed the protocol.
func (s *Server) join(j *job, u *upstream, res *http.Response) *Error {
	conn, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		return fault(s.cfg.Me, ReasonUpstream, "upstream %s changes the protocol without a connection", u.Upstream.Host)
	}
	var meta fields
	meta.num(metaStatus, int64(res.StatusCode))
	j.say(frameHead, meta, headerFields(forward(res.Header)))
	var down sync.WaitGroup
	down.Go(func() {
		for {
			b, err := j.next(chunk)
			if err == nil {
				_, err = conn.Write(b)
			}
			if half, ok := conn.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) && half.CloseWrite() == nil {
				return
			}
			if err != nil {
				_ = conn.Close() // ends the copy below
				return
			}
		}
	})
	err := j.copyFrom(conn, nil)
	j.sendEnd(nil)
	_ = conn.Close()
	j.finish() // ends the goroutine above
	down.Wait()
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
