//go:build unix

package infer

import (
	"fmt"
	"os"
	"syscall"
)

// ours reports a file, or a folder that somebody else can put files into. A folder such as /tmp,
// in which nobody removes what is another's (the sticky bit), is none, unless it is the
// file's own.
func ours(path string, isFile bool) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("whose %s is cannot be told", path)
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is another user's", path)
	}
	mode := info.Mode()
	if mode&os.ModeSymlink != 0 || !isFile && mode&os.ModeSticky != 0 && stat.Uid == 0 {
		return nil
	}
	writable := mode.Perm() & 0o022
	if stat.Gid == stat.Uid || stat.Gid == 0 {
		writable &^= 0o020 // a user's own group, which many systems give everyone, or root's
	}
	if writable != 0 {
		return fmt.Errorf("%s can be written to by other users (%v): chmod go-w it", path, mode.Perm())
	}
	return nil
}
