package cli

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/term"
)

// KeepOnBrokenPipe keeps the process from dying when what reads its output has ended: the
// write fails instead.
func KeepOnBrokenPipe() {
	// Not ignored, which the processes that this one starts would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

// Dispensable is an output that the command can do without: its Write never fails. The
// first failure is told on stderr, with what comes of it, and nothing is written from
// then on.
type Dispensable struct {
	out, stderr io.Writer
	command     string
	remark      string
	failed      atomic.Bool
}

// NewDispensable returns an output of the command. The remark says what goes on without it.
func NewDispensable(command string, out, stderr io.Writer, remark string) *Dispensable {
	return &Dispensable{out: out, stderr: stderr, command: command, remark: remark}
}

// Write writes to the output as long as it can be written to.
func (d *Dispensable) Write(text []byte) (int, error) {
	if d.failed.Load() {
		return len(text), nil
	}
	if _, err := d.out.Write(text); err != nil && !d.failed.Swap(true) {
		fmt.Fprintf(d.stderr, "%s: warning: cannot print: %v; %s\n", d.command, err, d.remark)
	}
	return len(text), nil
}

// TerminalWidth returns a function that tells how many columns a terminal has at the
// moment, nil if the file is none, or one whose lines cannot be redrawn.
func TerminalWidth(file *os.File) func() int {
	if os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return func() int {
		const usual = 80
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			return columns
		}
		return usual
	}
}
