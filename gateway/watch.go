package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is how long a file must be left alone before it is read: an
// editor or a kubelet changes several names in a row.
const settleTime = 100 * time.Millisecond

// watch calls changed once it watches, and then after something happened to one
// of paths (files or folders) or to the folder that holds it, until ctx ends. It
// watches folders, because a file that is replaced, as in a mounted ConfigMap, is a new file.
func watch(ctx context.Context, paths []string, changed func(context.Context)) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer func() { _ = w.Close() }() // nothing was written
	for _, p := range paths {
		dir := p
		if info, err := os.Stat(p); err != nil || !info.IsDir() {
			dir = filepath.Dir(p)
		}
		if err := w.Add(dir); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	settle := time.NewTimer(settleTime) // what changed before anybody watched counts, too
	defer settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Events:
			settle.Reset(settleTime)
		case err := <-w.Errors:
			return fmt.Errorf("watch files: %w", err)
		case <-settle.C:
			changed(ctx)
		}
	}
}
