package dataset

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// windowReader reads a file through a window: headers and small files that lie close to
// each other come with one read, and what is skipped is not read.
type windowReader struct {
	file     *os.File
	position int64
	window   []byte
	start    int64 // of the window in the file
}

const windowSize = 1 << 16

func (r *windowReader) Read(p []byte) (int, error) {
	if r.position < r.start || r.position >= r.start+int64(len(r.window)) {
		if len(p) >= windowSize {
			n, err := r.file.ReadAt(p, r.position)
			r.position += int64(n)
			return n, atEnd(n, err)
		}
		if r.window == nil {
			r.window = make([]byte, windowSize)
		}
		n, err := r.file.ReadAt(r.window[:windowSize], r.position)
		r.window, r.start = r.window[:n], r.position
		if n == 0 {
			return 0, err
		}
	}
	n := copy(p, r.window[r.position-r.start:])
	r.position += int64(n)
	return n, nil
}

// atEnd leaves the end of the file to the next read where this one brought something.
func atEnd(n int, err error) error {
	if n > 0 && errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Seek moves, as archive/tar does to skip a file.
func (r *windowReader) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekCurrent {
		offset += r.position
	}
	if whence == io.SeekEnd || offset < 0 {
		return 0, fmt.Errorf("seek to %d from %d: %w", offset, whence, os.ErrInvalid)
	}
	r.position = offset
	return offset, nil
}

// budgetReader reads at most what is left of a budget. What went wrong below it is kept:
// archive/tar does not always tell.
type budgetReader struct {
	r      io.Reader
	left   *int64
	failed error
}

func (r *budgetReader) Read(p []byte) (int, error) {
	if *r.left <= 0 {
		r.failed = errTooMuch()
		return 0, r.failed
	}
	n, err := r.r.Read(p[:min(int64(len(p)), *r.left)])
	*r.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = readError(err, "compressed data")
	}
	return n, err
}

// readGrowing reads n bytes. Memory grows with what is there, not with what was said.
func readGrowing(r io.Reader, n int64) ([]byte, error) {
	data := make([]byte, 0, min(n, 1<<20))
	for int64(len(data)) < n {
		if len(data) == cap(data) {
			data = append(make([]byte, 0, min(n, 4*int64(len(data)))), data...)
		}
		m, err := io.ReadFull(r, data[len(data):cap(data)])
		data = data[:len(data)+m]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return data, nil
}
