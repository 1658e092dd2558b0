// Package pngfile writes an image to a PNG file, as a whole or not at all, and
// never over a file that is something else.
package pngfile

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"

	"slipway/internal/atomicfile"
)

// Write writes the image to the file, which it replaces if MayReplace allows.
func Write(path string, picture image.Image) error {
	if err := MayReplace(path); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { return png.Encode(w, picture) })
}

// MayReplace refuses to replace a file that is no PNG: a slip of the hand in a
// flag must not cost data.
func MayReplace(path string) error {
	const signature = "\x89PNG\r\n\x1a\n"
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() == 0) {
		return nil // atomicfile has its own word on what is no file
	}
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	start := make([]byte, len(signature))
	if _, err := io.ReadFull(f, start); err != nil || string(start) != signature {
		return fmt.Errorf("%s exists and is no PNG; give another name, or remove it", path)
	}
	return nil
}
