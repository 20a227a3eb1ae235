package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ringway/ringway/auth"
)

// WriteFolder writes f to dir, which it makes if needed (mode 0700). A file
// (mode 0600) is replaced at once or not at all, and is left alone if it is
// the same. Files of a folder that f does not have are removed; others stay.
func WriteFolder(dir string, f *auth.Folder) error {
	if err := private(dir); err != nil {
		return fmt.Errorf("write folder of stamp %s: %w", f.Stamp, err)
	}
	files := f.Files()
	for _, name := range auth.Files() {
		file := filepath.Join(dir, name)
		content, ok := files[name]
		var err error
		if ok {
			err = write(file, content)
		} else if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return fmt.Errorf("write folder of stamp %s: %w", f.Stamp, err)
		}
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("write folder of stamp %s: %w", f.Stamp, err)
	}
	return nil
}

// ReadFolder reads the folder in dir, which may be a mounted Secret. It is in
// order, but what it holds may have expired: see auth.Expirations. While
// WriteFolder replaces a folder, reading it may fail: read it again.
func ReadFolder(dir string) (*auth.Folder, error) {
	files := map[string][]byte{}
	for _, name := range auth.Files() {
		b, err := read(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("read folder %s: %w", dir, err)
		}
		files[name] = b
	}
	f, err := auth.FolderOf(files)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	return f, nil
}
