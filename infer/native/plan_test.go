package native

import (
	"runtime"
	"testing"

	"slipway/builder"
	"slipway/internal/networktest"
	"slipway/onnx"
)

func convolutions(t testing.TB) *onnx.Model {
	t.Helper()
	var layers []builder.Layer
	for range 6 {
		layers = append(layers, builder.Conv2D{Filters: 32, Kernel: builder.Square(3), Padding: builder.Square(1)}, builder.ReLU{})
	}
	layers = append(layers, builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dense{Units: 10})
	network, err := builder.New("six", builder.Shape{3, 64, 64}, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return networktest.Model(t, network)
}

func TestPlan(t *testing.T) {
	e, err := New(t.Context(), convolutions(t), Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	in := map[string]*Tensor{"image": {Shape: []int{250, 3, 64, 64}, Data: make([]float32, 250*3*64*64)}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := e.Run(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	t.Logf("arena %d MB, allocated %d MB", e.arena.used/1e6, (after.TotalAlloc-before.TotalAlloc)/1e6)
}
