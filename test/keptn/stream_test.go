package keptn

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// keptnStream returns stream keptn as a client of the control stamp sees it.
func keptnStream(t *testing.T, f *fed.Fed) (jetstream.JetStream, *jetstream.StreamInfo) {
	t.Helper()
	js, err := jetstream.New(f.Client("control"))
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), "keptn")
	require.NoError(t, err)
	return js, s.CachedInfo()
}

// removeStream removes stream keptn from the disk of a stamp that is stopped.
func removeStream(t *testing.T, dir string) {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "keptn" && filepath.Base(filepath.Dir(path)) == "streams" {
			found = append(found, path)
			return filepath.SkipDir
		}
		return err
	}))
	require.Len(t, found, 1)
	require.NoError(t, os.RemoveAll(found[0]))
}

// TestStreamOfKeptnIsItsOwn: shipyard-controller makes stream keptn beside our
// capture, sets it back on each start, and finds it gone; the gateway restarts.
// Whatever is under way meanwhile is done once.
func TestStreamOfKeptnIsItsOwn(t *testing.T) {
	f := fed.New(t, world)
	store := NewStore(Clock{Second: 200 * time.Millisecond}, shop())
	at, done := make(chan struct{}), make(chan struct{})
	pod(t, f, "first", nil)
	pod(t, f, "second", func(context.Context, Event) map[string]any { at <- struct{}{}; <-done; return nil })
	begin := func() (*ControlPlane, *Process) {
		c := &ControlPlane{NATS: f.Stamp("control").URL(), Store: store}
		return c, Start(t, c)
	}
	begun := func(ctx string) bool {
		for _, s := range store.Sequences() {
			if s.Context == ctx && s.Stage == "production" {
				return len(s.Tasks) == 1 && len(s.Tasks[0].Started) == 1
			}
		}
		return false
	}
	c, run := begin()
	for name, between := range map[string]func(){
		"nothing": func() {},
		"an operator has bounded it": func() {
			js, _ := keptnStream(t, f)
			_, err := js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "keptn", Subjects: []string{allSubjects}, MaxAge: time.Hour})
			require.NoError(t, err)
		},
		"the gateway restarts":  func() { f.Stop("control"); f.Restart("control"); f.Linked() },
		"the stream is deleted": func() { f.Stop("control"); removeStream(t, f.Dir); f.Restart("control"); f.Linked() },
	} {
		t.Run(name, func(t *testing.T) {
			shkeptncontext := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
			<-at
			// What it has taken and not acknowledged would come again after 30 s.
			require.Eventually(t, func() bool { return begun(shkeptncontext) }, patience, time.Millisecond)
			run.Stop()
			between()
			c, run = begin()
			done <- struct{}{}
			requireOnce(t, c, shop(), shkeptncontext)
			js, info := keptnStream(t, f)
			require.Zero(t, info.Config.MaxAge, "set back")
			consumer, err := js.Consumer(t.Context(), "keptn", shipyardName+":all-events")
			require.NoError(t, err)
			require.Zero(t, consumer.CachedInfo().NumPending)
			require.Equal(t, jetstream.AckExplicitPolicy, consumer.CachedInfo().Config.AckPolicy)
		})
	}
	js, _ := keptnStream(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, js.DeleteStream(ctx, "keptn"), "no client may")
}
