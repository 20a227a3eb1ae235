package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// besideOf names, in a process that beside has started, the test that it runs.
const besideOf = "RINGWAY_TEST_BESIDE"

// beside runs the test that calls it at its beginning beside others, see doc.go,
// in a process of its own, as fed.NoLeaks looks at all there is in one. It returns
// true where the test is over: false in that process, and where coverage is
// measured, which is of one process only.
func beside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(besideOf) == t.Name() || testing.CoverMode() != "" {
		return false
	}
	t.Parallel()
	for _, name := range []string{"BURST", "RINGWAY_TEST_LOG"} {
		_ = os.Getenv(name) // what the other process reads decides whether this result can be used again
	}
	args := []string{"-test.v", "-test.count=1", "-test.run=^" + t.Name() + "$"}
	if end, ok := t.Deadline(); ok { // it says where it hangs before this process does
		args = append(args, fmt.Sprint("-test.timeout=", max(time.Until(end)-5*time.Second, time.Second)))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), besideOf+"="+t.Name())
	cmd.WaitDelay = 5 * time.Second // for what it may leave behind
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name()+" ")
	t.Logf("%s", out)
	return true
}
