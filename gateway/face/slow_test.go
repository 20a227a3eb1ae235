package face_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/gateway/face"
)

const idle = 100 * time.Millisecond

// dial opens a connection and sends something.
func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn
}

// TestSlowClientsHoldNobody: clients that send half a head, or nothing of a body,
// take nothing from the others.
func TestSlowClientsHoldNobody(t *testing.T) {
	f := start(t, func(c *face.Config) { c.Anonymous = true })
	for range 200 {
		dial(t, f.Addr(), "GET /api/v1/metadata HTTP/1.1\r\nHost: gw\r\nX-")
		dial(t, f.Addr(), "POST /api/v1/event HTTP/1.1\r\nHost: gw\r\nContent-Length: 100\r\n\r\n")
	}
	began := time.Now()
	for range 20 {
		_, body := ask(t, f.Addr(), line("GET /api/v1/metadata"))
		require.Equal(t, " api-service GET /v1/metadata true", body)
	}
	require.Less(t, time.Since(began), 5*time.Second)
}

// TestBodiesComeInTime: a client that stops in the middle of a body is let go.
func TestBodiesComeInTime(t *testing.T) {
	read := make(chan error, 1)
	f := start(t, func(c *face.Config) {
		c.Anonymous, c.Idle = true, idle
		c.Control = func(_ http.ResponseWriter, r *http.Request, _ call.Call) {
			_, err := io.Copy(io.Discard, r.Body)
			read <- err
		}
	})
	conn := dial(t, f.Addr(), "POST /api/v1/event HTTP/1.1\r\nHost: gw\r\nContent-Length: 100\r\n\r\n{")
	select {
	case err := <-read:
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	case <-time.After(patience):
		require.Fail(t, "the handler waits")
	}
	_, err := io.Copy(io.Discard, conn) // closed
	require.NoError(t, err)
	// The same for a body that nobody reads.
	conn = dial(t, f.Addr(), "POST /nowhere HTTP/1.1\r\nHost: gw\r\nContent-Length: 100\r\n\r\n{")
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "404 Not Found")
}

// TestAnswersAreTakenInTime: a client that does not read is let go, one that
// waits for something to happen is not, and may be sent to later.
func TestAnswersAreTakenInTime(t *testing.T) {
	wrote, more := make(chan error, 1), make(chan struct{})
	f := start(t, func(c *face.Config) {
		c.Anonymous, c.Idle = true, idle
		c.Control = func(w http.ResponseWriter, r *http.Request, c call.Call) {
			control := http.NewResponseController(w)
			if c.Target == "/watch" {
				fmt.Fprintln(w, "first")
				_ = control.Flush()
				<-more
				fmt.Fprintln(w, "second", r.Context().Err())
				return
			}
			var err error
			for b := make([]byte, 1<<16); err == nil; {
				_, err = w.Write(b)
			}
			wrote <- err
		}
	})
	dial(t, f.Addr(), "GET /api/never-read HTTP/1.1\r\nHost: gw\r\n\r\n")
	select {
	case err := <-wrote:
		require.Error(t, err)
	case <-time.After(patience):
		require.Fail(t, "the handler waits")
	}
	conn := dial(t, f.Addr(), "GET /api/watch HTTP/1.1\r\nHost: gw\r\n\r\n")
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	defer res.Body.Close()
	b := make([]byte, 6)
	_, err = io.ReadFull(res.Body, b)
	require.NoError(t, err)
	time.AfterFunc(4*idle, func() { close(more) })
	rest, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "second <nil>\n", string(rest))
	// The connection is as good as new.
	_, err = io.WriteString(conn, "GET /api/watch HTTP/1.1\r\nHost: gw\r\n\r\n")
	require.NoError(t, err)
	res, err = http.ReadResponse(in, nil)
	require.NoError(t, err)
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "first\nsecond <nil>\n", string(all))
}

// TestOneSourceDoesNotTakeAll: connections of one address are bounded.
func TestOneSourceDoesNotTakeAll(t *testing.T) {
	f := start(t, func(c *face.Config) { c.Anonymous, c.MaxConnections = true, 3 })
	var held []net.Conn
	for range 3 {
		conn := dial(t, f.Addr(), "")
		_, body := speak(t, conn, "GET /api/x HTTP/1.1\nHost: gw\n\n")
		require.NotEmpty(t, body)
		held = append(held, conn)
	}
	_, err := io.ReadAll(dial(t, f.Addr(), ""))
	require.NoError(t, err) // closed at once
	require.NoError(t, held[0].Close())
	require.Eventually(t, func() bool {
		conn := dial(t, f.Addr(), "GET /api/x HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
		b, _ := io.ReadAll(conn)
		return len(b) > 0
	}, patience, 10*time.Millisecond)
}

// TestHeadsAreBounded: a head that is too long is refused.
func TestHeadsAreBounded(t *testing.T) {
	f := start(t, func(c *face.Config) { c.Anonymous = true })
	conn := dial(t, f.Addr(), "GET /api/v1/metadata HTTP/1.1\r\nHost: gw\r\nX-Long: "+string(bytes.Repeat([]byte{'x'}, 64<<10)))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
}
