package chaos_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/crash"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// pair is a control plane's stamp and one that executes, with addresses to be
// filled in.
const pair = `
apiVersion: ringway/v1
kind: Topology
name: pair
geos: [eu]
rings: [dev]
stamps:
  - {name: control, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "A1", leafnode: "A2", websocket: "A3"}}}
  - {name: exec, geo: eu, ring: dev}
controlPlanes: [{name: keptn, stamp: control}]
stages: [{name: dev, ring: dev}]
`

// crashPoints are the points at which each side dies. uncertain ones are within
// the last hop: nobody can know whether the client got the event.
var crashPoints = []struct {
	name      string
	nth       int // passing at which it dies; the last two are passed once a batch
	uncertain bool
}{
	{crash.OutboxRead, 3, false},
	{crash.OutboxHeld, 3, false},
	{crash.OutboxSent, 3, false},
	{crash.OutboxAnswered, 3, false},
	{crash.OutboxStored, 3, false},
	{crash.OutboxSettled, 3, false},
	{crash.InboxArrived, 1, false},
	{crash.InboxArrived, 3, true}, // two were delivered, and not noted
	{crash.InboxDelivered, 3, true},
	{crash.InboxFlushed, 1, true},
	{crash.InboxSaved, 1, false},
}

// A couple is the two processes and who uses them.
type couple struct {
	t     *testing.T
	all   map[string]*process
	j     *journal
	keptn *control
	plane *plane
	sent  int

	checked int // sightings that once has looked at
}

func newCouple(t *testing.T) *couple {
	t.Helper()
	dir := t.TempDir()
	text := regexp.MustCompile(`A\d`).ReplaceAllStringFunc(pair, func(string) string { return natstest.Addr(t) })
	mesh, err := topology.Parse("topology.yaml", []byte(text))
	require.NoError(t, err)
	store, err := keystore.Init(filepath.Join(dir, "keys"), mesh.Name, time.Now(), nil)
	require.NoError(t, err)
	c := &couple{t: t, all: map[string]*process{}, j: newJournal()}
	for _, s := range mesh.Stamps {
		p := &process{t: t, stamp: string(s.ID), dir: filepath.Join(dir, string(s.ID)), opts: gateway.DefaultOptions()}
		folder, err := store.IssueFolder(mesh, s.ID, time.Now())
		require.NoError(t, err)
		require.NoError(t, keystore.WriteFolder(filepath.Join(p.dir, "identity"), folder))
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "topology.yaml"), []byte(text), 0o600))
		o := &p.opts
		o.Stamp, o.Topology, o.Identity, o.Data = s.ID, filepath.Join(p.dir, "topology.yaml"), filepath.Join(p.dir, "identity"), filepath.Join(p.dir, "data")
		a := s.Link.Advertise
		o.Listen = gateway.Listen{
			Clients: natstest.Addr(t), Admin: natstest.Addr(t), Monitoring: "off",
			Gateway: or(a.Gateway), Leafnode: or(a.Leafnode), WebSocket: or(a.WebSocket),
		}
		o.Events.AckTimeout = 500 * time.Millisecond
		p.log, err = os.Create(filepath.Join(p.dir, "log"))
		require.NoError(t, err)
		c.all[p.stamp] = p
		t.Cleanup(func() {
			if p.cmd != nil {
				p.kill()
			}
			if log, _ := os.ReadFile(p.log.Name()); t.Failed() {
				t.Logf("%s:\n%.6000s", p.stamp, log)
			}
			_ = p.log.Close() // nobody reads it any more
		})
	}
	require.NoError(t, store.Close())
	for _, p := range c.all {
		p.start("")
	}
	c.keptn = newControl(t, c.url("control"), "control", 1, c.j)
	c.plane = &plane{t: t, url: c.url("exec"), stamp: "exec", name: "deployment-service", task: "deployment", j: c.j, work: func(int) time.Duration { return 0 }}
	return c
}

func or(addr string) string {
	if addr == "" {
		return "127.0.0.1:0"
	}
	return addr
}

func (c *couple) url(stamp string) string { return "nats://" + c.all[stamp].opts.Listen.Clients }

