package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// write puts content in place of the file, or does nothing if that is what the
// file holds. After a crash the file is the old or the new one.
func write(file string, content []byte) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, content) { //nolint:gosec // named by the caller
		return os.Chmod(file, 0o600)
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncDir(dir)
}

// syncDir makes sure that a rename in dir survives a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // named by the caller
	if err != nil {
		return err
	}
	return errors.Join(ignoreUnsupported(d.Sync()), d.Close())
}

// ignoreUnsupported drops the answer of file systems that do not sync
// directories: they have no more to offer.
func ignoreUnsupported(err error) error {
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) {
		return nil
	}
	return err
}

// read returns what is in the file, or nothing if there is no file.
func read(file string) ([]byte, error) {
	b, err := os.ReadFile(file) //nolint:gosec // named by the caller
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// move renames a file, if it is there, and makes the folder for it.
func move(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(from)), syncDir(filepath.Dir(to)))
}

// private returns an error if dir can not be made or kept to its owner.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs x
		return fmt.Errorf("keep directory to its owner: %w", err)
	}
	return nil
}
