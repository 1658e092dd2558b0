package picture

import "errors"

var (
	// ErrFormat is wrapped by errors about what is in no format that this package reads.
	ErrFormat = errors.New("PNG, JPEG, GIF, BMP, TIFF and WebP can be read; convert it to PNG or JPEG, or leave it out")
	// ErrUnsupported is wrapped by errors about files that are in such a format, of a rare kind that is not read.
	ErrUnsupported = errors.New("this kind is not supported; convert it to PNG")
	// ErrTooLarge is wrapped by errors about pictures and files above the limits in Options.
	ErrTooLarge = errors.New("too large")
	// ErrTruncated is wrapped by errors about files that end too early.
	ErrTruncated = errors.New("the file is cut off; get it again")
	// ErrDamaged is wrapped by all other errors about a file's content.
	ErrDamaged = errors.New("the file is damaged; get it again, or leave it out")
)
