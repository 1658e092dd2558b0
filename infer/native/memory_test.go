package native

import (
	"context"
	"errors"
	"testing"

	"slipway/onnx"
)

// TestMemoryGoesBack: however a run ends, and whatever the batch, the memory that
// is counted as used comes back to what it was.
func TestMemoryGoesBack(t *testing.T) {
	model, err := onnx.Read("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(t.Context(), model, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	name := e.Inputs()[0].Name
	images := func(n int) map[string]*Tensor {
		return map[string]*Tensor{name: {Shape: []int{n, 1, 28, 28}, Data: make([]float32, n*784)}}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	round := func() {
		for _, n := range []int{64, 16} {
			if _, err := e.Run(t.Context(), images(n)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.Run(ended, images(64)); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, want the context's error", err)
		}
	}
	round()
	used := e.arena.used
	for range 20 {
		round()
	}
	if e.arena.used != used || used <= 0 {
		t.Errorf("%d bytes are in use after more runs, %d before", e.arena.used, used)
	}
	// Shapes that never come again do not add up without end.
	for n := 1; n <= 60; n++ {
		if _, err := e.Run(t.Context(), images(n)); err != nil {
			t.Fatal(err)
		}
	}
	if e.arena.used > 4*used {
		t.Errorf("after 60 batch sizes %d bytes are in use, %d were after two", e.arena.used, used)
	}
	t.Logf("%.1f MiB, after 60 batch sizes %.1f MiB", float64(used)/(1<<20), float64(e.arena.used)/(1<<20))
}
