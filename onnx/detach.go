package onnx

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"

	"slipway/internal/nonblock"
)

// detachedBytes is from how many bytes on a file is worth reading again.
const detachedBytes = 64 << 20

// errDetached says that the weights of a model are no longer there.
var errDetached = errors.New("its weights were given up: read the model again")

// descriptors is where this process finds its open files by their numbers.
const descriptors = "/proc/self/fd"

// File is the file that a model was read from, open, whatever becomes of its name.
type File struct {
	file *os.File
	path string // by which it is opened again
	seed maphash.Seed
	sum  uint64
	size int64
}

// Detach gives up the memory of the model's weights, for a program that reads the model's file by
// itself and would hold them once more. It returns nil, and gives up nothing, where the model is
// not what its file has, where its weights lie elsewhere, where they are small, and where the
// system has no /proc, without which a name may lead to another file. The model has its nodes and
// the shapes of its tensors then, but cannot be encoded, checked or computed with.
//
// Unchanged tells, once the other program has read the file, whether that was this model.
func (m *Model) Detach() (*File, error) { return m.detach(descriptors) }

// detach is Detach with the folder of the open files.
func (m *Model) detach(descriptors string) (*File, error) {
	if m.path == "" || len(m.content) < detachedBytes {
		return nil, nil
	}
	content, err := m.Content()
	if err != nil || m.content == nil || &content[0] != &m.content[0] {
		return nil, err
	}
	file, err := os.OpenFile(m.path, os.O_RDONLY|nonblock.Flag, 0) // it may be a FIFO now
	if err != nil {
		return nil, fmt.Errorf("read the model again: %w", err)
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(content)) {
		_ = file.Close() // nothing was written
		return nil, errors.Join(err, changed(m.path))
	}
	path := fmt.Sprintf("%s/%d", descriptors, file.Fd())
	if again, err := os.Stat(path); err != nil || !os.SameFile(info, again) {
		return nil, file.Close()
	}
	f := &File{file: file, path: path, seed: maphash.MakeSeed(), size: info.Size()}
	f.sum = maphash.Bytes(f.seed, content)
	for _, tensor := range m.Proto.GetGraph().GetInitializer() {
		if len(tensor.RawData) >= largeTensor {
			tensor.RawData = nil
		}
	}
	m.content, m.detached = nil, true
	return f, nil
}

func changed(path string) error {
	return fmt.Errorf("%s was changed while it was read: run again once it is whole", path)
}

// Path returns a path by which this process opens this very file.
func (f *File) Path() string { return f.path }

// Size returns the bytes of the file.
func (f *File) Size() int64 { return f.size }

// Unchanged reads the file and returns an error where it has not the bytes that the model was made
// of.
func (f *File) Unchanged() error {
	var h maphash.Hash
	h.SetSeed(f.seed)
	n, err := io.CopyBuffer(&h, io.NewSectionReader(f.file, 0, f.size+1), make([]byte, 1<<20))
	if err != nil {
		return fmt.Errorf("%s: read the model again: %w", f.file.Name(), err)
	}
	if n != f.size || h.Sum64() != f.sum {
		return changed(f.file.Name())
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
