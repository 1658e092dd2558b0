//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"strings"
	"testing"
)

// A device that is closed again says so.
func TestClosingTwiceIsAnError(t *testing.T) {
	needSimulator(t)
	simulated.Reset()
	device, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := device.Close(); err != nil {
		t.Fatal(err)
	}
	if err := device.Close(); err == nil || !strings.Contains(err.Error(), "the device is closed") {
		t.Errorf("closed again: %v, want an error that says it", err)
	}
	checkSimulator(t)
}

// What the libraries' packages panic with is an error of theirs; a defect of this
// program is not taken for one, and the error has the place.
func TestGuardedTellsDefectsFromErrorsOfTheLibraries(t *testing.T) {
	var missing map[string]int
	for _, test := range []struct {
		f         func() error
		want, not string
	}{
		{func() error { panic(errors.New("no handle")) }, "CUDA library: no handle", "thread_test.go"},
		{func() error { panic("blas: m < 0") }, "CUDA library: blas: m < 0", "thread_test.go"},
		{func() error { missing["a"] = 1; return nil }, "thread_test.go", "CUDA library"},
	} {
		if err := guarded(test.f); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), test.not) {
			t.Errorf("%v, want %q and not %q", err, test.want, test.not)
		}
	}
}
