package journal_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/topology"
)

const deployment = "sh.keptn.event.deployment.triggered"

func about(n int) bridge.About {
	return bridge.About{
		ID: fmt.Sprintf("id-%d", n), Type: deployment, Context: fmt.Sprintf("context-%d", n/10),
		Project: "sockshop", Stage: "prod", Service: "carts",
	}
}

func ids(all []journal.Entry) []string {
	out := make([]string, 0, len(all))
	for _, e := range all {
		out = append(out, e.ID+" "+string(e.Step))
	}
	return out
}

// TestFindsByIDTaskAndContext: an event by its id, what answers it by that as
// well, and all of a context, in the order in which it happened.
func TestFindsByIDTaskAndContext(t *testing.T) {
	j := journal.New("eu-1", "r0", 1000)
	for n := range 100 {
		j.Note(bridge.Moment{Step: bridge.StepCaptured, About: about(n)})
	}
	j.Note(bridge.Moment{Step: bridge.StepStored, About: about(7), Peer: "far"})
	answer := about(7)
	answer.ID, answer.Triggered, answer.Type = "answer", "id-7", "sh.keptn.event.deployment.started"
	j.Note(bridge.Moment{Step: bridge.StepStarted, About: answer})
	all, more := j.About("id-7", 10)
	require.False(t, more)
	require.Equal(t, []string{"id-7 captured", "id-7 stored", "answer started"}, ids(all))
	require.Equal(t, "eu-1", string(all[1].Stamp))
	require.Equal(t, "r0", all[1].Replica)
	require.Equal(t, "far", string(all[1].Peer))
	require.Equal(t, "carts", all[1].Service)
	require.Equal(t, "eu-1 → far", all[1].Where)
	all, _ = j.About("context-0", 100)
	require.Len(t, all, 12)
	all, more = j.About("context-0", 2)
	require.True(t, more)
	require.Equal(t, []string{"id-7 stored", "answer started"}, ids(all), "the last ones count")
	all, _ = j.About("", 10)
	require.Empty(t, all, "events without an id are not all the same")
	all, _ = j.About("id-1000", 10)
	require.Empty(t, all)
}

// TestForgetsTheOldest: it keeps what it was told to, not much more, and finds all
// of that.
func TestForgetsTheOldest(t *testing.T) {
	for _, size := range []int{1, 100, 5000} {
		j := journal.New("a", "", size)
		const n = 20_000
		for i := range n {
			j.Note(bridge.Moment{Step: bridge.StepCaptured, About: about(i)})
		}
		kept := 0
		for i := range n {
			all, _ := j.About(fmt.Sprintf("id-%d", i), 10)
			if i >= n-size {
				require.Len(t, all, 1, "size %d, event %d", size, i)
			}
			kept += len(all)
		}
		require.LessOrEqual(t, kept, size+size/10+128)
		require.EqualValues(t, n, j.Steps())
		require.False(t, j.Since().IsZero())
	}
}

