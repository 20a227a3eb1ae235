package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUpLosesNothing runs up for real: the built-in federation, with a leaf and
// with the control plane cut off, and every example.
func TestUpLosesNothing(t *testing.T) {
	examples, err := filepath.Glob("../../examples/*/topology.yaml")
	require.NoError(t, err)
	require.Len(t, examples, 4)
	runs := map[string][]string{
		"default":      {"--events", "200"},
		"cut a leaf":   {"--for", "4s", "--cut", "apac-prod", "--cut-for", "1s"},
		"cut the core": {"--for", "4s", "--cut", "emea-hub", "--cut-for", "1s"},
	}
	for _, file := range examples {
		runs[filepath.Base(filepath.Dir(file))] = []string{"-f", file, "--events", "200", "--data", "sayhello.location=EU,APAC"}
	}
	for name, args := range runs {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := execute(t.Context(), append([]string{"up", "-o", "json"}, args...), &out, &errs)
			require.Equal(t, exitOK, code, "%s%s", errs.String(), out.String())
			var sum struct{ Sent, Delivered, Lost, Duplicated *int }
			require.NoError(t, json.Unmarshal(out.Bytes(), &sum), out.String())
			require.Positive(t, *sum.Sent)
			require.Equal(t, *sum.Sent, *sum.Delivered)
			require.Zero(t, *sum.Lost)
			require.Zero(t, *sum.Duplicated)
		})
	}
}
