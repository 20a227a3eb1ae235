package e2e_test

import (
	"fmt"
	"net/http"
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

// A disk is a file system of its own that can become read-only while it is in
// use, as one does on which the kernel has found an error.
type disk struct {
	t           *testing.T
	image, path string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	dir := t.TempDir()
	d := &disk{t, filepath.Join(dir, "image"), filepath.Join(dir, "disk")}
	require.NoError(t, os.Mkdir(d.path, 0o700))
	f, err := os.Create(d.image)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(4<<30))
	require.NoError(t, f.Close())
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil { //nolint:gosec // of the test
		t.Skipf("no file system can be made: %v: %s", err, out)
	}
	d.mount()
	t.Cleanup(func() { _ = exec.Command("umount", "-l", d.path).Run() }) //nolint:gosec,noctx // of the test; it may be gone
	return d
}

func (d *disk) mount() {
	d.t.Helper()
	out, err := exec.CommandContext(d.t.Context(), "mount", "-o", "loop,errors=remount-ro", d.image, d.path).CombinedOutput() //nolint:gosec // of the test
	if err != nil {
		d.t.Skipf("no right to mount a disk: %v: %s", err, out)
	}
}

// fail makes the disk read-only from one moment to the next.
func (d *disk) fail() {
	d.t.Helper()
	out, err := exec.CommandContext(d.t.Context(), "findmnt", "-n", "-o", "SOURCE", d.path).Output() //nolint:gosec // of the test
	require.NoError(d.t, err)
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(out))), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("1"), 0o200); err != nil {
		d.t.Skipf("no right to break a disk: %v", err)
	}
	require.Error(d.t, os.WriteFile(filepath.Join(d.path, "x"), nil, 0o600))
}

// mend makes it as it was, with what it holds. Nobody may use it.
func (d *disk) mend() {
	d.t.Helper()
	out, err := exec.CommandContext(d.t.Context(), "umount", d.path).CombinedOutput() //nolint:gosec // of the test
	require.NoError(d.t, err, string(out))
	_ = exec.CommandContext(d.t.Context(), "fsck.ext4", "-p", d.image).Run() //nolint:gosec // it says by its code what it has mended
	d.mount()
}

// TestReadOnlyDisk: the disk of a stamp becomes read-only. Its state says so; what
// others send is held there; and when the disk is mended everything arrives.
func TestReadOnlyDisk(t *testing.T) {
	d := newDisk(t)
	f := fed.New(t, world, func(o *gateway.Options) {
		if o.Stamp == "tls" {
			o.Data = filepath.Join(d.path, "data")
		}
	})
	explain(t, f, "control", "tls")
	tap := f.Tap("tls", triggered, "")
	const n, contexts = 20, 5
	shipyard := f.Client("control")
	send := func(first int) {
		t.Helper()
		for i := first; i < first+n; i++ {
			publish(t, shipyard, event(triggered, fmt.Sprint(i), "dev", fmt.Sprint(i%contexts)))
		}
	}
	send(0)
	all := tap.Bodies(n)
	tap.Close()

	d.fail()
	began := time.Now()
	send(n)
	require.Eventually(t, func() bool { return len(f.Status("tls").Store) > 0 }, 2*fed.Patience, 10*time.Millisecond)
	s := f.Status("tls")
	t.Logf("said after %s: %s", time.Since(began), s.Store)
	require.Equal(t, gateway.ConditionDegraded, s.Condition)
	page := get(t, http.MethodGet, f.Stamp("tls").Gateway().AdminURL()+"/readyz")
	require.Contains(t, page, "read-only")
	require.Eventually(t, func() bool {
		for _, target := range f.Status("control").Targets {
			if target.Stamp == "tls" {
				return target.Held == n
			}
		}
		return false
	}, fed.Patience, 10*time.Millisecond, "what is for it is held where it comes from")

	_ = f.Stamp("tls").Stop() // it may say that the disk cannot be written
	d.mend()
	f.Restart("tls")
	f.Linked()
	tap = f.Tap("tls", triggered, "")
	send(2 * n)
	requireInOrder(t, append(all, tap.Bodies(2*n)...), 3*n, contexts)
	require.Empty(t, f.Status("tls").Store)
}
