//go:build unix

package readme_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// long bounds one block; a first build of everything takes about a minute.
const long = 4 * time.Minute

// TestReadmeRuns runs the blocks of README.md one after the other, as a reader
// would.
func TestReadmeRuns(t *testing.T) { runs(t, "README.md") }

// TestKeptnPageRuns does so with the page that Keptn's users start from.
func TestKeptnPageRuns(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl")
	}
	runs(t, "docs/keptn.md")
}

func runs(t *testing.T, page string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	t.Parallel()
	root := filepath.Join("..", "..")
	doc, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	require.NoError(t, err)
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	require.NoError(t, err)

	dir := t.TempDir()
	require.NoError(t, copyTree(dir, root))
	ran := 0
	for _, b := range blocks(string(doc)) {
		at := fmt.Sprintf("%s:%d", page, b.line)
		switch word := append(b.info, "")[0]; {
		case b.lang == "yaml" && strings.HasPrefix(word, "file="):
			name := filepath.Join(dir, strings.TrimPrefix(word, "file="))
			require.NoError(t, os.WriteFile(name, []byte(b.text+"\n"), 0o600))
		case b.lang != "sh" || word == "sketch":
		case word == "ci":
			require.Contains(t, string(ci), "step "+b.text+"\n", "%s: .ci/run has no such step", at)
		case word == "run":
			run(t, dir, at, b.script())
			ran++
		default:
			require.FailNow(t, at+": say whether this block is run")
		}
	}
	require.Positive(t, ran, "%s has no block that is run", page)
}

// run runs a script in dir and fails the test if the script fails.
func run(t *testing.T, dir, at, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", script)
	cmd.Dir = dir
	// Too late means everything the script started, not the shell alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	started := time.Now()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s\n%s", at, script, out)
	t.Logf("%s: %v\n$ %s\n%s", at, time.Since(started).Round(time.Millisecond), script, out)
}

// copyTree copies what belongs to the repository: not its history, tools and
// builds.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (rel == ".git" || rel == ".bin" || rel == "bin"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}
