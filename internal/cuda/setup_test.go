//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"slipway/internal/cuda/simulator"
)

// simulated is the simulator that the tests run on, nil where they run on a GPU.
var simulated *simulator.Simulator

func TestMain(m *testing.M) {
	if path := os.Getenv(simulator.Variable); path != "" {
		var err error
		if simulated, err = simulator.Load(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// openDevice opens the simulator or the GPU, and closes it when the test ends. On
// the simulator the test fails if anything is left or any rule was broken.
func openDevice(t testing.TB) *gpu {
	t.Helper()
	if simulated != nil {
		simulated.Reset()
	}
	device, err := Open()
	if simulated == nil && nothingThere(err) {
		t.Skipf("neither a GPU nor the simulator (%s): %v", simulator.Variable, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	g := device.(*gpu)
	t.Cleanup(func() {
		if err := g.Close(); err != nil && !strings.Contains(t.Name(), "Fault") {
			t.Errorf("close: %v", err)
		}
		checkSimulator(t)
	})
	return g
}

// inTurn is the order of so many images in which they are taken in turn.
func inTurn(images int) []int {
	order := make([]int, images)
	for i := range order {
		order[i] = i
	}
	return order
}

// nothingThere reports whether what opening ended in says that the tests have nothing
// to run on. Kernels of ours that a GPU does not take are a failure.
func nothingThere(err error) bool {
	var missing *MissingError
	return errors.As(err, &missing) && missing.Piece != PieceKernels
}

func TestKernelsThatDoNotLoadAreAFailure(t *testing.T) {
	for piece, skips := range map[Piece]bool{PieceDriver: true, PieceDevice: true, PieceCUDNN: true, PieceCUBLAS: true, PieceKernels: false} {
		if nothingThere(&MissingError{Piece: piece}) != skips {
			t.Errorf("without %s the tests are skipped: %t, want %t", piece, !skips, skips)
		}
	}
}

// checkSimulator fails if a rule was broken or memory leaks. Descriptors are freed
// by finalizers, when Go's collector finds them.
func checkSimulator(t testing.TB) {
	t.Helper()
	if simulated == nil {
		return
	}
	if broken := simulated.Violations(); broken != "" {
		t.Errorf("the simulator saw:\n%s", broken)
	}
	live := ""
	for range 20 {
		if live = simulated.Live(); live == "" {
			return
		}
		runtime.GC()
		runtime.Gosched()
	}
	t.Errorf("not freed:\n%s", live)
}

// needSimulator skips a test that only the simulator can serve.
func needSimulator(t testing.TB) {
	t.Helper()
	if simulated == nil {
		t.Skipf("needs the simulator: make gpu-test sets %s", simulator.Variable)
	}
}