// dies has one process die at the nth passing of a point while events go both
// ways, and starts it again.
func (c *couple) dies(stamp, point string, nth int) {
	c.t.Helper()
	p := c.all[stamp]
	reached := filepath.Join(p.dir, fmt.Sprintf("reached-%d", c.sent))
	arm := fmt.Sprintf("%s:%d:%s", point, nth, reached)
	other := c.all[map[string]string{"control": "exec", "exec": "control"}[stamp]]
	switch {
	case point != crash.OutboxHeld:
		p.stop()
		p.start(arm)
		c.trigger()
	case stamp == "control":
		p.stop()
		other.stop()
		p.start(arm)
		c.trigger()
	default: // the tasks wait for a plane, which comes when the control plane is away
		c.plane.stop()
		c.trigger()
		p.stored()
		other.stop()
		p.stop()
		p.start(arm)
		c.plane.start()
	}
	require.Eventually(c.t, func() bool { _, err := os.Stat(reached); return err == nil }, fed.Patience, 5*time.Millisecond, "%s never passes %s", stamp, point)
	p.stored()
	p.kill()
	p.start("")
	if point == crash.OutboxHeld {
		other.start("")
	}
}

// trigger publishes some tasks in several contexts.
func (c *couple) trigger() {
	for range 24 {
		h := head{ID: fmt.Sprint("t", c.sent), Source: "shipyard-controller", Type: keptnPrefix + "deployment" + triggered, Context: fmt.Sprint("c", c.sent%3)}
		h.Data.Project, h.Data.Stage = "p", "dev"
		c.sent++
		c.keptn.trigger(h)
	}
}

// arrived waits until everything that was published has been seen.
func (c *couple) arrived(what string) {
	c.t.Helper()
	missing := func() (out []string) {
		c.j.mu.Lock()
		defer c.j.mu.Unlock()
		seen := map[bridge.Key]bool{}
		for _, x := range c.j.sighted {
			seen[x.key] = true
		}
		for _, e := range c.j.events {
			if !seen[e.key] {
				out = append(out, e.String())
			}
		}
		return out
	}
	deadline := time.Now().Add(2 * fed.Patience)
	for tick := time.NewTicker(5 * time.Millisecond); len(missing()) > 0; <-tick.C {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: lost: %v", what, missing())
		}
	}
}

// TestCrashPoints: each side dies by kill -9 at each step of the way of an
// event, and is started again. Nothing is lost, nothing arrives twice, and order
// holds.
func TestCrashPoints(t *testing.T) {
	c := newCouple(t)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.keptn.receive(ctx) })
	c.plane.start()
	defer func() {
		c.plane.stop()
		stop()
		wg.Wait()
		c.keptn.c.nc.Close()
	}()
	c.trigger()
	c.arrived("before any crash")
	for _, stamp := range []string{"control", "exec"} {
		for _, point := range crashPoints {
			what := stamp + " dies at " + point.name
			c.dies(stamp, point.name, point.nth)
			c.arrived(what)
			c.once(what, point.uncertain && !asksLastHop)
		}
	}
}

// once asks that nothing that was seen since it was last called had been seen
// before, and that all of it came in order. Markers come last: what is behind
// them is no late copy. excused asks for nothing.
func (c *couple) once(what string, excused bool) {
	c.t.Helper()
	c.trigger()
	c.arrived(what + ", then")
	c.j.mu.Lock()
	defer c.j.mu.Unlock()
	seen, last := map[bridge.Key]bool{}, map[string]*event{}
	for i, x := range c.j.sighted {
		e := c.j.byKey[x.key]
		way := x.by + "/" + e.by + "/" + e.Context
		p := last[way]
		switch {
		case i < c.checked || excused:
		case seen[x.key]:
			c.t.Errorf("%s: twice: %s was given %v", what, x.by, e)
		case p != nil && p.n > e.n:
			c.t.Errorf("%s: order: %s was given %v after %v", what, x.by, e, p)
		}
		if !seen[x.key] {
			last[way] = e
		}
		seen[x.key] = true
	}
	c.checked = len(c.j.sighted)
}
