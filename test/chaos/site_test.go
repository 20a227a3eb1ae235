package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// A site is a federation with everybody who uses it.
type site struct {
	t        testing.TB
	fed      *fed.Fed
	j        *journal
	planes   map[string][]*plane // by stamp
	controls []*control
	trade    *trade
	began    time.Time

	topology sync.Mutex // guards the following fields; held until a change is in force
	shape    shape
	versions []version

	mu    sync.Mutex // guards the following fields
	diary []string   // what was done, and when really
	spans []span
	locks map[string]*sync.Mutex
}

// A version is one topology that was in force.
type version struct {
	mesh  *topology.Mesh
	since time.Time // when it was written
	until time.Time // when every gateway had the next one; zero if it is the last
}

func newSite(t testing.TB, seed uint64) *site {
	t.Helper()
	s := &site{t: t, j: newJournal(), planes: map[string][]*plane{}, locks: map[string]*sync.Mutex{}}
	text := []byte(s.shape.yaml())
	mesh, err := topology.Parse("topology.yaml", text)
	require.NoError(t, err)
	s.versions = []version{{mesh: mesh, since: time.Now().Add(-time.Hour)}}
	s.fed = fed.New(t, string(text))
	for _, stamp := range controls {
		c := newControl(t, s.url(stamp), stamp, seed, s.j)
		c.watch()
		s.controls = append(s.controls, c)
	}
	for i, stamp := range executions {
		for k, task := range []string{"deployment", "test"} {
			r := rand.New(rand.NewPCG(seed, uint64(10*i+k))) //nolint:gosec // meant to be repeated
			p := &plane{t: t, url: s.url(stamp), stamp: stamp, name: task + "-service", task: task, j: s.j, work: quick(r)}
			if stamp == "gamma" {
				p.work = lazy(r)
			}
			p.start()
			s.planes[stamp] = append(s.planes[stamp], p)
		}
	}
	s.trade = s.goods()
	return s
}

// quick works at once, or for a moment.
func quick(r *rand.Rand) func(int) time.Duration {
	return func(int) time.Duration { return time.Duration(max(0, r.IntN(40)-20)) * time.Millisecond }
}

// lazy takes up to a second.
func lazy(r *rand.Rand) func(int) time.Duration {
	return func(int) time.Duration { return time.Duration(200+r.IntN(800)) * time.Millisecond }
}

func (s *site) url(stamp string) string { return s.fed.Stamp(topology.StampID(stamp)).URL() }

func (s *site) must(err error) {
	s.t.Helper()
	require.NoError(s.t, err)
}

// run goes through a schedule under load, heals everything and waits until
// nothing moves any more.
func (s *site) run(plan schedule, length time.Duration) {
	s.began = time.Now()
	receiving, stopReceiving := context.WithCancel(context.Background())
	loading, stopLoading := context.WithTimeout(context.Background(), length)
	defer stopLoading()
	var receivers, others sync.WaitGroup
	for _, c := range s.controls {
		receivers.Go(func() { c.receive(receiving) })
		others.Go(func() { c.load(loading, 40*time.Millisecond) })
	}
	others.Go(func() { s.trade.load(loading, 50*time.Millisecond) })
	for _, st := range plan {
		others.Go(func() { s.play(st) })
	}
	others.Wait()
	s.note("healed")
	if state := s.settle(); state != "" {
		s.note("does not settle: " + state)
		s.noteStatus()
	} else {
		s.note("settled")
	}
	for _, list := range s.planes {
		for _, p := range list {
			p.stop()
		}
	}
	stopReceiving()
	receivers.Wait()
	for _, c := range s.controls {
		c.c.nc.Close()
	}
	s.trade.close()
}

// play does one step. What it claims is its own even if the one before took
// longer than planned.
func (s *site) play(st step) {
	s.wait(st.at)
	for _, l := range s.claim(st.claims()) {
		l.Lock()
		defer l.Unlock()
	}
	s.note("begin " + st.String())
	begin := time.Now()
	st.begin(s)
	s.wait(st.until)
	st.end(s)
	s.note("end   " + st.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spans = append(s.spans, span{st.claims(), begin, time.Now()})
}

// claim returns the locks of names, always in the same order.
func (s *site) claim(names []string) []*sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*sync.Mutex
	for _, n := range slices.Sorted(slices.Values(names)) {
		if s.locks[n] == nil {
			s.locks[n] = &sync.Mutex{}
		}
		out = append(out, s.locks[n])
	}
	return out
}

func (s *site) wait(at time.Duration) {
	t := time.NewTimer(time.Until(s.began.Add(at)))
	<-t.C
}

func (s *site) note(what string) {
	at := time.Since(s.began).Milliseconds()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.diary = append(s.diary, fmt.Sprintf("%6dms %s", at, what))
}

// reshape writes another topology and waits until every gateway that runs has
// it in force.
func (s *site) reshape(change func(*shape)) {
	s.topology.Lock()
	defer s.topology.Unlock()
	change(&s.shape)
	text := []byte(s.shape.yaml())
	mesh, err := topology.Parse("topology.yaml", text)
	if !assert.NoError(s.t, err) {
		return
	}
	s.versions = append(s.versions, version{mesh: mesh, since: time.Now()})
	assert.NoError(s.t, s.fed.SetTopology(text))
	assert.EventuallyWithT(s.t, func(c *assert.CollectT) {
		for _, st := range s.fed.Stamps() {
			if _, in := mesh.View(st.ID); !in {
				continue
			}
			for i := range max(st.Replicas, 1) {
				if g := st.Replica(i).Gateway(); g != nil {
					assert.Equal(c, mesh.Hash, g.Status().Topology.Hash, "topology of %s: %s", st.ID, g.Status().Topology.Err)
				}
			}
		}
	}, fed.Patience, 10*time.Millisecond)
	s.versions[len(s.versions)-2].until = time.Now()
}

// A span is when a step really was.
type span struct {
	claims     []string
	begin, end time.Time
}
