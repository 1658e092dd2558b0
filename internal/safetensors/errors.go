package safetensors

import (
	"errors"
	"strings"
)

// What can be wrong with a file; an *Error wraps one of them.
var (
	ErrTruncated    = errors.New("the file ends too early")
	ErrHeaderLength = errors.New("the header's length is impossible")
	ErrHeader       = errors.New("the header is malformed")
	ErrUTF8         = errors.New("the text is not UTF-8")
	ErrDuplicate    = errors.New("the name occurs twice")
	ErrDType        = errors.New("wrong element type")
	ErrShape        = errors.New("impossible shape")
	ErrSize         = errors.New("shape and data disagree")
	ErrOffsets      = errors.New("the data offsets are outside the file")
	ErrOverlap      = errors.New("the data overlaps another tensor's")
	ErrGap          = errors.New("there is a gap before the data")
	ErrTrailing     = errors.New("there are bytes after the last tensor")
	ErrName         = errors.New("no tensor can have this name")
	ErrDigest       = errors.New("the file is damaged")
	ErrPyTorch      = errors.New(
		"it is a file of PyTorch's own format, which is Python code and is not read")
)

// Error says which file and which tensor are wrong, how, and what to do.
type Error struct {
	File   string // empty when the source is not a file
	Tensor string // empty when the file as a whole is meant
	Err    error  // one of the errors above
	Detail string // the figures, and the remedy where there is a special one
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	if e.Tensor != "" {
		b.WriteString("tensor " + quote(e.Tensor) + ": ")
	}
	b.WriteString(e.Err.Error())
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }
