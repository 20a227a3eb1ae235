package load_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// A record is the result of a run. Both ends of every link are in it; clients
// are not in memory, descriptors, goroutines and idle CPU.
type record struct {
	Hubs       int        `json:"hubs"`
	Leaves     int        `json:"leaves"`
	StartS     float64    `json:"startSeconds"`    // until the last gateway was ready
	LinksS     float64    `json:"linksSeconds"`    // from then on until every link was up
	MemoryMB   float64    `json:"memoryMB"`        // of all gateways, after a garbage collection
	FDs        float64    `json:"descriptors"`     // of all gateways
	Goroutines float64    `json:"goroutines"`      // of all gateways
	IdleCPU    float64    `json:"idleCPU"`         // of all gateways, % of one core
	Control    messages   `json:"controlMsgsPerS"` // idle, in the hub of the control plane
	Hub        messages   `json:"hubMsgsPerS"`     // idle, in another hub
	Last       messages   `json:"lastMsgsPerS"`    // idle, in the last stamp, a leaf if there is any
	Rate       float64    `json:"eventsPerS"`      // 1 KB, from one stamp to all others in turn
	EventCPU   float64    `json:"eventCPUMicro"`   // CPU of an event, servers and clients, µs
	Orphans    int        `json:"orphans"`         // leaves of the hub that was lost
	LossMS     [3]float64 `json:"lossMs"`          // event to an orphan in that moment: p50, p99, max
	OthersMS   [3]float64 `json:"othersMs"`        // event to any other stamp in that moment
}

// messages are those in and out of the servers of a stamp, per second.
type messages struct {
	Local float64 `json:"local"`
	Link  float64 `json:"link"` // over the links of a hub's link server
}

func TestSmallFederation(t *testing.T) {
	r := measure(t, size{2, 4}, 100, 500*time.Millisecond)
	require.Equal(t, 2, r.Orphans)
	require.Positive(t, r.MemoryMB)
}

// TestLoad runs one size, given as LOAD=hubs,leaves, in a process of its own.
func TestLoad(t *testing.T) {
	var s size
	if os.Getenv("LOAD") == "" {
		t.Skip("for make load")
	}
	_, err := fmt.Sscanf(os.Getenv("LOAD"), "%d,%d", &s.hubs, &s.leaves)
	require.NoError(t, err, "LOAD is hubs,leaves")
	line, err := json.Marshal(measure(t, s, 3000, 10*time.Second))
	require.NoError(t, err)
	fmt.Println(string(line))
	if name := os.Getenv("LOAD_OUT"); name != "" {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // named by the user
		require.NoError(t, err)
		_, err = fmt.Fprintln(f, string(line))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
}

func measure(t *testing.T, s size, events int, idle time.Duration) record {
	t.Helper()
	w := newWorld(t, s)
	before, start := used(t), time.Now()
	w.run()
	r := record{Hubs: s.hubs, Leaves: s.leaves, StartS: time.Since(start).Seconds()}
	start = time.Now()
	w.linked()
	r.LinksS = time.Since(start).Seconds()
	<-time.After(idle / 2) // the work of the start ends
	watched := []topology.StampID{"s0", "s1", s.last()}
	var sums [3]messages
	for i, id := range watched {
		sums[i].Local, sums[i].Link = w.messages(id)
	}
	busy := cpu(t)
	<-time.After(idle)
	r.IdleCPU = (cpu(t) - busy).Seconds() / idle.Seconds() * 100
	for i, id := range watched {
		local, link := w.messages(id)
		sums[i] = messages{(local - sums[i].Local) / idle.Seconds(), (link - sums[i].Link) / idle.Seconds()}
	}
	r.Control, r.Hub, r.Last = sums[0], sums[1], sums[2]
	http.DefaultClient.CloseIdleConnections()
	u := used(t).above(before)
	r.MemoryMB, r.FDs, r.Goroutines = u.memory, u.descriptors, u.goroutines
	c := newClients(w)
	c.rate(len(c.names)) // every way was used once
	var each time.Duration
	r.Rate, each = c.rate(events)
	r.EventCPU = float64(each.Microseconds())
	w.lose("s1", c, &r)
	return r
}

// lose stops a hub and sends an event to every other stamp in that moment.
func (w *world) lose(hub topology.StampID, c *clients, r *record) {
	w.t.Helper()
	orphans := w.orphans(hub)
	r.Orphans = len(orphans)
	start := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- w.Stamp(hub).Stop() }()
	sent := 0
	for _, s := range c.names {
		if s != hub {
			c.send(s)
			sent++
		}
	}
	var lost, others []time.Duration
	for _, a := range c.next(sent) {
		if orphans[a.stamp] {
			lost = append(lost, a.at.Sub(start))
		} else {
			others = append(others, a.at.Sub(start))
		}
	}
	r.LossMS, r.OthersMS = quantiles(lost), quantiles(others)
	require.NoError(w.t, <-stopped)
}
