package natstest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A Sloth is a subscriber that speaks the protocol by hand and reads a chunk at a
// tick, so that what it does not read piles up at the server. A client library
// would read at once and keep it in memory.
type Sloth struct {
	IDs []string // of the events that it got, in their order
	Err error    // why it stopped

	conn net.Conn
}

// chunk is what a Sloth reads at a tick, in bytes.
const chunk = 128 << 10

// NewSloth subscribes in the queue group slow at the server at addr. connect is
// the JSON of its CONNECT.
func NewSloth(t testing.TB, addr, connect, subject string) *Sloth {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	tcp, ok := c.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.SetReadBuffer(64<<10))
	_, err = fmt.Fprintf(c, "CONNECT %s\r\nSUB %s slow 1\r\nPING\r\n", connect, subject)
	require.NoError(t, err)
	return &Sloth{conn: c}
}

// Read takes events until it has n, or the server hangs up.
func (s *Sloth) Read(n int, every time.Duration) {
	in := bufio.NewReaderSize(s.conn, 64<<10)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for read := 0; len(s.IDs) < n && s.Err == nil; {
		var body []byte
		if body, s.Err = s.next(in); body == nil {
			continue
		}
		s.IDs = append(s.IDs, IDOf(body))
		if read += len(body); read > chunk {
			read = 0
			<-tick.C
		}
	}
}

// next returns the body of a message, or nil for another line.
func (s *Sloth) next(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(line)
	switch {
	case len(fields) == 0:
		return nil, nil
	case fields[0] == "PING":
		_, err := s.conn.Write([]byte("PONG\r\n"))
		return nil, err
	case fields[0] != "MSG" && fields[0] != "HMSG":
		return nil, nil
	}
	size, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return nil, err
	}
	body := make([]byte, size+2)
	_, err = io.ReadFull(in, body)
	return body, err
}

// IDOf returns the id of an event.
func IDOf(body []byte) string {
	_, rest, _ := bytes.Cut(body, []byte(`"id":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}
