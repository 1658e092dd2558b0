package cmemory

import (
	"runtime"
	"syscall"
	"testing"
)

// Memory that is not of Go counts, and Go's does not.
func TestHeld(t *testing.T) {
	const size = 256 << 20
	write := func(b []byte) {
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
	}
	held := func() int64 {
		bytes, known := Held()
		if !known {
			t.Skip("/proc is not mounted")
		}
		return bytes
	}
	before := held()
	ofGo := make([]byte, size)
	write(ofGo)
	if grown := held() - before; grown > size/2 && !raceDetector {
		t.Errorf("%d bytes of Go count as %d", size, grown)
	}
	runtime.KeepAlive(ofGo)
	outside, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(outside)
	before = held()
	write(outside)
	if grown := held() - before; grown < size*3/4 {
		t.Errorf("%d bytes outside Go count as %d", size, grown)
	}
}