// TestKeepsNothingOfABody: names are copied and cut, so that an event of a
// megabyte is not kept because of its id.
func TestKeepsNothingOfABody(t *testing.T) {
	j := journal.New("a", "", 1000)
	for i := range 1000 {
		body := strings.Repeat("x", 1<<20) + fmt.Sprintf("id-%d", i) + strings.Repeat("y", 1<<20)
		a := bridge.About{ID: body[1<<20 : len(body)-1<<20], Type: deployment, Service: body}
		j.Note(bridge.Moment{Step: bridge.StepRefused, About: a, Detail: body, Tried: []string{body}})
		if i%100 == 0 {
			runtime.GC()
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	require.Less(t, m.HeapAlloc, uint64(64<<20))
	all, _ := j.About("id-999", 1)
	require.Len(t, all, 1)
	require.Less(t, len(all[0].Service)+len(all[0].Detail)+len(all[0].Tried[0]), 1200)
}

// TestAfter: who follows a journal gets every step once, is told what it missed,
// and notices a restart.
func TestAfter(t *testing.T) {
	j := journal.New("a", "", 200)
	note := func(n int, step bridge.Step) { j.Note(bridge.Moment{Step: step, About: about(n)}) }
	for n := range 10 {
		note(n, bridge.StepCaptured)
	}
	all, place, missed := j.After(journal.Place{}, journal.Filter{}, 3, 100)
	require.Equal(t, []string{"id-7 captured", "id-8 captured", "id-9 captured"}, ids(all))
	require.Zero(t, missed)
	note(10, bridge.StepCaptured)
	note(10, bridge.StepStored)
	note(11, bridge.StepStored)
	all, place, _ = j.After(place, journal.Filter{Steps: []bridge.Step{bridge.StepStored}}, 0, 1)
	require.Equal(t, []string{"id-10 stored"}, ids(all))
	all, place, _ = j.After(place, journal.Filter{Types: []string{"deployment.triggered"}, Stages: []string{"prod"}}, 0, 10)
	require.Equal(t, []string{"id-11 stored"}, ids(all))
	all, place, _ = j.After(place, journal.Filter{}, 0, 10)
	require.Empty(t, all)
	for n := range 1000 {
		note(n, bridge.StepCaptured)
	}
	all, _, missed = j.After(place, journal.Filter{}, 0, 10_000)
	require.Equal(t, 1000, len(all)+int(missed))
	require.Positive(t, missed)
	for f, want := range map[string]journal.Filter{
		"stage": {Stages: []string{"dev"}}, "project": {Projects: []string{"other"}}, "context": {Contexts: []string{"none"}}, "type": {Types: []string{"t.triggered"}},
	} {
		none, _, _ := j.After(place, want, 0, 10)
		require.Empty(t, none, f)
	}
	other := journal.New("a", "", 200)
	other.Note(bridge.Moment{Step: bridge.StepHeld, About: about(1)})
	all, _, missed = other.After(place, journal.Filter{}, 0, 10)
	require.Len(t, all, 1, "all of the new process is news")
	require.Zero(t, missed)
}

// TestManyAtOnce: writers and readers do not disturb each other.
func TestManyAtOnce(t *testing.T) {
	j := journal.New("a", "", 500)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 5000 {
				j.Note(bridge.Moment{Step: bridge.StepCaptured, About: about(w*10_000 + n)})
			}
		})
		wg.Go(func() {
			for range 200 {
				j.About("id-1", 10)
				j.After(journal.Place{}, journal.Filter{}, 10, 10)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 20_000, j.Steps())
}

// TestSays: what people read of each step.
func TestSays(t *testing.T) {
	until := time.Date(2026, 1, 2, 10, 51, 2, 0, time.UTC)
	a, answer := about(1), about(1)
	answer.Source, answer.Triggered = "helm-service", "id-1"
	for _, c := range []struct {
		m           bridge.Moment
		where, what string
	}{
		{bridge.Moment{Step: bridge.StepCaptured, About: a}, "cp", "published " + deployment + "  sockshop/prod/carts"},
		{bridge.Moment{Step: bridge.StepRouted, About: a, Tried: []string{"rule prod: takes it"}, Targets: []bridge.Target{{Stamp: "eu-1", Rule: "prod"}, {Stamp: "eu-2", Rule: "prod"}}}, "cp → eu-1, eu-2", "routed: rule prod: takes it"},
		{bridge.Moment{Step: bridge.StepRouted, About: a, Tried: []string{"the topology has no rule"}}, "cp", "stays in cp: the topology has no rule"},
		{bridge.Moment{Step: bridge.StepHeld, About: a, Peer: "eu-2", Detail: "link down since 10:36:50"}, "cp → eu-2", "held in the outbox: link down since 10:36:50"},
		{bridge.Moment{Step: bridge.StepStored, About: a, Peer: "eu-1"}, "cp → eu-1", "stored in eu-1"},
		{bridge.Moment{Step: bridge.StepCrossed, About: a, Peer: "eu-1"}, "cp", "arrived from eu-1"},
		{bridge.Moment{Step: bridge.StepWaiting, About: a, Detail: "nobody", Until: until}, "cp", "waits: nobody (until 10:51:02)"},
		{bridge.Moment{Step: bridge.StepDelivered, About: a, N: 1}, "cp", "delivered to 1 subscriber"},
		{bridge.Moment{Step: bridge.StepReoffered, About: a, N: 2}, "cp", "given again for want of an answer, to 2 subscribers"},
		{bridge.Moment{Step: bridge.StepOffered, About: a, Peer: "eu-1", N: 2}, "cp → eu-1", "offered, 2. time"},
		{bridge.Moment{Step: bridge.StepStarted, About: answer, Peer: "eu-1", N: 1, Of: 2, Detail: "waiting for eu-2", Until: until}, "eu-1 → cp", "helm-service started (1/2 started, waiting for eu-2 until 10:51:02)"},
		{bridge.Moment{Step: bridge.StepBarrier, About: answer, Peer: "eu-1", N: 1, Of: 2}, "eu-1 → cp", "helm-service finished, held by the barrier (1/2 started)"},
		{bridge.Moment{Step: bridge.StepFinished, About: answer, Peer: "eu-1", N: 1, Of: 1}, "eu-1 → cp", "helm-service finished"},
		{bridge.Moment{Step: bridge.StepRefused, About: a, Reason: bridge.ReasonPolicy, Tried: []string{"stamp far: denied by policy p"}}, "cp", "refused (policy): stamp far: denied by policy p; dead letter"},
		{bridge.Moment{Step: bridge.StepDead, About: a, Reason: bridge.ReasonNoPlane}, "cp", "could not be delivered (no-plane); dead letter"},
	} {
		j := journal.New("cp", "", 10)
		j.Note(c.m)
		all, _ := j.About("id-1", 1)
		require.Len(t, all, 1, c.m.Step)
		require.Equal(t, c.where, all[0].Where, c.m.Step)
		require.Equal(t, c.what, all[0].What, c.m.Step)
	}
}

// BenchmarkNote is what a step costs on the way of an event.
func BenchmarkNote(b *testing.B) {
	j := journal.New("eu-1", "", journal.DefaultSize)
	var all [1024]bridge.About
	for i := range all {
		all[i] = about(i)
		all[i].ID, all[i].Context = fmt.Sprintf("7ef184dd-f821-48a2-a59e-%012d", i), fmt.Sprintf("c0ffee00-f821-48a2-a59e-%012d", i)
	}
	targets := []bridge.Target{{Stamp: "far", Rule: "prod"}}
	tried := []string{"rule prod: takes it"}
	for i := range 2 * journal.DefaultSize { // full
		j.Note(bridge.Moment{Step: bridge.StepCaptured, About: all[i%1024]})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		a := all[i/3%1024]
		j.Note(bridge.Moment{Step: bridge.StepRouted, About: a, Tried: tried, Targets: targets})
		i++
	}
}

// BenchmarkAbout is what a look costs in a journal that is full.
func BenchmarkAbout(b *testing.B) {
	j := journal.New("eu-1", "", journal.DefaultSize)
	for i := range 2 * journal.DefaultSize {
		j.Note(bridge.Moment{Step: bridge.StepCaptured, About: about(i)})
	}
	b.ReportAllocs()
	for b.Loop() {
		j.About(fmt.Sprintf("id-%d", 2*journal.DefaultSize-10), 10)
	}
}

// TestAllTargetsAreTold: a step is found by each stamp that it has to do with, and
// counts them right, also in a large federation.
func TestAllTargetsAreTold(t *testing.T) {
	t.Parallel()
	j := journal.New("cp", "", 100)
	m := bridge.Moment{Step: bridge.StepRouted, About: bridge.About{ID: "x", Type: "t"}}
	for i := range 450 {
		m.Targets = append(m.Targets, bridge.Target{Stamp: topology.StampID(fmt.Sprint("s-", i)), Rule: "r"})
	}
	j.Note(m)
	all, _ := j.About("x", 10)
	require.Len(t, all, 1)
	require.Equal(t, "cp → 450 stamps", all[0].Where)
	require.True(t, all[0].Involves("s-449"))
}
