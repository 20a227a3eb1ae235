package chart

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// kubeVersion is what helm takes the cluster for where there is none.
const kubeVersion = "1.36.0"

// helmPath builds the helm that go.mod names, if it is not built yet, and
// returns where it is.
var helmPath = sync.OnceValues(func() (string, error) {
	out, err := exec.CommandContext(context.Background(), "go", "tool", "-n", "helm").CombinedOutput()
	return strings.TrimSpace(lastLine(string(out))), err
})

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// helm runs helm and returns what it printed.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path, err := helmPath()
	require.NoError(t, err, path)
	cmd := exec.CommandContext(t.Context(), path, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
