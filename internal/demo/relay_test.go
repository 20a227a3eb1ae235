package demo_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/demo"
)

// echo listens and gives back what it gets, until the test is over.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	over := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-over })
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func say(c net.Conn) error {
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// requireCut waits until a connection is cut, which is a moment after Cut.
func requireCut(t *testing.T, c net.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return say(c) != nil }, 5*time.Second, time.Millisecond)
}

func TestRelayIsCutAndHealed(t *testing.T) {
	r, err := demo.OpenRelay()
	require.NoError(t, err)
	early := dial(t, r.Addr()) // before anybody knows where it leads
	r.Forward(echo(t))
	require.NoError(t, say(early))

	r.Cut()
	_, err = early.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF, "a cut is no polite end")
	late, err := net.Dial("tcp", r.Addr())
	if err == nil {
		require.Error(t, say(late))
	}

	r.Heal()
	again := dial(t, r.Addr())
	require.NoError(t, say(again))
	require.NoError(t, r.Close())
	_, err = again.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestRelayPassesTheEndOn(t *testing.T) {
	r, err := demo.OpenRelay()
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	r.Forward(l.Addr().String())
	near := dial(t, r.Addr())
	far, err := l.Accept()
	require.NoError(t, err)
	_, err = near.Write([]byte("bye"))
	require.NoError(t, err)
	require.NoError(t, near.Close())
	got, err := io.ReadAll(far)
	require.NoError(t, err)
	require.Equal(t, "bye", string(got))
}

func TestSwitchboardCutsOneStamp(t *testing.T) {
	s := demo.NewSwitchboard()
	server := echo(t)
	addr := func(from, to string) string {
		a, err := s.Addr(demo.Cable{From: from, To: to, Facet: "leafnode"})
		require.NoError(t, err)
		return a
	}
	a := addr("a", "hub")
	s.Forward("hub", "leafnode", server)
	b := addr("b", "hub")
	require.Equal(t, b, addr("b", "hub"))
	require.NotEqual(t, a, b)
	toA, toB := dial(t, a), dial(t, b)
	require.NoError(t, say(toA))
	require.NoError(t, say(toB))

	s.Cut("a")
	requireCut(t, toA)
	require.NoError(t, say(toB))
	s.Cut("hub")
	requireCut(t, toB)
	s.Heal("a")
	if c, err := net.Dial("tcp", a); err == nil {
		if c.LocalAddr().String() != a { // a socket that by chance dialled itself
			require.Error(t, say(c), "the hub is still cut off")
		}
		_ = c.Close()
	}
	s.Heal("hub")
	require.NoError(t, say(dial(t, a)))
	require.NoError(t, s.Close())
	_, err := s.Addr(demo.Cable{From: "c", To: "hub"})
	require.Error(t, err)
}
