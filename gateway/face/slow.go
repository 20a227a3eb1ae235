package face

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A paced is a ResponseWriter, and the body of its request, of a client that has
// to take and give bytes in time: each write and each read has idle, and the
// whole body until, if that is set. What waits for neither, such as a watch
// where nothing happens, may wait.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
	idle    time.Duration
	until   time.Time // zero: no limit

	code int         // that was answered; 0: none yet
	read atomic.Bool // there is no body, or it was read to its end
	body *pacedBody
	line *line // nil: other requests share the connection
	// duplex: the handler may answer before it has read the body, and the server then
	// takes no care of what is left of it.
	duplex bool

	mu      sync.Mutex // guards the following field
	stopped bool       // the handler has cut reading short
}

func newPaced(w http.ResponseWriter, idle time.Duration) *paced {
	p := &paced{ResponseWriter: w, control: http.NewResponseController(w), idle: idle}
	p.writing(time.Time{}) // that of the request before
	return p
}

// writing sets until when writes may take. It fails for what has no deadlines,
// which then has none.
func (p *paced) writing(t time.Time) { _ = p.control.SetWriteDeadline(t) }

// WriteHeader implements http.ResponseWriter.
func (p *paced) WriteHeader(code int) {
	if p.code == 0 && code >= http.StatusOK {
		p.begin(code)
	}
	defer p.hold()() // 1xx are written at once
	p.ResponseWriter.WriteHeader(code)
}

// hold sets deadlines for something that is written, and returns what takes them
// off again. Before the server writes the head of an answer it reads what the
// handler has left of the body.
func (p *paced) hold() (release func()) {
	p.writing(time.Now().Add(p.idle))
	if p.read.Load() || p.duplex {
		return func() { p.writing(time.Time{}) }
	}
	p.reading(drainTime)
	return func() {
		p.writing(time.Time{})
		p.reading(0)
	}
}

// begin notes how a request is answered.
func (p *paced) begin(code int) {
	if p.code = code; p.duplex && p.line != nil && !p.read.Load() {
		p.Header().Set("Connection", "close")
	}
}

// EnableFullDuplex is what http.ResponseController does it by.
func (p *paced) EnableFullDuplex() error {
	p.duplex = true
	return p.control.EnableFullDuplex() //nolint:wrapcheck // it stands for the other
}

// Write implements http.ResponseWriter.
func (p *paced) Write(b []byte) (int, error) {
	if p.code == 0 {
		p.begin(http.StatusOK)
	}
	defer p.hold()()
	return p.ResponseWriter.Write(b) //nolint:wrapcheck // it stands for the other
}

// FlushError is what http.ResponseController flushes by.
func (p *paced) FlushError() error {
	defer p.hold()()
	return p.control.Flush() //nolint:wrapcheck // it stands for the other
}

// Flush implements http.Flusher.
func (p *paced) Flush() { _ = p.FlushError() }

// Hijack implements http.Hijacker. No deadline holds for the connection.
func (p *paced) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := p.control.Hijack()
	if err == nil {
		p.code = http.StatusSwitchingProtocols
	}
	return conn, rw, err //nolint:wrapcheck // it stands for the other
}

// SetReadDeadline is what http.ResponseController sets it by. One in the past
// stays.
func (p *paced) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = !t.IsZero() && t.Before(time.Now())
	return p.control.SetReadDeadline(t) //nolint:wrapcheck // it stands for the other
}

// Unwrap is what http.ResponseController finds the rest by.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// end leaves a deadline for what the server writes after the handler, and sees
// that what the handler has left of a body is not taken for the next request.
func (p *paced) end() {
	if p.code == http.StatusSwitchingProtocols {
		return
	}
	if !p.read.Load() {
		p.idle = min(p.idle, drainTime)
		_, _ = io.CopyN(io.Discard, p.body, drainMax)
		if !p.read.Load() && p.line != nil {
			p.line.deafen()
		}
	}
	p.writing(time.Now().Add(DefaultIdle))
}

// reading sets how long the next read may take; 0 is no limit.
func (p *paced) reading(limit time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	var t time.Time
	if limit > 0 {
		t = time.Now().Add(limit)
		if !p.until.IsZero() && p.until.Before(t) {
			t = p.until
		}
	}
	_ = p.control.SetReadDeadline(t) // as above
}

// A pacedBody is the body of a request of a paced client.
type pacedBody struct {
	io.ReadCloser
	p *paced
}

// Read implements io.Reader.
func (b *pacedBody) Read(into []byte) (int, error) {
	b.p.reading(b.p.idle)
	n, err := b.ReadCloser.Read(into)
	switch {
	case err == nil:
		b.p.reading(0)
	case errors.Is(err, io.EOF):
		b.p.reading(0)
		b.p.read.Store(true)
	}
	// After any other error the deadline stays: the server would wait for what is
	// left of the body.
	return n, err //nolint:wrapcheck // it stands for the other
}
