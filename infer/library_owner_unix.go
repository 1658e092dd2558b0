//go:build unix

package infer

import (
	"os"
	"syscall"
)

// ownedByUs reports whether a folder belongs to who runs this program, or to root.
func ownedByUs(folder string) bool {
	info, err := os.Stat(folder)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}
