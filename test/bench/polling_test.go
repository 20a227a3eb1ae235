package bench_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An openList is shipyard-controller's page of open events: what pollers of
// Keptn ask for. Nobody finishes anything here, so events stay on it.
type openList struct {
	mu     sync.Mutex
	events []json.RawMessage
}

func (o *openList) add(body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, slices.Clone(body))
}

// ServeHTTP answers as GET /v1/event/triggered/{type} does: newest first,
// twenty a page.
func (o *openList) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const pageSize = 20
	skip, _ := strconv.Atoi(r.URL.Query().Get("nextPageKey")) // none is 0
	o.mu.Lock()
	all := slices.Clone(o.events)
	o.mu.Unlock()
	slices.Reverse(all)
	page := struct {
		Events  []json.RawMessage `json:"events"`
		NextKey string            `json:"nextPageKey"`
		Total   int               `json:"totalCount,omitempty"`
	}{Events: []json.RawMessage{}, NextKey: "0", Total: len(all)}
	all = all[min(skip, len(all)):]
	page.Events = append(page.Events, all[:min(pageSize, len(all))]...)
	if len(all) > pageSize {
		page.NextKey = strconv.Itoa(skip + pageSize)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(page) // the poller has gone
}

// A poller asks for open events every interval, as Keptn's distributor and
// go-sdk do away from the control plane, and passes on those it has not seen.
type poller struct {
	interval time.Duration
	url      string
	seen     map[uint64]bool
	took     func(n uint64, at time.Time)
}

func (p *poller) run(done <-chan struct{}) error {
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-tick.C:
		}
		if err := p.poll(); err != nil {
			return err
		}
	}
}

// poll reads every page.
func (p *poller) poll() error {
	for key := ""; key != "0"; {
		resp, err := http.Get(p.url + "/v1/event/triggered/" + triggered + "?nextPageKey=" + key)
		if err != nil {
			return err
		}
		var page struct {
			Events  []json.RawMessage `json:"events"`
			NextKey string            `json:"nextPageKey"`
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		_ = resp.Body.Close() // read
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			n, err := numberOf(e)
			if err != nil {
				return err
			}
			if !p.seen[n] {
				p.seen[n] = true
				p.took(n, time.Now())
			}
		}
		key = page.NextKey
	}
	return nil
}

// BenchmarkPolling is about how much sooner an event is there than where Keptn's
// own programs poll for it.
func BenchmarkPolling(b *testing.B) {
	w := ringwayWay(b, newWorld(b, newDirect(b), false))
	m := newMaker(b, 1024, &counted)
	b.ResetTimer()
	var got pollingResult
	for range b.N {
		got = comparePolling(b, w, m)
	}
	b.StopTimer()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(quantile(got.ringway, 0.5)), "p50-ns")
	for _, c := range []struct {
		name string
		got  latency
		bar  float64
	}{{"distributor, every 10 s", got.distributor, 1000}, {"go-sdk, every 1 s", got.sdk, 100}} {
		ours, theirs := quantile(got.ringway, 0.5), quantile(c.got, 0.5)
		sooner := float64(theirs) / float64(ours)
		report.add(row{
			what: "f. median against Keptn's polling, " + c.name, command: "make bench ONLY=Polling",
			figure: micro(float64(ours)), against: micro(float64(theirs)), ratio: fmt.Sprintf("%.0f × sooner", sooner),
			bar: fmt.Sprintf("≥ %.0f × sooner", c.bar), met: sooner >= c.bar,
		})
		b.ReportMetric(sooner, "sooner-than-"+c.name[:6])
	}
}

type pollingResult struct{ ringway, distributor, sdk latency }

// comparePolling publishes for one interval of the slower poller, so that
// events meet it at any time between two polls, and waits for all three.
func comparePolling(tb testing.TB, w *way, m *maker) pollingResult {
	tb.Helper()
	const interval, gap = 10 * time.Second, 50 * time.Millisecond
	const n = int(interval / gap)
	list := &openList{}
	srv := httptest.NewServer(list)
	defer srv.Close()
	var mu sync.Mutex
	sent := map[uint64]time.Time{}
	var ways [3]latency
	took := func(i int) func(uint64, time.Time) {
		return func(n uint64, at time.Time) {
			mu.Lock()
			defer mu.Unlock()
			if t, ok := sent[n]; ok {
				ways[i] = append(ways[i], at.Sub(t))
			}
		}
	}
	w.listen(took(0))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i, every := range []time.Duration{interval, time.Second} {
		p := &poller{interval: every, url: srv.URL, seen: map[uint64]bool{}, took: took(i + 1)}
		wg.Go(func() { require.NoError(tb, p.run(done)) })
	}
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for range n {
		<-tick.C
		body, number := m.next()
		mu.Lock()
		sent[number] = time.Now()
		mu.Unlock()
		list.add(body)
		w.send(body)
	}
	require.Eventually(tb, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(ways[0]) == n && len(ways[1]) == n && len(ways[2]) == n
	}, 3*interval, 10*time.Millisecond)
	close(done)
	wg.Wait()
	for _, l := range ways {
		slices.Sort(l)
	}
	return pollingResult{ways[0], ways[1], ways[2]}
}
