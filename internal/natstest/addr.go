package natstest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Addr returns a loopback address, as host:port, that is this test's until it
// ends, for a server whose address others must know before it listens.
//
// The port lies below those that systems hand out by themselves, so no
// connection takes it meanwhile. Its UDP twin is held as a sign to every other
// caller on the machine, also in other processes.
func Addr(t testing.TB) string {
	t.Helper()
	const first, last = 10_000, 32_000
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(last-first))) //nolint:gosec // a port, not a secret
		sign, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			_ = sign.Close()
			continue
		}
		require.NoError(t, tcp.Close())
		t.Cleanup(func() { _ = sign.Close() })
		return addr
	}
	require.Fail(t, "no free port")
	return ""
}
