package tunnel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// maxAttempts bounds to how many replicas a request is given.
const maxAttempts = 4

// A Route is a target of a stamp, and how requests to it are treated here. To
// and Target are required.
type Route struct {
	To     topology.StampID
	Target string // its name in that stamp

	Rules       Rules    // what may be asked; the stamp has rules of its own. nil: everything
	Strip       []string // headers that do not cross: the tokens of this stamp
	StripPrefix string   // taken from the start of the request target by a Handler
	// Rewrite makes of a request target, what StripPrefix names taken off, the one
	// that is asked for; nil leaves it as it is. Rules are about the result.
	Rewrite    func(target string) string
	MaxRequest int64         // of a body, in bytes; 0 is 5 MiB, less is no limit
	Timeout    time.Duration // until the answer has come in full; 0 is none, for streams
	Repeat     []string      // methods that may be given to a second replica; nil is GET, HEAD, OPTIONS and PUT
}

// withDefaults fills what r leaves open.
func (r Route) withDefaults() Route {
	if r.MaxRequest == 0 {
		r.MaxRequest = maxRequest
	}
	if r.Repeat == nil {
		r.Repeat = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut}
	}
	return r
}

// rewritten applies Rewrite.
func (r Route) rewritten(target string) string {
	if r.Rewrite == nil {
		return target
	}
	return r.Rewrite(target)
}

// RoundTripper returns an http.RoundTripper to r. Host and scheme of a
// request's URL mean nothing; its errors are *Error. As with http.Transport
// the body of an answer 101 is an io.ReadWriteCloser.
func (c *Client) RoundTripper(r Route) http.RoundTripper {
	return roundTripper{c, r.withDefaults()}
}

type roundTripper struct {
	c *Client
	r Route
}

// RoundTrip implements http.RoundTripper.
func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	q, err := newQuestion(t.r, t.c.cfg.Me, req, t.r.rewritten(req.URL.RequestURI()))
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		q.informed = trace.Got1xxResponse
	}
	res, err := t.c.do(req.Context(), t.r, q)
	if err != nil {
		return nil, err
	}
	res.Request = req
	return res, nil
}

// do asks for q until a replica answers it or may have begun it.
func (c *Client) do(ctx context.Context, r Route, q *question) (*http.Response, *Error) {
	ctx, cancel := deadline(ctx, r.Timeout)
	for n := 1; ; n++ {
		res, err := c.attempt(ctx, cancel, r, q)
		code := 0
		if err == nil {
			code = res.StatusCode
		}
		again := err != nil && n < maxAttempts && q.body == nil && ctx.Err() == nil &&
			(err.undone && err.Reason == ReasonStopping || err.Reason == ReasonLost && slices.Contains(r.Repeat, q.method))
		if !again {
			count(c.metrics.requests, r.To, code, err)
			if err != nil {
				cancel()
			}
			return res, err
		}
		c.metrics.again.WithLabelValues(string(r.To)).Inc()
	}
}

// deadline returns ctx with a time-out; 0 is none.
func deadline(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithCancel(ctx)
}

// attempt gives q to one replica and waits for the head of its answer. The
// body of the answer calls cancel.
func (c *Client) attempt(ctx context.Context, cancel func(), r Route, q *question) (*http.Response, *Error) {
	var timeout int64
	if at, ok := ctx.Deadline(); ok {
		timeout = max(1, time.Until(at).Milliseconds())
	}
	x, err := c.begin(r.To)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { x.fail(ended(ctx, c.cfg.Me, "by stamp "+string(r.To)+", target "+r.Target)) })
	err = c.send(x, r, q, timeout)
	if err == nil {
		var a answer
		if a, err = c.await(x, r, q); err == nil {
			return newResponse(c, x, q, a, func() { stop(); cancel() }, stop), nil
		}
	}
	stop()
	x.fail(err)
	c.forget(x)
	if err.Reason == ReasonNoRoute && err.undone {
		err = c.noReplica(r.To)
	}
	return nil, err
}

// send publishes the question.
func (c *Client) send(x *call, r Route, q *question, timeout int64) *Error {
	b := q.ask(c.name, x.number, timeout)
	if len(b) > maxHead+len(q.inline) || int64(len(b)) > c.cfg.Fed.MaxPayload() {
		return fault(c.cfg.Me, ReasonHead, "the header of the request takes %d bytes", len(b)-len(q.inline)).before()
	}
	reply := bridge.HTTPReply(c.cfg.Me, r.To, c.name, "ask."+strconv.FormatUint(x.number, 10))
	if err := c.cfg.Fed.PublishRequest(r.subject(c.cfg.Me), reply, b); err != nil {
		return fault(c.cfg.Me, ReasonNoRoute, "send to stamp %s: %v", r.To, err)
	}
	return nil
}

