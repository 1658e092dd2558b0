package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"slipway/internal/nonblock"
	"slipway/onnx/internal/message"
)

// externalFiles are the files with external data in a model's folder.
type externalFiles struct {
	root   *os.Root
	verify func(name string, content []byte) error
	// verified are the files that verify has seen, by their names; budget is how many bytes more
	// of them are held.
	verified map[string][]byte
	budget   int64
}

// externalFile is an open one, size bytes long.
type externalFile struct {
	content io.ReaderAt
	size    int64
	close   func()
}

func openExternal(folder string, budget int64, verify func(string, []byte) error) (*externalFiles,
	error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &externalFiles{root: root, verify: verify, verified: make(map[string][]byte),
		budget: budget}, nil
}

func (f *externalFiles) close() { f.root.Close() }

// open opens the file at a location, which the caller closes. With verify it is read as a whole,
// once for all tensors.
func (f *externalFiles) open(location string) (externalFile, error) {
	if f.verify == nil {
		file, info, err := f.openRegular(location)
		if err != nil {
			return externalFile{}, err
		}
		return externalFile{content: file, size: info.Size(), close: func() { file.Close() }}, nil
	}
	// A location may name the same file in several ways.
	name := path.Clean(filepath.ToSlash(location))
	content, ok := f.verified[name]
	if !ok {
		var err error
		if content, err = f.readWhole(location); err != nil {
			return externalFile{}, err
		}
		if err := f.verify(name, content); err != nil {
			return externalFile{}, fmt.Errorf("%q: %w", message.Shorten(location), err)
		}
		f.verified[name] = content
		f.budget -= int64(len(content))
	}
	return externalFile{content: bytes.NewReader(content), size: int64(len(content)),
			close: func() {}},
		nil
}

// readWhole reads a file of at most the budget.
func (f *externalFiles) readWhole(location string) ([]byte, error) {
	file, info, err := f.openRegular(location)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var content bytes.Buffer
	if info.Size() <= f.budget {
		content.Grow(int(info.Size()) + bytes.MinRead)
		// It may grow while it is read.
		if _, err := content.ReadFrom(io.LimitReader(file, f.budget+1)); err != nil {
			return nil, fmt.Errorf("read %q: %w", message.Shorten(location), err)
		}
	}
	if info.Size() > f.budget || int64(content.Len()) > f.budget {
		return nil,
			fmt.Errorf("%q would make the model's files larger than 2 GiB, which are not verified",
				message.Shorten(location))
	}
	return content.Bytes(), nil
}

// openRegular opens a file, and nothing that is none.
func (f *externalFiles) openRegular(location string) (*os.File, os.FileInfo, error) {
	name := message.Shorten(location)
	file, err := f.root.OpenFile(filepath.FromSlash(location), os.O_RDONLY|nonblock.Flag, 0)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("%q is missing in the model's folder; put it there: %w", name, err)
		}
		return nil, nil, fmt.Errorf("%q cannot be opened within the model's folder (a symbolic link may "+
			"not lead out of it; copy the file in its place): %w", name, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is %s, not a file", name, kindOf(info.Mode()))
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}
