package face

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
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

	code int // that was answered; 0: none yet

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
		p.code = code
	}
	p.writing(time.Now().Add(p.idle)) // 1xx are written at once
	p.ResponseWriter.WriteHeader(code)
	p.writing(time.Time{})
}

// Write implements http.ResponseWriter.
func (p *paced) Write(b []byte) (int, error) {
	if p.code == 0 {
		p.code = http.StatusOK
	}
	p.writing(time.Now().Add(p.idle))
	defer p.writing(time.Time{})
	return p.ResponseWriter.Write(b) //nolint:wrapcheck // it stands for the other
}

// FlushError is what http.ResponseController flushes by.
func (p *paced) FlushError() error {
	p.writing(time.Now().Add(p.idle))
	defer p.writing(time.Time{})
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

// end leaves a deadline for what the server writes after the handler.
func (p *paced) end() {
	if p.code != http.StatusSwitchingProtocols {
		p.writing(time.Now().Add(p.idle))
	}
}

// reading sets until when the next read may take, or none.
func (p *paced) reading(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	var t time.Time
	if on {
		t = time.Now().Add(p.idle)
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
	b.p.reading(true)
	defer b.p.reading(false)
	return b.ReadCloser.Read(into) //nolint:wrapcheck // it stands for the other
}
