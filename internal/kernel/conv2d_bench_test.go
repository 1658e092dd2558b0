package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkConv2DPasses times the three passes of the 3×3 convolutions of residual networks on one thread:
// of ResNet-20, of ResNet-18 for 32×32, and of ResNet-18 for 224×224. It reports the shortest time, too. filtered says which gradients may use
// Winograd's minimal filtering.
func BenchmarkConv2DPasses(b *testing.B) {
	for _, shape := range [][3]int{ // images, channels, side
		{32, 16, 32}, {32, 32, 16}, {32, 64, 8}, {128, 16, 32}, {128, 32, 16}, {128, 64, 8},
		{32, 64, 32}, {32, 128, 16}, {32, 256, 8}, {32, 512, 4},
		{8, 64, 56}, {8, 128, 28}, {8, 256, 14}, {8, 512, 7},
	} {
		for _, filtered := range []bool{false, true} {
			n, channels, side := shape[0], shape[1], shape[2]
			name := fmt.Sprintf("%dx%d@%d/filtered=%t", n, channels, side, filtered)
			b.Run(name, func(b *testing.B) {
				benchmarkConv2DPasses(b, Conv2DConfig{
					Batch: n, Height: side, Width: side, Channels: channels, Filters: channels,
					KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1,
					PaddingHeight: 1, PaddingWidth: 1, FilteredGradients: filtered,
				})
			})
		}
	}
}

func benchmarkConv2DPasses(b *testing.B, f Conv2DConfig) {
	set, err := Select("")
	must(b, err)
	engine := newEngine(b, set.Name(), 1)
	plan, err := NewConv2D(engine, f)
	must(b, err)
	r := rand.New(rand.NewPCG(1, 2))
	x, y, dy, dx := random(r, plan.sizeX()), random(r, plan.sizeY()), random(r, plan.sizeY()), random(r, plan.sizeX())
	w, dw, bias := random(r, f.Filters*plan.depth), random(r, f.Filters*plan.depth), random(r, f.Filters)
	for _, pass := range []struct {
		name string
		run  func() error
	}{
		{"forward", func() error { return plan.Forward(y, x, w, bias) }},
		{"weights", func() error { return plan.BackwardParameters(dw, nil, dy, y, x) }},
		{"input", func() error { return plan.BackwardInput(dx, dy, y, w) }},
	} {
		b.Run(pass.name, func(b *testing.B) {
			shortest := time.Duration(math.MaxInt64)
			for b.Loop() {
				start := time.Now()
				must(b, pass.run())
				shortest = min(shortest, time.Since(start))
			}
			b.ReportMetric(float64(shortest.Microseconds()), "shortest-µs")
		})
	}
}
