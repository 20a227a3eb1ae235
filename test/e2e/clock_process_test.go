package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
)

// shift is added to Go's package time: the wall clock is wrong by as many seconds
// as a variable of the environment says.
const shift = `package time

import "syscall"

var clockShift = readShift()

func readShift() int64 {
	text, _ := syscall.Getenv("RINGWAY_TEST_CLOCK")
	n, err := atoi(text)
	if err != nil {
		return 0
	}
	return int64(n)
}
`

// clockBinary builds the program with a wall clock that can be wrong.
func clockBinary(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	std := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	source, err := os.ReadFile(filepath.Join(std, "time.go")) //nolint:gosec // Go's own
	require.NoError(t, err)
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	require.Contains(t, string(source), now, "Go reads the clock in another way")
	dir := t.TempDir()
	replace := map[string]string{}
	for name, text := range map[string]string{"time.go": strings.Replace(string(source), now, now+"\tsec += clockShift\n", 1), "zz_shift.go": shift} {
		replace[filepath.Join(std, name)] = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	binary := filepath.Join(dir, "ringway")
	out, err = exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, //nolint:gosec // our own
		"github.com/ringway/ringway/cmd/ringway").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// clock makes the clock of a process wrong from its next start on.
func (p *process) clock(by time.Duration) {
	p.env = append(os.Environ(), fmt.Sprintf("RINGWAY_TEST_CLOCK=%d", int(by.Seconds())))
}

// TestWrongClock: the clocks of two stamps are an hour wrong, in both directions,
// and that of the third jumps forth and back while it is down. Nothing is lost or
// comes twice, and the stamps say how far they are apart.
func TestWrongClock(t *testing.T) {
	if testing.Short() {
		t.Skip("builds Go's library anew")
	}
	t.Parallel()
	const hour = time.Hour
	all := prepareProcesses(t, clockBinary(t), separate)
	all["wss"].clock(-hour)
	all["hub"].clock(hour)
	for _, p := range all {
		p.start()
	}
	r := newTrialOf(t, all)
	r.publish()
	r.collect()
	for _, by := range []time.Duration{hour, -hour, 0} {
		all["control"].kill()
		all["control"].clock(by)
		all["control"].start()
		require.Eventually(t, r.keptn.IsConnected, fed.Patience, time.Millisecond)
		r.publish()
		r.collect()
	}
	require.Eventually(t, r.answers.nc.IsConnected, fed.Patience, time.Millisecond)
	require.NoError(t, r.answers.nc.FlushTimeout(fed.Patience))
	r.answer("wss", r.wss)
	r.answer("hub", r.hub)
	r.answers.collect(2 * r.sent)
	for _, p := range []*plane{r.hub, r.wss, r.answers} {
		seen := map[string]bool{}
		for _, body := range p.seen {
			require.False(t, seen[body], "twice: %s", body)
			seen[body] = true
		}
	}
	require.Eventually(t, func() bool {
		s := all["control"].status()
		return s.Condition == gateway.ConditionDegraded && strings.Contains(fmt.Sprint(s.Causes), "clock")
	}, fed.Patience, 100*time.Millisecond, "%v", all["control"].status().Causes)
	t.Log(all["control"].status().Causes)
}

// TestWrongClockOfAReplica: the clocks of three replicas are an hour off each
// other, and the active one is killed.
func TestWrongClockOfAReplica(t *testing.T) {
	if testing.Short() {
		t.Skip("builds Go's library anew")
	}
	c := prepareCrew(t, clockBinary(t), 3)
	c.edge[0].clock(-time.Hour)
	c.edge[2].clock(time.Hour)
	c.start()
	c.whole()
	active := c.active()
	c.load((active + 1) % 3)
	for range 2 {
		killed := c.active()
		if killed == (active+1)%3 {
			break // the one whose clients publish
		}
		c.step(fmt.Sprintf("replica %d is killed", killed), 10*time.Second, c.edge[killed].kill)
		c.edge[killed].start()
		c.whole()
	}
	c.finish()
}
