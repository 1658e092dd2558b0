package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

// startSize is how much of a file tells what it is.
const startSize = 512

// unpack reads from r, through gzip where the first bytes are gzip's (RFC 1952, 2.3.1).
func unpack(r io.Reader) (*bufio.Reader, error) {
	buffered := bufio.NewReader(r)
	start, err := buffered.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Equal(start, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	z, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, readError(err, "gzip header")
	}
	return bufio.NewReader(z), nil
}

// openRegular opens a regular file. What it should be goes into the error for others.
func openRegular(path, what string) (*os.File, error) {
	info, err := os.Stat(path) // before opening: a named pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file (%s); give %s", path, info.Mode().Type(),
			what)
	}
	return os.Open(path)
}

// startOf returns what a file begins with, unpacked, at most size bytes; nothing where it
// cannot be read, which whoever reads it then says better.
func startOf(path string, size int) []byte {
	f, err := openRegular(path, "a file")
	if err != nil {
		return nil
	}
	defer f.Close()
	r, err := unpack(f)
	if err != nil {
		return nil
	}
	start, _ := io.ReadAll(io.LimitReader(r, int64(size)))
	return start
}

// capped fails with ErrTooLarge where more than the limit is read of r, as from a file
// that unpacks to more than anybody meant.
type capped struct {
	r     io.Reader
	left  int64
	limit int64
}

func newCapped(r io.Reader, limit int64) *capped { return &capped{r, limit, limit} }

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		// Whoever has read all is told of its end still.
		if n, err := io.ReadFull(c.r, make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, fmt.Errorf("%w: more than %d bytes, unpacked", ErrTooLarge, c.limit)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// dataLimit is the most bytes of data that are read of one file.
func (o Options) dataLimit() int64 {
	if o.Limit > 0 {
		return o.Limit
	}
	return DefaultLimit
}
