//go:build linux || darwin

package dataset

import "syscall"

// freeBytes is what is free on the disk of the folder for this user.
func freeBytes(dir string) (bytes int64, ok bool) {
	var stat syscall.Statfs_t
	if syscall.Statfs(dir, &stat) != nil {
		return 0, false
	}
	return int64(stat.Bavail) * int64(stat.Bsize), true
}
