package tunnel

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// maxRequest is the default of MaxRequest on both sides, what Keptn's own
// gateway takes.
const maxRequest = 5 << 20

// A question is a request on its way to another stamp.
type question struct {
	method, target, host string
	header               http.Header
	trailer              http.Header // complete when body has ended
	length               int64       // -1: not known
	inline               []byte      // all of the body, if body is nil
	body                 io.ReadCloser
	expect               bool // the client waits for leave to send the body
	upgrade              string
	informed             func(code int, h textproto.MIMEHeader) error // of a 1xx; may be nil
	uploads              sync.WaitGroup                               // whoever reads body
	uploading            atomic.Bool                                  // somebody does
}

// newQuestion takes a request apart; target is what its first line is to say.
// It reads a short body of known length at once, so that a truncated one is
// never begun.
func newQuestion(r Route, me topology.StampID, req *http.Request, target string) (*question, *Error) {
	q := &question{
		method: req.Method, target: target, host: req.Host, length: req.ContentLength, trailer: req.Trailer,
		header: forward(req.Header), upgrade: upgradeOf(req.Header),
	}
	if q.method == "" {
		q.method = http.MethodGet
	}
	if q.host == "" && req.URL != nil {
		q.host = req.URL.Host
	}
	for _, name := range r.Strip {
		q.header.Del(name)
	}
	if target != "*" && !strings.HasPrefix(target, "/") || q.method == http.MethodConnect {
		return nil, fault(me, ReasonBad, "%s %.80q is not for a tunnel", q.method, target).before()
	}
	if !r.Rules.Allow(me, q.method, target) {
		return nil, fault(me, ReasonDenied, "%s %.200q is not allowed", q.method, target).before()
	}
	if q.length > r.MaxRequest && r.MaxRequest > 0 {
		return nil, tooLarge(me, r.MaxRequest).before()
	}
	q.expect = strings.EqualFold(q.header.Get("Expect"), "100-continue")
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		q.length = 0
	case q.length >= 0 && q.length <= whole && !q.expect && len(q.trailer) == 0:
		return q, q.read(me, req.Body)
	case q.upgrade != "":
		return nil, fault(me, ReasonBad, "a request to change the protocol has too long a body").before()
	case q.length == 0: // in a request for others than servers it may mean unknown
		q.length, q.body = -1, req.Body
	default:
		q.body = req.Body
	}
	return q, nil
}

// read takes in all of a short body.
func (q *question) read(me topology.StampID, body io.ReadCloser) *Error {
	defer func() { _ = body.Close() }()
	b := make([]byte, q.length)
	if _, err := io.ReadFull(body, b); err != nil {
		return fault(me, ReasonBad, "body of the request: %v", truncated(err)).before()
	}
	q.inline = b
	return nil
}

// truncated says of a body that ends early what it is.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func tooLarge(me topology.StampID, limit int64) *Error {
	return fault(me, ReasonTooLarge, "the body of the request is longer than %d bytes", limit)
}

// ask returns the frame that asks, for exchange n of process client.
func (q *question) ask(client string, n uint64, timeout int64) []byte {
	var meta fields
	meta.add(metaClient, client)
	meta.add(metaMethod, q.method)
	meta.add(metaTarget, q.target)
	meta.add(metaHost, q.host)
	meta.num(metaWindow, window)
	if q.length >= 0 {
		meta.num(metaLength, q.length)
	}
	if q.body == nil {
		meta.add(metaWhole, "1")
	}
	if q.upgrade != "" {
		meta.add(metaUpgrade, q.upgrade)
	}
	if timeout > 0 {
		meta.num(metaTimeout, timeout)
	}
	for name := range q.trailer {
		meta.add(metaTrailer, name)
	}
	h := headerFields(q.header)
	b := appendFrame(nil, frameAsk, n, 0)
	return append(h.append(meta.append(b)), q.inline...)
}

// upload sends the body of q, as the replica takes it.
func (q *question) upload(x *call, limit int64) {
	defer q.uploading.Store(false)
	var n int64
	err := x.copyFrom(q.body, func(k int) *Error {
		if n += int64(k); limit > 0 && n > limit {
			return tooLarge(x.me, limit)
		}
		return nil
	})
	var e *Error
	switch {
	case err == nil:
		x.sendEnd(q.trailer)
	case errors.As(err, &e):
		x.fail(e)
	case !errors.Is(err, io.ErrClosedPipe): // which is: answered before the body was needed
		x.fail(fault(x.me, ReasonBad, "body of the request: %v", truncated(err)))
	}
}

// hop lists headers that are for the next hop only.
var hop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// forward returns h without what is for this hop only; an Upgrade stays.
func forward(h http.Header) http.Header {
	out := h.Clone()
	if out == nil {
		out = http.Header{}
	}
	upgrade := upgradeOf(h)
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			out.Del(textproto.TrimString(name))
		}
	}
	trailers := slices.ContainsFunc(h["Te"], func(v string) bool { return strings.Contains(strings.ToLower(v), "trailers") })
	for _, name := range hop {
		out.Del(name)
	}
	if trailers {
		out.Set("Te", "trailers")
	}
	if upgrade != "" {
		out.Set("Connection", "Upgrade")
		out.Set("Upgrade", upgrade)
	}
	return out
}

// upgradeOf returns the protocol that h wants to change to, or "".
func upgradeOf(h http.Header) string {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(name), "upgrade") {
				return h.Get("Upgrade")
			}
		}
	}
	return ""
}

// subject is where a request for r is asked.
func (r Route) subject(me topology.StampID) string { return bridge.HTTPAsk(r.To, me, r.Target) }
