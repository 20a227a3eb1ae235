package gateway

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// diskRoom returns how many bytes of the file system that holds dir are free for
// this process, and how many it has.
func diskRoom(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("look at file system: %w", err)
	}
	size := uint64(s.Bsize) //nolint:gosec // positive
	return s.Bavail * size, s.Blocks * size, nil
}

// openFiles returns how many files this process has open, and may have.
func openFiles() (used int, limit uint64, err error) {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, 0, fmt.Errorf("count open files: %w", err)
	}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, 0, fmt.Errorf("read limit of open files: %w", err)
	}
	return len(all), l.Cur, nil
}
