package hugepages

import (
	"syscall"
	"unsafe"
)

const (
	pageBytes     = 4 << 10
	hugePageBytes = 2 << 20
)

// advise asks for the huge pages that lie in the memory as a whole. Where the kernel has none, or
// is set never to give any, nothing is lost: its refusal is no error.
func advise(whole []byte) {
	if syscall.Getpagesize() != pageBytes {
		return // huge pages have another size there, up to 512 MB
	}
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(whole))) % hugePageBytes
	if uintptr(len(whole)) < skip+hugePageBytes {
		return
	}
	whole = whole[skip:]
	_ = syscall.Madvise(whole[:len(whole)/hugePageBytes*hugePageBytes], syscall.MADV_HUGEPAGE)
}
