//go:build !cgo

package mpi

import (
	"context"
	"errors"
	"os"
)

var errWithoutCgo = errors.New(
	"this program was built without cgo, and cannot load an MPI library; " +
		"build it with a C compiler and CGO_ENABLED=1")

// Comm is the world of the processes that a launcher started; a program without cgo has none.
type Comm struct{}

// Library is an MPI library.
type Library struct{ Version, ABI string }

func (l Library) String() string { return l.Version }

// Find returns an error.
func Find() (Library, error) { return Library{}, errWithoutCgo }

// Open returns an error.
func Open() (*Comm, error) { return nil, errWithoutCgo }

// Rank is 0.
func (*Comm) Rank() int { return 0 }

// Size is 1.
func (*Comm) Size() int { return 1 }

func (*Comm) String() string { return "" }

// Exchange returns an error.
func (*Comm) Exchange(context.Context, int, []byte, []byte) error { return errWithoutCgo }

// Abort does nothing.
func (*Comm) Abort(int) {}

// Close does nothing.
func (*Comm) Close() error { return nil }

// Exit ends the process.
func Exit(code int) { os.Exit(code) }
