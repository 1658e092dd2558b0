package onnx

import (
	"os"
	"syscall"
)

// mapFile returns the bytes of a file as memory that is read when it is looked at, until unmap.
func mapFile(file *os.File, size int) (data []byte, unmap func(), err error) {
	data, err = syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_PRIVATE)
	return data, func() { _ = syscall.Munmap(data) }, err
}
