package torchfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"slipway/internal/safetensors"
)

// The forms of files.
const (
	FormZIP    = "PyTorch's ZIP archive"
	FormLegacy = "PyTorch's legacy form"
)

// File is what a file holds.
type File struct {
	// Form is FormZIP or FormLegacy.
	Form string
	// Tensors are all of the file, in its order, each by the path of keys that leads to it. Those
	// that share a storage and lie in it row by row share their Data.
	Tensors []safetensors.Tensor
	// Containers are the paths of the dicts and lists below the outermost one that have a tensor
	// in them, in the file's order, each with the dot behind it: "state_dict.". They tell the dots
	// between containers from those within a name.
	Containers []string
}

// Is tells a file of torch.save by its beginning: a ZIP archive or a pickle.
func Is(begin []byte) bool {
	if bytes.HasPrefix(begin, []byte(zipBegin)) {
		return true
	}
	return len(begin) > 1 && opcode(begin[0]) == opProto && begin[1] >= 2 && begin[1] <= maxProtocol
}

// Read reads the file at path. An error about its content is an *Error.
func Read(path string) (*File, error) {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file (%s); give a file of torch.save", path,
			info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// The beginning first, so that a huge file of another format is not read.
	begin := make([]byte, min(info.Size(), int64(len(zipBegin))))
	if _, err := io.ReadFull(f, begin); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if !Is(begin) {
		return nil, inFile(fault(ErrFormat, "it begins with neither a ZIP archive nor a pickle; "+
			copyAgain), path)
	}
	if info.Size() > mostBytes {
		return nil, fmt.Errorf(
			"%s has %d bytes, and %d are read at most: no network of images is as large", path, info.Size(),
			int64(mostBytes))
	}
	data := make([]byte, info.Size())
	n := copy(data, begin)
	if _, err := io.ReadFull(f, data[n:]); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	file, err := Decode(data)
	if err != nil {
		return nil, inFile(err, path)
	}
	return file, nil
}

// mostBytes bounds what is taken into memory. A file without content may claim any size.
const mostBytes = 8 << 30

func inFile(err error, path string) error {
	var e *Error
	if errors.As(err, &e) {
		e.File = path
		return e
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Decode reads a whole file from memory. The tensors' Data are parts of data where they can be.
func Decode(data []byte) (*File, error) {
	if !Is(data) {
		return nil, fault(ErrFormat, "it begins with neither a ZIP archive nor a pickle; "+
			copyAgain)
	}
	form, read := FormLegacy, readLegacy
	if bytes.HasPrefix(data, []byte(zipBegin)) {
		form, read = FormZIP, readArchive
	}
	root, err := read(data)
	if err != nil {
		return nil, err
	}
	file, err := flatten(root, uint64(len(data)))
	if err != nil {
		return nil, err
	}
	file.Form = form
	return file, nil
}
