package chart

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExamples renders the release of every stamp of examples/outsystems, as a
// GitOps tool does, and once more with the topology inline: then the chart
// compares it with the values that were made from it.
func TestExamples(t *testing.T) {
	const dir = "../../examples/outsystems/"
	stamps, err := filepath.Glob(dir + "stamps/*/topology-values.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, stamps)
	for _, file := range stamps {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			args := []string{"template", "ringway", chartDir, "--namespace", "ringway", "--kube-version", kubeVersion, "--values", file, "--values", dir + "stamps/common.yaml"}
			own := filepath.Join(filepath.Dir(file), "values.yaml")
			if _, err := os.Stat(own); err == nil {
				args = append(args, "--values", own)
			}
			out, stderr, err := helm(t, args...)
			require.NoError(t, err, stderr)
			fitTogether(t, decode(t, out))
			_, stderr, err = helm(t, append(args, "--set", "topology.existingConfigMap=", "--set-file", "topology.inline="+dir+"topology.yaml")...)
			require.NoError(t, err, stderr)
		})
	}
}
