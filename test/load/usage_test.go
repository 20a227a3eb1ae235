package load_test

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A usage is what this process holds.
type usage struct {
	memory, descriptors, goroutines float64 // memory in MB
}

// used collects garbage first, so that memory is what is really held.
func used(t testing.TB) usage {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
	require.NoError(t, err)
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return usage{pages * float64(os.Getpagesize()) / (1 << 20), float64(len(fds)), float64(runtime.NumGoroutine())}
}

func (u usage) above(o usage) usage {
	return usage{u.memory - o.memory, u.descriptors - o.descriptors, u.goroutines - o.goroutines}
}

// cpu returns the time that this process has used of all cores.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var r syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
