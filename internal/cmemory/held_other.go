//go:build !linux

package cmemory

// Held is not known on this system.
func Held() (held int64, known bool) { return 0, false }
