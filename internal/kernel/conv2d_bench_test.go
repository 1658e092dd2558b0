package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkConv2DPasses times the three passes of the 3×3 convolutions of residual networks on one
// thread: of ResNet-20, of ResNet-18 for 32×32, and of ResNet-18 for 224×224. It reports the
// shortest time, too. float32 is Winograd's minimal filtering of the gradients as well, where that
// applies; direct has them without; bf16 is products in tiles, on a CPU with AMX.
func BenchmarkConv2DPasses(b *testing.B) {
	for _, shape := range [][3]int{ // images, channels, side
		{32, 16, 32}, {32, 32, 16}, {32, 64, 8}, {128, 16, 32}, {128, 32, 16}, {128, 64, 8},
		{32, 64, 32}, {32, 128, 16}, {32, 256, 8}, {32, 512, 4},
		{8, 64, 56}, {8, 128, 28}, {8, 256, 14}, {8, 512, 7},
	} {
		for _, way := range []string{"direct", "float32", "bf16"} {
			n, channels, side := shape[0], shape[1], shape[2]
			name := fmt.Sprintf("%dx%d@%d/%s", n, channels, side, way)
			b.Run(name, func(b *testing.B) {
				benchmarkConv2DPasses(b, way == "bf16", Conv2DConfig{
					Batch: n, Height: side, Width: side, Channels: channels, Filters: channels,
					KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1,
					PaddingHeight: 1, PaddingWidth: 1, FilteredGradients: way != "direct",
				})
			})
		}
	}
}

func benchmarkConv2DPasses(b *testing.B, bf16 bool, f Conv2DConfig) {
	set, err := Select("")
	must(b, err)
	engine := newEngine(b, set.Name(), 1)
	if bf16 {
		if err := engine.CheckBF16(); err != nil {
			b.Skip(err)
		}
		engine.BF16 = new(BF16)
	}
	plan, err := NewConv2D(engine, f)
	must(b, err)
	r := rand.New(rand.NewPCG(1, 2))
	// As in a step, images and maps come from other layers: they are not in the second-level cache.
	const others = 4
	var x, y, dy, dx [others][]float32
	for i := range others {
		x[i], y[i], dy[i], dx[i] = random(r, plan.sizeX()), random(r, plan.sizeY()), random(r,
			plan.sizeY()), random(r, plan.sizeX())
	}
	w, dw, bias := random(r, f.Filters*plan.depth), random(r, f.Filters*plan.depth), random(r,
		f.Filters)
	for _, pass := range []struct {
		name string
		run  func(i int) error
	}{
		{"forward", func(i int) error { return plan.Forward(y[i], x[i], w, bias) }},
		{"weights", func(i int) error { return plan.BackwardParameters(dw, nil, dy[i], y[i], x[i]) }},
		{"input", func(i int) error { return plan.BackwardInput(dx[i], dy[i], y[i], w) }},
	} {
		b.Run(pass.name, func(b *testing.B) {
			reportShortest(b, func(i int) error { return pass.run(i % others) })
		})
	}
}

// reportShortest runs a benchmark's loop, and reports the shortest time beside the mean.
func reportShortest(b *testing.B, run func(i int) error) {
	shortest := time.Duration(math.MaxInt64)
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		must(b, run(i))
		shortest = min(shortest, time.Since(start))
	}
	b.ReportMetric(float64(shortest.Microseconds()), "shortest-µs")
}
