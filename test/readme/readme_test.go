//go:build unix

package readme_test

import (
	"context"
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

// long bounds one page.
const long = 5 * time.Minute

// TestPagesRun runs the blocks of every page that has some to run, one after the
// other in one shell, as a reader would.
func TestPagesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl")
	}
	root := filepath.Join("..", "..")
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	require.NoError(t, err)
	tools := build(t, root)
	ran := 0
	for _, page := range pages(t, root) {
		doc, err := os.ReadFile(filepath.Join(root, page))
		require.NoError(t, err)
		script, err := script(page, string(doc), string(ci))
		require.NoError(t, err)
		if script == "" {
			continue
		}
		ran++
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, copyTree(dir, root))
			run(t, tools, dir, page, onFreePorts(t, script))
		})
	}
	require.GreaterOrEqual(t, ran, 4)
}

// build builds the program, and returns a folder with a command go that takes it
// for what `go run` and `go build` would make of a copy of the repository: a copy
// lies in another place, so that Go would compile it all again for every page.
// .ci/run has the README's first command with the real one.
func build(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/ringway")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	const stand = `#!/bin/sh
case "$1 $2 $4" in
"run ./cmd/ringway "*) shift 2 && exec PROGRAM "$@" ;;
"build -o ./cmd/ringway") mkdir -p "$(dirname "$3")" && exec cp PROGRAM "$3" ;;
esac
echo "test/readme knows no go $*" >&2
exit 1
`
	tools := filepath.Join(dir, "tools")
	require.NoError(t, os.Mkdir(tools, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(tools, "go"), []byte(strings.ReplaceAll(stand, "PROGRAM", program)), 0o700)) //nolint:gosec // a program
	return tools
}

// pages returns the documents that a reader works through.
func pages(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*/README.md", "charts/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		require.NoError(t, err)
		for _, p := range found {
			rel, err := filepath.Rel(root, p)
			require.NoError(t, err)
			out = append(out, rel)
		}
	}
	return out
}

// run runs a script in dir and fails the test if the script fails. What the
// script has started and left is ended.
func run(t *testing.T, tools, dir, page, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	// A file, not a pipe: what is left in the background would keep a pipe open.
	out, err := os.Create(filepath.Join(t.TempDir(), "output"))
	require.NoError(t, err)
	defer func() { require.NoError(t, out.Close()) }()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", script)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(os.Environ(), "PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	// Too late means everything the script started, not the shell alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = end
	started := time.Now()
	err = cmd.Run()
	_ = end() // nothing may be left
	said, readErr := os.ReadFile(out.Name())
	require.NoError(t, readErr)
	require.NoError(t, err, "%s\n%s", page, said)
	t.Logf("%s: %v\n%s", page, time.Since(started).Round(time.Millisecond), said)
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
		case d.IsDir() && (rel == ".git" || rel == ".bin" || rel == "bin" || rel == "public"):
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
