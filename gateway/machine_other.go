//go:build !linux

package gateway

import "errors"

// diskRoom is not known here.
func diskRoom(string) (free, total uint64, err error) { return 0, 0, errors.ErrUnsupported }

// openFiles is not known here.
func openFiles() (used int, limit uint64, err error) { return 0, 0, errors.ErrUnsupported }
