package train

import (
	"fmt"
	"io"
)

// warnings tell of what a run can do without, each kind once.
type warnings struct {
	out  io.Writer
	told map[string]bool
}

// about warns that something failed, if it did and was not told before. consequence says
// what comes of it.
func (w *warnings) about(what string, err error, consequence string) {
	if err == nil || w.told[what] {
		return
	}
	if w.told == nil {
		w.told = make(map[string]bool)
	}
	w.told[what] = true
	fmt.Fprintf(w.out, "train: warning: %s: %v; %s\n", what, err, consequence)
}
