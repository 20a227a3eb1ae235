package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// A ledger is what was published for stage prod, to be compared with what came.
type ledger struct {
	f    *fed.Fed
	n    int
	want []string
}

func (l *ledger) publish(n int) {
	var bodies [][]byte
	for range n {
		l.n++
		b := event(triggered, fmt.Sprint("e", l.n), "prod", fmt.Sprint("k", l.n))
		bodies = append(bodies, b)
		l.want = append(l.want, string(b))
	}
	l.f.Publish("control", triggered, bodies...)
}

// data is the data folder of a stamp, and replace puts what lies in from there.
func data(f *fed.Fed, stamp string) string { return filepath.Join(f.Dir, "data", stamp) }

func replace(t *testing.T, dir, from string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
}

// TestBackup follows docs/operations.md: a stamp is stopped, its data folder
// copied, lost and put back, and not one event is lost or repeated. Then the
// same copy is put back when it is old: what was sent since is not sent again,
// and what comes after is not taken for something old.
func TestBackup(t *testing.T) {
	f := fed.New(t, world)
	wss := f.Tap("wss", triggered, "")
	l := &ledger{f: f}
	f.Stop("hub") // so that something is held for it
	l.publish(50)
	require.ElementsMatch(t, l.want, wss.Bodies(50))

	f.Stop("control")
	backup := filepath.Join(t.TempDir(), "control")
	replace(t, backup, data(f, "control"))
	replace(t, data(f, "control"), backup)
	f.Restart("control")
	f.Restart("hub")
	f.Linked()
	hub := f.Tap("hub", triggered, "")
	require.ElementsMatch(t, l.want, hub.Bodies(50))
	mark(t, f, hub, "prod")
	require.Contains(t, string(wss.Next().Data), t.Name())

	old := len(l.want)
	l.publish(50)
	require.ElementsMatch(t, l.want[old:], hub.Bodies(50))
	require.ElementsMatch(t, l.want[old:], wss.Bodies(50))
	for _, from := range []string{backup, t.TempDir()} { // an old copy, then nothing at all
		f.Stop("control")
		replace(t, data(f, "control"), from)
		f.Restart("control")
		f.Linked()
		old = len(l.want)
		l.publish(50)
		require.ElementsMatch(t, l.want[old:], hub.Bodies(50), "restored from %s", from)
		require.ElementsMatch(t, l.want[old:], wss.Bodies(50), "restored from %s", from)
	}
}
