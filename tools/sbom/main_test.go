package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDescribe describes the gateway.
func TestDescribe(t *testing.T) {
	t.Parallel()
	self := filepath.Join(t.TempDir(), "ringway")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", self, "../../cmd/ringway").CombinedOutput()
	require.NoError(t, err, string(out))
	d, err := describe(self, "test", "2026-01-01T00:00:00Z")
	require.NoError(t, err)
	again, err := describe(self, "test", "2026-01-01T00:00:00Z")
	require.NoError(t, err)
	require.Equal(t, d, again)
	ids, names := map[string]bool{"SPDXRef-DOCUMENT": true}, map[string]bool{}
	for _, p := range d.Packages {
		require.False(t, ids[p.ID], p.ID)
		ids[p.ID], names[p.Name] = true, true
	}
	for _, r := range d.Relationships {
		require.True(t, ids[r.From] && ids[r.To], r)
	}
	require.True(t, names["stdlib"])
	require.True(t, names["github.com/nats-io/nats-server/v2"])

	_, err = describe("main_test.go", "test", "")
	require.ErrorContains(t, err, "read modules of main_test.go")
}
