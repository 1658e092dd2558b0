package native

import (
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/internal/networktest"
	"slipway/onnx"
)

// A run like the one before allocates nothing, whatever the usual networks are made of.
func TestRunIntoAllocatesNothing(t *testing.T) {
	models := map[string]*onnx.Model{}
	for _, name := range []string{"e1", "e2"} {
		model, err := onnx.Read("../../graphs/" + name + ".onnx")
		if err != nil {
			t.Fatal(err)
		}
		models[name] = model
	}
	for _, name := range []string{"resnet18", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1"} {
		network, err := zoo.New(name, builder.Shape{3, 32, 32}, 10)
		if err != nil {
			t.Fatal(err)
		}
		models[name] = networktest.Model(t, network)
	}
	for name, model := range models {
		t.Run(name, func(t *testing.T) {
			e, err := New(t.Context(), model, Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			shape := e.Inputs()[0].Shape
			for _, images := range []int{1, 8} {
				allocations := steadyAllocations(t, e, pixels(images, shape[1:]...))
				if allocations > 0 {
					t.Errorf("%d images: %v allocations", images, allocations)
				}
			}
		})
	}
}

// steadyAllocations is what a run on an input allocates once memory has found its places.
func steadyAllocations(t *testing.T, e *Evaluator, x *Tensor) float64 {
	t.Helper()
	in, out := []*Tensor{x}, []*Tensor{{}}
	run := func() {
		if err := e.RunInto(t.Context(), in, out); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		run()
	}
	return fewestAllocations(run)
}

// fewestAllocations is what a run allocates itself: the count is of the whole process, in which the
// collector and others may allocate meanwhile.
func fewestAllocations(run func()) float64 {
	fewest := testing.AllocsPerRun(1, run)
	for range 4 {
		fewest = min(fewest, testing.AllocsPerRun(1, run))
	}
	return fewest
}
