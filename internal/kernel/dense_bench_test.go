package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkDenseInTiles times a dense layer's passes on one thread in float32, as they are computed,
// and in bfloat16, as a 1×1 convolution of images of two positions, on a CPU with AMX. It is why
// dense layers are not multiplied so: the weights have to be rounded and moved, which a batch of 32
// does not pay for.
func BenchmarkDenseInTiles(b *testing.B) {
	for _, f := range []DenseConfig{
		{32, 784, 512, true}, {128, 784, 512, true}, {256, 784, 512, true}, {256, 512, 256, true},
		{32, 4096, 1024, true}, {128, 4096, 1024, true},
	} {
		engine := newEngine(b, "", 1)
		dense, err := NewDense(engine, f)
		must(b, err)
		name := fmt.Sprintf("%dx%dx%d", f.Batch, f.In, f.Out)
		benchmarkDensePasses(b, name+"/float32", dense, f)
		engine.BF16 = new(BF16)
		if engine.CheckBF16() != nil {
			continue
		}
		tiled, err := NewConv2D(engine, Conv2DConfig{
			Batch: f.Batch / 2, Height: 1, Width: 2, Channels: f.In, Filters: f.Out, KernelHeight: 1,
			KernelWidth: 1, StrideHeight: 1, StrideWidth: 1, ReLU: f.ReLU,
		})
		must(b, err)
		if tiled.tiled == nil || tiled.tiledInput == nil || tiled.tiledWeights == nil {
			b.Fatalf("%+v: not all passes are in tiles", f)
		}
		benchmarkDensePasses(b, name+"/bf16", tiled, f)
	}
}

func benchmarkDensePasses(b *testing.B, name string, plan interface {
	Forward(y, x, w, b []float32) error
	BackwardParameters(dw, db, dy, y, x []float32) error
	BackwardInput(dx, dy, y, w []float32) error
}, f DenseConfig) {
	r := rand.New(rand.NewPCG(1, 2))
	x, w, dy := random(r, f.Batch*f.In), random(r, f.Out*f.In), random(r, f.Batch*f.Out)
	bias, y, dx := random(r, f.Out), make([]float32, len(dy)), make([]float32, len(x))
	dw, db := make([]float32, len(w)), make([]float32, f.Out)
	for _, pass := range []struct {
		name string
		run  func(int) error
	}{
		{"forward", func(int) error { return plan.Forward(y, x, w, bias) }},
		{"weights", func(int) error { return plan.BackwardParameters(dw, db, dy, y, x) }},
		{"input", func(int) error { return plan.BackwardInput(dx, dy, y, w) }},
	} {
		b.Run(name+"/"+pass.name, func(b *testing.B) { reportShortest(b, pass.run) })
	}
}
