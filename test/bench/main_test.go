package bench_test

import (
	"os"
	"testing"
)

// TestMain runs the benchmarks and prints their table, or, in a process that
// the benchmark of idle gateways started, is what that process is for.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := play(role, os.Getenv(optionsVar)); err != nil {
			panic(err)
		}
		return
	}
	m.Run()
	if err := report.publish(); err != nil {
		panic(err)
	}
}
