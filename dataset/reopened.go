package dataset

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// reopenedFile reads a file at any place and keeps none open: opening takes some
// microseconds, and sets may have thousands of files. It is safe for concurrent use.
type reopenedFile struct {
	path     string
	size     int64
	modified time.Time
}

// statReopened notes how a regular file is now; what says which kind of file is meant.
func statReopened(path, what string) (reopenedFile, error) {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil {
		return reopenedFile{}, err
	}
	if !info.Mode().IsRegular() {
		return reopenedFile{}, fmt.Errorf("%s is not a regular file (%s); give %s", path,
			info.Mode().Type(), what)
	}
	return reopenedFile{path, info.Size(), info.ModTime()}, nil
}

// stampAt is a pictureFile's stamp of what lies at a place in the file.
func (r reopenedFile) stampAt(place int64) string {
	return fmt.Sprintf("%d %d %d", r.size, r.modified.UnixNano(), place)
}

// ReadAt reads as io.ReaderAt. A file that is no longer as it was is ErrChanged.
func (r reopenedFile) ReadAt(p []byte, offset int64) (int, error) {
	f, err := os.Open(r.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() != r.size || !info.ModTime().Equal(r.modified) {
		return 0, fmt.Errorf("%w its table of contents was read; start again", ErrChanged)
	}
	n, err := f.ReadAt(p, offset)
	if errors.Is(err, io.EOF) && n < len(p) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
