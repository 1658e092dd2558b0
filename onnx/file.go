package onnx

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"slipway/internal/hugepages"
	"slipway/internal/nonblock"
	"slipway/onnx/onnxpb"
)

const (
	// leftBytes is from how many bytes on a model's weights are left in its file.
	leftBytes = 64 << 20
	// partBytes are read and summed at a time: they stay in a processor's cache.
	partBytes = 512 << 10
)

// ErrChanged says that a file is not what it was when it was first read.
var ErrChanged = errors.New("was changed while it was read")

func changed(path string) error {
	return fmt.Errorf("%s %w: run again once it is whole", path, ErrChanged)
}

// File is a model's file in which Open has left the weights, open, whatever becomes of its name.
type File struct {
	file    *os.File
	size    int64
	written time.Time
	seed    maphash.Seed
	sums    []uint64 // of the parts of the file, as it was first read
	weights []Weight
}

// Weight is an initializer of the main graph whose data was left in the file, little-endian.
type Weight struct {
	Name           string
	Type           onnxpb.TensorProto_DataType
	Dims           []int64
	Offset, Length int64

	index int // of the initializer
}

// openFile opens a file whose weights are worth leaving there, and reads it once.
func openFile(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock.Flag, 0)
	if err != nil {
		return nil, err
	}
	f := &File{file: file, seed: maphash.MakeSeed()}
	info, err := file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular() || info.Size() < leftBytes || info.Size() > maxBytes:
		err = errHeld
	default:
		f.size, f.written = info.Size(), info.ModTime()
		f.sums, err = f.sumParts()
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// sumParts reads the file, on all processors, and returns the sums of its parts.
func (f *File) sumParts() ([]uint64, error) {
	sums := make([]uint64, (f.size+partBytes-1)/partBytes)
	errs := make([]error, min(runtime.GOMAXPROCS(0), len(sums)))
	var next atomic.Int64
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { errs[i] = f.sumSome(sums, &next) })
	}
	group.Wait()
	return sums, errors.Join(errs...)
}

// sumSome sums one part after another, those that nobody else has taken.
func (f *File) sumSome(sums []uint64, next *atomic.Int64) error {
	buffer := make([]byte, partBytes)
	for {
		i := next.Add(1) - 1
		if i >= int64(len(sums)) {
			return nil
		}
		part := buffer[:min(partBytes, f.size-i*partBytes)]
		if err := f.readAt(part, i*partBytes); err != nil {
			return err
		}
		sums[i] = maphash.Bytes(f.seed, part)
	}
}

// readAt fills the buffer. That the file has too few bytes is ErrChanged.
func (f *File) readAt(buffer []byte, offset int64) error {
	switch n, err := f.file.ReadAt(buffer, offset); {
	case n == len(buffer):
		return nil
	case errors.Is(err, io.EOF):
		return changed(f.file.Name())
	default:
		return fmt.Errorf("%s: read the model again: %w", f.file.Name(), err)
	}
}

// read returns the content of the file, which must not have changed.
func (f *File) read() ([]byte, error) {
	content := hugepages.Bytes(int(f.size))
	if err := f.readAt(content, 0); err != nil {
		return nil, err
	}
	for i, part := range slices.Collect(slices.Chunk(content, partBytes)) {
		if maphash.Bytes(f.seed, part) != f.sums[i] {
			return nil, changed(f.file.Name())
		}
	}
	return content, nil
}

// Unwritten returns ErrChanged where the file was written to since it was opened.
func (f *File) Unwritten() error {
	info, err := f.file.Stat()
	if err != nil {
		return fmt.Errorf("%s: read the model again: %w", f.file.Name(), err)
	}
	// The same bytes may have been written anew: until they were there, others were.
	if info.Size() != f.size || !info.ModTime().Equal(f.written) {
		return changed(f.file.Name())
	}
	return nil
}

// Unchanged reads the file and returns ErrChanged where it was written to since it was opened, or
// has not the bytes that the model was made of.
func (f *File) Unchanged() error {
	if err := f.Unwritten(); err != nil {
		return err
	}
	sums, err := f.sumParts()
	if err != nil {
		return err
	}
	if !slices.Equal(sums, f.sums) {
		return changed(f.file.Name())
	}
	return nil
}

// Fd returns the descriptor by which the file is open until Close.
func (f *File) Fd() uintptr { return f.file.Fd() }

// Size returns the bytes of the file.
func (f *File) Size() int64 { return f.size }

// Weights returns what was left in the file, in its order.
func (f *File) Weights() []Weight { return slices.Clone(f.weights) }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
