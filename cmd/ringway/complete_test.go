package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// TestArgumentsAreCompletedByTheirWord: what Use calls an argument says which
// names it takes.
func TestArgumentsAreCompletedByTheirWord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "topology.yaml")
	require.NoError(t, os.WriteFile(file, []byte(scripted), 0o600))
	t.Setenv("RINGWAY_TOPOLOGY", file)
	for use, want := range map[string][]string{
		"freeze STAMP --reason WHY":           {"hub\tgeo eu, ring dev", "near\tgeo eu, ring dev", "far\tgeo us, ring prod"},
		"history [STAMP]":                     {"hub\tgeo eu, ring dev", "near\tgeo eu, ring dev", "far\tgeo us, ring prod"},
		"promote RING...":                     {"dev", "prod"},
		"lose GEO":                            {"eu", "us"},
		"level [debug|info]":                  {"debug", "info"},
		"values (--stamp STAMP | --out DIR)":  nil,
		"show NAME|ID":                        nil,
		"plan OLD NEW":                        nil,
		"list":                                nil,
		"route [-f FILE] --stamp STAMP [--x]": nil,
	} {
		c := &cobra.Command{Use: use, RunE: func(*cobra.Command, []string) error { return nil }}
		completeNames(c)
		if want == nil {
			require.Nil(t, c.ValidArgsFunction, use)
			continue
		}
		require.NotNil(t, c.ValidArgsFunction, use)
		got, directive := c.ValidArgsFunction(c, nil, "")
		require.Equal(t, want, got, use)
		require.Equal(t, cobra.ShellCompDirectiveNoFileComp, directive)
		if use == "promote RING..." {
			got, _ = c.ValidArgsFunction(c, []string{"dev"}, "")
			require.Equal(t, []string{"prod"}, got, "one is not named twice")
		}
	}
}
