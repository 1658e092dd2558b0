//go:build !linux

package hugepages

// advise does nothing: other systems choose the size of pages by themselves.
func advise([]byte) {}
