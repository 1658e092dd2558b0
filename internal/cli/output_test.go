package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
)

// closes fails after so many writes.
type closes struct {
	bytes.Buffer
	after int
}

func (c *closes) Write(text []byte) (int, error) {
	if c.after--; c.after < 0 {
		return 0, errors.New("broken pipe")
	}
	return c.Buffer.Write(text)
}

func TestDispensableOutputFailsOnce(t *testing.T) {
	out, stderr := &closes{after: 1}, new(bytes.Buffer)
	output := NewDispensable("train", out, stderr, "training goes on")
	for i := range 3 {
		if n, err := fmt.Fprintf(output, "line %d\n", i); n != 7 || err != nil {
			t.Errorf("line %d: %d, %v", i, n, err)
		}
	}
	if out.String() != "line 0\n" ||
		stderr.String() != "train: warning: cannot print: broken pipe; training goes on\n" {
		t.Errorf("%q, %q", out.String(), stderr.String())
	}
}

func TestWhatIsNoTerminalHasNoWidth(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if TerminalWidth(file) != nil {
		t.Error("the null device has a width")
	}
}
