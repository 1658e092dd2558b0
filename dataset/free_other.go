//go:build !linux && !darwin

package dataset

// freeBytes is not known here.
func freeBytes(string) (bytes int64, ok bool) { return 0, false }
