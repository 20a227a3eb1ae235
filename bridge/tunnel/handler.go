package tunnel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// Handler returns an http.Handler that forwards to r what it is asked, byte for
// byte. What can not be served is answered in Keptn's shape, with
// {"code":…,"message":…}; an answer that breaks off breaks the connection.
func (c *Client) Handler(r Route) http.Handler {
	r = r.withDefaults()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { c.handle(w, req, r) })
}

func (c *Client) handle(w http.ResponseWriter, req *http.Request, r Route) {
	q, err := newQuestion(r, c.cfg.Me, req, r.rewritten(target(req, r.StripPrefix)))
	if err != nil {
		err.write(w)
		return
	}
	if ip, _, err := net.SplitHostPort(req.RemoteAddr); err == nil {
		q.header["X-Forwarded-For"] = []string{strings.Join(append(req.Header["X-Forwarded-For"], ip), ", ")}
	}
	q.informed = func(code int, h textproto.MIMEHeader) error {
		return inform(w, code, h)
	}
	control := http.NewResponseController(w)
	if q.body != nil {
		// Without it, Go reads the body to its end before it answers.
		_ = control.EnableFullDuplex() // HTTP/2 always is
		defer func() {
			// Whoever still reads the body of a request that was answered stops.
			if q.uploading.Load() {
				_ = control.SetReadDeadline(time.Unix(1, 0))
			}
			q.uploads.Wait()
		}()
	}
	res, err := c.do(req.Context(), r, q)
	if err != nil {
		err.write(w)
		return
	}
	defer func() { _ = res.Body.Close() }()
	switch body := res.Body.(type) {
	case *upgraded:
		if err := body.join(control, res); err != nil {
			c.cfg.Log.Debug("protocol not changed", "peer", r.To, "err", err)
		}
	case *responseBody:
		if !answerWith(w, control, res, body) {
			panic(http.ErrAbortHandler) // the client must not take it for complete
		}
	}
}

// target returns the target of req as the client sent it, without prefix.
func target(req *http.Request, prefix string) string {
	t := req.RequestURI
	if t == "" {
		t = req.URL.RequestURI()
	}
	if rest, ok := strings.CutPrefix(t, prefix); ok {
		t = rest
	}
	if t == "" || t[0] == '?' {
		t = "/" + t
	}
	return t
}

// inform sends a 1xx answer. 100 is Go's own affair: it sends it when the body
// is read.
func inform(w http.ResponseWriter, code int, h textproto.MIMEHeader) error {
	if code <= http.StatusSwitchingProtocols || code > 199 {
		return nil
	}
	for name, values := range h {
		w.Header()[name] = values
	}
	w.WriteHeader(code)
	for name := range h {
		w.Header().Del(name)
	}
	return nil
}

// answerWith writes res and reports whether all of it came. What it can not
// write is nobody's loss.
func answerWith(w http.ResponseWriter, control *http.ResponseController, res *http.Response, body *responseBody) bool {
	h := w.Header()
	for name, values := range res.Header {
		h[name] = values
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // or Go would guess one
	}
	for name := range res.Trailer {
		h.Add("Trailer", name)
	}
	w.WriteHeader(res.StatusCode)
	if !body.whole {
		_ = control.Flush()
	}
	announced := maps.Clone(res.Trailer)
	for {
		b, err := body.next(chunk)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false
		}
		if _, err = w.Write(b); err != nil { //nolint:gosec // what the upstream answers is for it to say
			return false
		}
		if !body.whole && body.x.waits() && control.Flush() != nil { // else it goes out with what is here already
			return false
		}
	}
	for name, values := range res.Trailer {
		if _, ok := announced[name]; !ok {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
	return true
}

// join connects the client with what is behind an answer 101 until either ends.
func (u *upgraded) join(control *http.ResponseController, res *http.Response) error {
	conn, rw, err := control.Hijack()
	if err != nil {
		return fmt.Errorf("take over the connection: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Time{}) // it is open already; a connection that is not shows at the next call
	if err := writeHead(rw.Writer, res); err != nil {
		return err
	}
	var up sync.WaitGroup
	up.Go(func() {
		_ = u.b.x.copyFrom(rw.Reader, nil) // what the client sends, to its end or ours
		_ = u.CloseWrite()
	})
	for {
		var b []byte
		if b, err = u.b.x.next(chunk); err != nil {
			break
		}
		if _, err = conn.Write(b); err != nil {
			break
		}
	}
	_ = u.Close()
	_ = conn.Close()
	up.Wait()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// writeHead writes the first line and the header of res.
func writeHead(w *bufio.Writer, res *http.Response) error {
	_, _ = fmt.Fprintf(w, "HTTP/1.1 %s\r\n", res.Status)
	_ = res.Header.Write(w)
	_, _ = w.WriteString("\r\n")
	if err := w.Flush(); err != nil { // has the error of those before
		return fmt.Errorf("answer 101: %w", err)
	}
	return nil
}
