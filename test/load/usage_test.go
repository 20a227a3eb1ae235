package load_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
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

// messages returns how many messages the servers of a stamp have passed so far:
// the local server in and out, and a hub's link server over its links.
func (w *world) messages(stamp topology.StampID) (local, link float64) {
	w.t.Helper()
	type count struct {
		In  float64 `json:"in_msgs"`
		Out float64 `json:"out_msgs"`
	}
	var v count
	w.page(stamp, "/varz", &v)
	var leaves struct {
		Leafs []count `json:"leafs"`
	}
	w.page(stamp, "/leafz", &leaves)
	type conn struct {
		Connection count `json:"connection"`
	}
	var gateways struct {
		Out map[string]conn   `json:"outbound_gateways"`
		In  map[string][]conn `json:"inbound_gateways"`
	}
	w.page(stamp, "/gatewayz", &gateways)
	for _, l := range leaves.Leafs {
		link += l.In + l.Out
	}
	for _, c := range gateways.Out {
		link += c.Connection.In + c.Connection.Out
	}
	for _, in := range gateways.In {
		for _, c := range in {
			link += c.Connection.In + c.Connection.Out
		}
	}
	return v.In + v.Out, link
}

func (w *world) page(stamp topology.StampID, path string, to any) {
	w.t.Helper()
	at, _ := w.Addr("", string(stamp), "monitoring") // never fails
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+at+path, nil)
	require.NoError(w.t, err)
	r, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	require.NoError(w.t, errors.Join(json.NewDecoder(r.Body).Decode(to), r.Body.Close()))
}
