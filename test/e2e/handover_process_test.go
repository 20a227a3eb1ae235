package e2e_test

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// handOverBound is what docs/replicas.md promises of a hand-over.
const handOverBound = 3 * time.Second

// TestHandOver kills the active replica again and again, with events flowing in
// both directions, and says for how long nothing arrived. HANDOVERS says how
// often; the bound is asked for only where that is set, as other tests beside it
// take the time of the machine.
func TestHandOver(t *testing.T) {
	times, err := strconv.Atoi(cmp.Or(os.Getenv("HANDOVERS"), "0"))
	require.NoError(t, err)
	if times == 0 {
		t.Skip("HANDOVERS is not set")
	}
	c := newCrew(t)
	c.whole()
	// Clients are where the active one is not, and stay there: what a server had
	// not read when it died is lost, and their way back is no part of this.
	home := (c.active() + 1) % 3
	c.load(home)
	var up, down []time.Duration
	for len(up) < times {
		active := c.active()
		if active == home { // suspended until another has taken over
			require.NoError(t, c.edge[home].cmd.Process.Signal(syscall.SIGSTOP))
			require.Eventually(t, func() bool {
				return slices.ContainsFunc(c.edge, func(p *process) bool {
					return p != c.edge[home] && p.status().Replica != nil && p.status().Replica.Active
				})
			}, 2*fed.Patience, 5*time.Millisecond)
			require.NoError(t, c.edge[home].cmd.Process.Signal(syscall.SIGCONT))
			c.whole()
			continue
		}
		c.up.steady()
		c.down.steady()
		before := time.Now()
		c.edge[active].kill()
		c.active()
		c.up.flows()
		c.down.flows()
		up, down = append(up, c.up.silence(before)), append(down, c.down.silence(before))
		t.Logf("kill %d at %s: %v from the stamp, %v in the stamp", len(up), before.UTC().Format("05.000"), up[len(up)-1].Round(time.Millisecond), down[len(down)-1].Round(time.Millisecond))
		c.edge[active].start()
		c.whole()
	}
	for name, all := range map[string][]time.Duration{"from": up, "in": down} {
		slices.Sort(all)
		t.Logf("nothing arrived %s the stamp: median %v, worst %v of %d", name, all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond), len(all))
	}
	close(c.done)
	c.wg.Wait()
	t.Logf("%d came twice", c.down.balance())
	require.Zero(t, c.up.balance(), "what crosses is de-duplicated by the target")
	require.Less(t, slices.Max(up), handOverBound)
	require.Less(t, slices.Max(down), handOverBound)
}

// steady waits until what is published arrives at once: nothing waits from an
// earlier hand-over.
func (s *stream) steady() {
	s.t.Helper()
	good := 0
	require.Eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if good++; len(s.at) == 0 || time.Since(s.at[len(s.at)-1]) > 100*time.Millisecond || int(s.sent.Load())-s.distinct() > 40 {
			good = 0
		}
		return good >= 20
	}, 2*fed.Patience, 20*time.Millisecond, "%s: does not become steady", s.name)
}
