package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// newCrewOf is a crew of n replicas.
func newCrewOf(t *testing.T, n int) *crew {
	t.Helper()
	c := prepareCrew(t, newBinary(t), n)
	c.start()
	return c
}

// TestTwoOfFiveReplicas: two of five are killed at once, the active one among
// them; the other three go on.
func TestTwoOfFiveReplicas(t *testing.T) {
	c := newCrewOf(t, 5)
	c.whole()
	active := c.active()
	survivor, other := (active+1)%5, (active+2)%5
	c.load(survivor)
	c.step("two of five are killed, the active one among them", 10*time.Second, func() {
		c.edge[active].kill()
		c.edge[other].kill()
	})
	require.Eventually(t, func() bool {
		_, body := c.edge[survivor].get("/readyz")
		return strings.Contains(body, "3 of 5 replicas reached")
	}, fed.Patience, 5*time.Millisecond)
	c.edge[active].start()
	c.edge[other].start()
	c.whole()
	c.finish()
}
