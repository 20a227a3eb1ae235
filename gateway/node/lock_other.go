//go:build !unix

package node

import (
	"errors"
	"fmt"
	"os"
)

// ErrLocked reports a data directory that another Node uses. On this system it
// is not detected.
var ErrLocked = errors.New("data directory is in use by another gateway")

func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	return func() {}, nil
}
