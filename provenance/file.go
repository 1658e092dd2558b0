package provenance

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	"slipway/internal/nonblock"
)

// readFile reads a whole file of at most that many bytes. What is not a file, such as a pipe, which
// could block, is refused.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := regular(path, info); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock.Flag, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := same(path, info, file); err != nil {
		return nil, err
	}
	// It may grow while it is read.
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > most {
		return nil, fmt.Errorf("%s is longer than %d bytes, the most that is read of such a file", path,
			most)
	}
	return content, nil
}

// same refuses a file that came into the place of what was looked at.
func same(path string, before fs.FileInfo, file fs.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := regular(path, info); err != nil {
		return err
	}
	if !os.SameFile(before, info) {
		return fmt.Errorf("%s has changed while it was read: try again", path)
	}
	return nil
}

func regular(path string, info fs.FileInfo) error {
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.IsDir():
		return fmt.Errorf("%s is a folder, not a file", path)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, which is not signed and not followed: put the file "+
			"itself in its place", path)
	}
	return fmt.Errorf("%s is neither a file nor a folder", path)
}

// contextReader reads until its context ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(into []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(into)
}
