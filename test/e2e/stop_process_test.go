package e2e_test

import (
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// TestAllReplicasStopAtOnce: all replicas of a stamp are stopped in order at once
// and started again, three times. What the stamp had confirmed to have before
// arrives. What it confirms in the first moments after a start may not, before
// the first replica hears its clients: docs/replicas.md.
func TestAllReplicasStopAtOnce(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	c.whole()
	c.active()
	const subject = "sh.keptn.events.problem"
	var mu sync.Mutex // guards the following two
	confirmed, arrived := map[int]time.Time{}, map[int]bool{}
	to := c.control.connect()
	_, err := to.Subscribe(subject, func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		id, _ := strconv.Atoi(idOf.FindStringSubmatch(string(m.Data))[1])
		arrived[id] = true
	})
	require.NoError(t, err)
	require.NoError(t, to.Flush())
	c.confirm(subject, func(n int) {
		mu.Lock()
		defer mu.Unlock()
		confirmed[n] = time.Now()
	})
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(confirmed)
	}
	var starts [][2]time.Time
	for range 3 {
		n := count()
		require.Eventually(t, func() bool { return count() > n+300 }, 2*fed.Patience, time.Millisecond)
		for _, p := range c.edge {
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		}
		for _, p := range c.edge {
			require.NoError(t, p.cmd.Wait())
		}
		down := time.Now()
		for _, p := range c.edge {
			p.start()
		}
		c.whole()
		c.active()
		starts = append(starts, [2]time.Time{down, time.Now()})
		t.Logf("stopped at %v, up after %v, %d confirmed", down.UTC().Format("05.000"), time.Since(down).Round(time.Millisecond), count())
	}
	n := count()
	require.Eventually(t, func() bool { return count() > n+100 }, 2*fed.Patience, time.Millisecond)
	close(c.done)
	c.wg.Wait()
	var missing []string
	for end := time.Now().Add(2 * fed.Patience); ; <-time.After(100 * time.Millisecond) {
		missing = nil
		mu.Lock()
		for n, at := range confirmed {
			started := slices.ContainsFunc(starts, func(s [2]time.Time) bool { return at.After(s[0]) && at.Before(s[1]) })
			if !arrived[n] && !started {
				missing = append(missing, strconv.Itoa(n)+" of "+at.UTC().Format("05.000"))
			}
		}
		mu.Unlock()
		if len(missing) == 0 || time.Now().After(end) {
			break
		}
	}
	require.Empty(t, missing, "%d of %d that were confirmed", len(missing), len(confirmed))
}

// confirm publishes at every replica, and says which events a server has taken
// from a connection that lives.
func (c *crew) confirm(subject string, confirmed func(n int)) {
	for i, p := range c.edge {
		nc := p.connect()
		c.wg.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for n := i; ; n += 3 {
				select {
				case <-c.done:
					return
				case <-tick.C:
				}
				before := nc.Stats().Reconnects
				err := nc.Publish(subject, event(subject, strconv.Itoa(n), "dev", "c"+strconv.Itoa(n%contexts)))
				if err == nil {
					err = nc.FlushTimeout(time.Second)
				}
				if nc.Stats().Reconnects != before {
					continue // it may have been sent on the new connection, or lost with the old one
				}
				if err == nil {
					confirmed(n)
				}
			}
		})
	}
}
