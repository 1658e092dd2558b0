package torchfile

import (
	"errors"
	"strconv"
	"strings"
)

// What can be wrong with a file; an *Error wraps one of them.
var (
	ErrFormat      = errors.New("it is not a file of torch.save")
	ErrTruncated   = errors.New("the file ends too early")
	ErrDamaged     = errors.New("the file is damaged")
	ErrName        = errors.New("it asks Python for what is no part of a state dict")
	ErrUnsupported = errors.New("it holds what is not read here")
	ErrClaim       = errors.New("a tensor claims more than its storage has")
	ErrLimit       = errors.New("it is larger than any state dict")
)

// Error says which file is wrong, how, and what to do.
type Error struct {
	File   string // empty when the source is not a file
	Err    error  // one of the errors above
	Detail string // the name or the figures, and the remedy
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	b.WriteString(e.Err.Error())
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// copyAgain ends the message about a file that torch.save does not make.
const copyAgain = "take another copy, or save it again"

// saveWeights ends the message about a file that has more in it than weights.
const saveWeights = "nothing of it was run. Where you trust the file, save its weights alone " +
	"with Python: torch.save(model.state_dict(), \"weights.pt\")"

func fault(err error, detail string) error { return &Error{Err: err, Detail: detail} }

// quote shortens what may be a hostile file's noise, and makes it fit to be shown.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
