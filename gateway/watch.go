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

// retryTime is how long after a change that could not be put in force the
// files are read again: they may have been half written, or a disk full.
const retryTime = 5 * time.Second

// watch calls changed after something happened to one of paths (files or
// folders) or to the folder that holds it, until ctx ends. It watches folders,
// because a file that is replaced, as in a mounted ConfigMap, is a new file.
// It calls changed again after a while if that returns false, and asks for
// paths again after each change.
func watch(ctx context.Context, paths func() []string, changed func(context.Context) bool) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer func() { _ = w.Close() }() // nothing was written
	if err := watchAll(w, paths()); err != nil {
		return err
	}
	settle := time.NewTimer(0) // what changed before we watched
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
			if !changed(ctx) {
				settle.Reset(retryTime)
			}
			if err := watchAll(w, paths()); err != nil {
				return err
			}
		}
	}
}

// watchAll watches the folders of paths; those that are watched stay so.
func watchAll(w *fsnotify.Watcher, paths []string) error {
	for _, p := range paths {
		dir := p
		if info, err := os.Stat(p); err != nil || !info.IsDir() {
			dir = filepath.Dir(p)
		}
		if err := w.Add(dir); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	return nil
}