// await returns the head of the answer. When a replica has taken the request it
// gets the body.
func (c *Client) await(x *call, r Route, q *question) (answer, *Error) {
	patience := time.NewTimer(c.cfg.AnswerTime)
	defer patience.Stop()
	for {
		select {
		case <-x.accepted:
			patience.Stop()
			if q.body != nil {
				q.uploading.Store(true)
				q.uploads.Go(func() { q.upload(x, r.MaxRequest) })
			}
		case <-patience.C:
			x.fail(fault(c.cfg.Me, ReasonLost, "no replica of stamp %s has taken the request in %s", r.To, c.cfg.AnswerTime))
		case a := <-x.infos:
			q.inform(a)
		case a := <-x.heads:
			return q.headed(x, a)
		case <-x.over:
			err := x.failure()
			if err.Side == x.to { // it may have answered before it broke off
				select {
				case a := <-x.heads:
					return q.headed(x, a)
				default:
				}
			}
			return answer{}, err
		}
	}
}

// headed checks the head of an answer, after what came before it.
func (q *question) headed(x *call, a answer) (answer, *Error) {
	for range len(x.infos) {
		q.inform(<-x.infos)
	}
	if code := a.meta.int(metaStatus, 0); code < 101 || code > 999 {
		return a, fault(x.me, ReasonProtocol, "stamp %s answers with status %d", x.to, code)
	}
	return a, nil
}

func (q *question) inform(a answer) {
	if q.informed != nil {
		_ = q.informed(int(a.meta.int(metaStatus, 0)), textproto.MIMEHeader(a.header))
	}
}

// newResponse returns what came back as a response. release is called when all
// of it is read or it is closed; stop when the protocol has changed, for which
// no deadline holds.
func newResponse(c *Client, x *call, q *question, a answer, release func(), stop func() bool) *http.Response {
	code := int(a.meta.int(metaStatus, 0))
	res := &http.Response{
		StatusCode: code, Status: strconv.Itoa(code) + " " + http.StatusText(code),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, ContentLength: a.meta.int(metaLength, -1),
	}
	for _, f := range a.meta {
		if f[0] == metaTrailer {
			if res.Trailer == nil {
				res.Trailer = http.Header{}
			}
			res.Trailer[f[1]] = nil
		}
	}
	b := &responseBody{c: c, x: x, res: res, release: release}
	if a.meta.get(metaWhole) != "" {
		b.rest, b.whole = a.body, true
		b.end()
	}
	res.Body = b
	if code == http.StatusSwitchingProtocols && q.upgrade != "" {
		stop()
		res.Body = &upgraded{b}
	}
	return res
}

// A responseBody is the body of an answer.
type responseBody struct {
	c       *Client
	x       *call
	res     *http.Response
	release func()
	rest    []byte // of a body that came with the head
	whole   bool
	ended   bool
}

// Read implements io.Reader.
func (b *responseBody) Read(p []byte) (int, error) {
	got, err := b.next(len(p))
	return copy(p, got), err
}

// next is Read without a copy.
func (b *responseBody) next(limit int) ([]byte, error) {
	if b.whole {
		if len(b.rest) == 0 {
			return nil, io.EOF
		}
		got := b.rest[:min(limit, len(b.rest))]
		b.rest = b.rest[len(got):]
		return got, nil
	}
	got, err := b.x.next(limit)
	if errors.Is(err, io.EOF) && !b.ended {
		for name, v := range b.x.trailers() {
			if b.res.Trailer == nil {
				b.res.Trailer = http.Header{}
			}
			b.res.Trailer[name] = v
		}
		b.end()
	}
	return got, err
}

// end lets go of an exchange that was served.
func (b *responseBody) end() {
	b.ended = true
	b.x.finish()
	b.c.forget(b.x)
	b.release()
}

// Close tells the replica, unless everything was read, that nobody reads on.
func (b *responseBody) Close() error {
	if !b.ended {
		b.ended = true
		b.x.fail(fault(b.c.cfg.Me, ReasonCancelled, "the answer is not read on"))
		b.c.forget(b.x)
		b.release()
	}
	return nil
}

// upgraded is the connection behind an answer 101: bytes both ways.
type upgraded struct{ b *responseBody }

// Read implements io.Reader.
func (u *upgraded) Read(p []byte) (int, error) { return u.b.x.Read(p) }

// Write implements io.Writer.
func (u *upgraded) Write(p []byte) (int, error) { return u.b.x.Write(p) }

// CloseWrite says that nothing more is written.
func (u *upgraded) CloseWrite() error {
	u.b.x.sendEnd(nil)
	return nil
}

// Close ends the exchange.
func (u *upgraded) Close() error { return u.b.Close() }
