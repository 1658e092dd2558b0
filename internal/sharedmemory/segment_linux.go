package sharedmemory

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// headBytes is before the numbers, so that these begin a page: the segment's name.
	headBytes = 4096
	nameBytes = 16
)

// Segment is numbers that other processes can read.
type Segment struct {
	file    int             // -1 once nobody else is to find it
	close   runtime.Cleanup // of the file, where nobody hides it
	mapping []byte
	address string
}

// New returns a segment of n zeros.
func New(n int) (*Segment, error) {
	machine, err := thisMachine()
	if err != nil {
		return nil, err
	}
	file, err := unix.MemfdCreate("slipway", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("shared memory: memfd_create: %w", err)
	}
	mapping, err := reserve(file, headBytes+4*n)
	if err != nil {
		unix.Close(file)
		return nil, err
	}
	rand.Read(mapping[:nameBytes])
	name := hex.EncodeToString(mapping[:nameBytes])
	address := fmt.Sprintf("%s %d %d %s", machine, os.Getpid(), file, name)
	s := newSegment(&Segment{file: file, mapping: mapping, address: address})
	s.close = runtime.AddCleanup(s, func(file int) { _ = unix.Close(file) }, file)
	return s, nil
}

// reserve gives the file its size for good, so that nobody finds less than was mapped, and maps it.
func reserve(file, size int) ([]byte, error) {
	if err := unix.Ftruncate(file, int64(size)); err != nil {
		return nil, fmt.Errorf("shared memory of %d bytes: %w", size, err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(file), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("shared memory: fix its size: %w", err)
	}
	mapping, err := unix.Mmap(file, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("shared memory: map %d bytes: %w", size, err)
	}
	return mapping, nil
}

// thisMachine is a word that processes have in common if they see each other's numbers.
func thisMachine() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("shared memory: %w", err)
	}
	processes, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", fmt.Errorf("shared memory: %w", err)
	}
	return strings.TrimSpace(string(boot)) + "/" + processes, nil
}

// newSegment has the memory given back once nobody has the segment any more.
func newSegment(s *Segment) *Segment {
	runtime.AddCleanup(s, func(mapping []byte) { _ = unix.Munmap(mapping) }, s.mapping)
	return s
}

// Address is what another process opens the segment by. It tells nothing of its numbers.
func (s *Segment) Address() string { return s.address }

// Floats returns the segment's numbers: those of a segment that was opened must not be written.
// They are there as long as the segment is referred to.
func (s *Segment) Floats() []float32 {
	numbers := s.mapping[headBytes:]
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(numbers))), len(numbers)/4)
}

// Hide ends that others find the segment: those that have opened it keep it.
func (s *Segment) Hide() {
	if s.file >= 0 {
		s.close.Stop()
		unix.Close(s.file)
	}
	s.file = -1
}

// Open returns another process's segment of n numbers, to be read.
func Open(address string, n int) (*Segment, error) {
	machine, err := thisMachine()
	if err != nil {
		return nil, err
	}
	there, rest, _ := strings.Cut(address, " ")
	if there != machine {
		return nil, fmt.Errorf("shared memory: %q is of another machine or container", address)
	}
	parts := strings.Fields(rest)
	if len(parts) != 3 {
		return nil, fmt.Errorf("shared memory: %q is no address", address)
	}
	process, err := strconv.Atoi(parts[0])
	if err != nil {
		return nil, fmt.Errorf("shared memory: %q is no address: %w", address, err)
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil {
		return nil, fmt.Errorf("shared memory: %q is no address: %w", address, err)
	}
	name, err := hex.DecodeString(parts[2])
	if err != nil || len(name) != nameBytes {
		return nil, fmt.Errorf("shared memory: %q is no address", address)
	}
	mapping, err := find(fmt.Sprintf("/proc/%d/fd/%d", process, number), headBytes+4*n)
	if err != nil {
		return nil, err
	}
	s := newSegment(&Segment{file: -1, mapping: mapping, address: address})
	if !bytes.Equal(mapping[:nameBytes], name) {
		return nil, fmt.Errorf("shared memory: process %d has another file there", process)
	}
	return s, nil
}

// find maps a segment's file to be read.
func find(path string, size int) ([]byte, error) {
	file, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("shared memory: open %s: %w", path, err)
	}
	defer unix.Close(file)
	var status unix.Stat_t
	if err := unix.Fstat(file, &status); err != nil {
		return nil, fmt.Errorf("shared memory: %s: %w", path, err)
	}
	if status.Size != int64(size) {
		return nil, fmt.Errorf("shared memory: %s has %d bytes, and %d are expected", path, status.Size,
			size)
	}
	mapping, err := unix.Mmap(file, 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("shared memory: map %s: %w", path, err)
	}
	return mapping, nil
}
