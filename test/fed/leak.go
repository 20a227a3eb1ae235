package fed

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// NoLeaks checks at the end of a test, after every cleanup that is registered
// later, that no goroutine and no file descriptor is left that was not there
// when it was called. What ends soon is waited for. Tests that use it do not
// run in parallel with others of their process.
func NoLeaks(t testing.TB) {
	t.Helper()
	goroutines, descriptors := goroutinesNow(), descriptorsNow()
	t.Cleanup(func() {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			// A server that ends while it is being dialled drops the connection,
			// which is closed when nobody refers to it.
			runtime.GC()
			for id, stack := range goroutinesNow() {
				if goroutines[id] == "" && !ours(stack) {
					assert.Fail(c, "a goroutine is left", stack)
				}
			}
			for fd, what := range descriptorsNow() {
				if descriptors[fd] != what {
					assert.Fail(c, "a descriptor is left", "%s: %s %s", fd, what, connectionOf(what))
				}
			}
		}, Patience, 20*time.Millisecond)
	})
}

// ours reports whether a goroutine belongs to the check itself or is one that
// a library leaves.
func ours(stack string) bool {
	for _, part := range leftByOthers {
		if strings.Contains(stack, part) {
			return true
		}
	}
	return false
}

// leftByOthers marks the stacks of goroutines that stay, by design or by mistake of
// a library.
var leftByOthers = []string{
	"testify/assert.", // this check
	"os/signal.loop",
	"os/signal.signal_recv",
	// Stop does not end it if the last Next had failed for good, such as when the
	// server of a consumer died (nats.go 1.55, pullSubscription.cleanup): one for
	// each such failure.
	"jetstream.(*pullConsumer).Messages.func2",
	// A toxic that delays, or lets nothing through, is stuck with what it holds
	// when its relay ends. It is the tests' own.
	"Shopify/toxiproxy/v2/toxics.",
	"Shopify/toxiproxy/v2/stream.(*ChanWriter).Write", // who hands it something
}

// goroutineID finds the number in the first line of a stack. Numbers are not
// used twice.
var goroutineID = regexp.MustCompile(`^goroutine (\d+) `)

// goroutinesNow returns the stack of every goroutine by its number.
func goroutinesNow() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	out := map[string]string{}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if m := goroutineID.FindStringSubmatch(stack); m != nil {
			out[m[1]] = stack
		}
	}
	return out
}

// descriptorsNow returns what every open descriptor leads to, by its number;
// nothing where /proc does not tell.
func descriptorsNow() map[string]string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || strings.HasPrefix(to, "/proc/") || strings.HasPrefix(to, "anon_inode:[event") {
			continue // this reading itself; the runtime's poller, which stays
		}
		out[e.Name()] = to
	}
	return out
}

// connectionOf returns the line of /proc/net/tcp about a socket: its own
// address, that of its peer and its state; nothing if it is none of TCP.
func connectionOf(socket string) string {
	inode := strings.TrimSuffix(strings.TrimPrefix(socket, "socket:["), "]")
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		table, err := os.ReadFile(file) //nolint:gosec // one of two names
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			if fields := strings.Fields(line); len(fields) > 9 && fields[9] == inode {
				return "own " + fields[1] + " peer " + fields[2] + " state " + fields[3]
			}
		}
	}
	return ""
}
