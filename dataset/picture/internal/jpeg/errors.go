package jpeg

import (
	"errors"
	"fmt"
)

// ErrTruncated is wrapped by errors about a file that ends, or whose coded pixels end, before the picture is whole.
var ErrTruncated = errors.New("the file is cut off")

// ErrUnsupported is wrapped by errors about files that may be valid, of a kind that this package does not read.
var ErrUnsupported = errors.New("not supported")

func invalid(format string, arguments ...any) error {
	return fmt.Errorf("damaged JPEG: "+format, arguments...)
}

func unsupported(what string) error {
	return fmt.Errorf("%s: %w", what, ErrUnsupported)
}
