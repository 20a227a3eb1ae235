package keptn

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A tap is a TCP relay that keeps what the clients send, and can be cut.
type tap struct {
	addr string

	mu    sync.Mutex // guards the following fields
	sent  []*bytes.Buffer
	cut   bool
	conns []net.Conn
}

// newTap relays to target until the test ends.
func newTap(t testing.TB, target string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed by the cleanup
	require.NoError(t, err)
	p := &tap{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target) //nolint:noctx // closed by the cleanup
			if err != nil {
				_ = in.Close()
				continue
			}
			keep := p.conn(in, out)
			wg.Go(func() { defer out.Close(); _, _ = io.Copy(io.MultiWriter(keep, out), in) })
			wg.Go(func() { defer in.Close(); _, _ = io.Copy(in, out) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.setCut(true)
		wg.Wait()
	})
	return p
}

// setCut ends all connections and every new one, or no more.
func (p *tap) setCut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.conns = nil
	}
}

// conn takes up a connection and returns where its bytes go.
func (p *tap) conn(in, out net.Conn) io.Writer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		_ = in.Close()
		_ = out.Close()
	}
	p.conns = append(p.conns, in, out)
	b := &bytes.Buffer{}
	p.sent = append(p.sent, b)
	return lockedWriter{p, b}
}

type lockedWriter struct {
	p *tap
	b *bytes.Buffer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.b.Write(b)
}

// text returns all that was sent, connection by connection.
func (p *tap) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out strings.Builder
	for _, b := range p.sent {
		out.Write(b.Bytes())
	}
	return out.String()
}

// requests returns the HTTP requests that were sent, each as it was.
func (p *tap) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, b := range p.sent {
		out = append(out, split(b.Bytes())...)
	}
	return out
}

// split cuts a stream into the requests that are complete.
func split(b []byte) []string {
	var out []string
	in := bytes.NewReader(b)
	r := bufio.NewReader(in)
	for from := 0; ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return out
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return out
		}
		to := len(b) - in.Len() - r.Buffered()
		out = append(out, string(b[from:to]))
		from = to
	}
}

// recordedRequests returns the requests of a recording, each as it was.
func recordedRequests(t testing.TB, folder, file string) []string {
	t.Helper()
	var out []string
	for _, b := range blocks(t, folder, file) {
		if b.way == "C->S" {
			out = append(out, split(b.data)...)
		}
	}
	return out
}

// find returns the first request with all parts, or "".
func find(requests []string, parts ...string) string {
next:
	for _, r := range requests {
		for _, p := range parts {
			if !strings.Contains(r, p) {
				continue next
			}
		}
		return r
	}
	return ""
}

// await returns what find finds, once it is there.
func (p *tap) await(t testing.TB, parts ...string) string {
	t.Helper()
	var out string
	require.Eventually(t, func() bool { out = find(p.requests(), parts...); return out != "" }, patience, 2*time.Millisecond,
		"no request with %q", parts)
	return out
}
