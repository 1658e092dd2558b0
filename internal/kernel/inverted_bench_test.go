package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"slipway/internal/hugepages"
)

// BenchmarkInvertedResidual times the passes of MobileNetV2's blocks in training on one thread,
// each of which finds what it reads in memory, as in a step: ms of each pass, the least of all
// rounds, and the size of the maps behind the first convolution (E) and behind the depthwise one
// (D).
func BenchmarkInvertedResidual(b *testing.B) {
	for _, set := range Available() {
		if set == "portable" {
			continue // it is for checking
		}
		for _, f := range []invertedResidual{
			{112, 16, 96, 2, 24}, {56, 24, 144, 1, 24}, {28, 32, 192, 1, 32}, {14, 64, 384, 1, 64},
			{14, 96, 576, 1, 96}, {7, 160, 960, 1, 160},
		} {
			b.Run(fmt.Sprintf("%s/%d×%d", set, f.size, f.expanded), func(b *testing.B) {
				f.bench(b, newEngine(b, set, 1))
			})
		}
	}
}

// invertedResidual is a block: a 1×1 convolution of square maps to expanded channels, a depthwise
// one of 3×3, and a 1×1 one, each with a normalisation behind it.
type invertedResidual struct{ size, in, expanded, stride, out int }

const invertedBatch = 8

// pointwise is a 1×1 convolution, and the normalisation behind it, which is the others' to read.
func (f invertedResidual) pointwise(b *testing.B, engine Engine, size, in, out int) *Conv2D {
	c, err := NewConv2D(engine, Conv2DConfig{
		Batch: invertedBatch, Height: size, Width: size, Channels: in, Filters: out, KernelHeight: 1,
		KernelWidth: 1, StrideHeight: 1, StrideWidth: 1, FilteredGradients: true,
	})
	must(b, err)
	return c
}

func (f invertedResidual) normalisation(b *testing.B, engine Engine, size, channels int,
	low, high float32) *BatchNorm {
	n, err := NewBatchNorm(engine, BatchNormConfig{Rows: invertedBatch * size * size,
		Channels: channels, Epsilon: 1e-5, Batch: true, Low: low, High: high})
	must(b, err)
	return n
}

func (f invertedResidual) bench(b *testing.B, engine Engine) {
	small := (f.size-1)/f.stride + 1
	expand := f.pointwise(b, engine, f.size, f.in, f.expanded)
	depthwise, err := NewDepthwise(engine, DepthwiseConfig{invertedBatch, f.size, f.size, f.expanded,
		3, 3, f.stride, f.stride, 1, 1, 0, 0, 1, 1})
	must(b, err)
	project := f.pointwise(b, engine, small, f.expanded, f.out)
	n1 := f.normalisation(b, engine, f.size, f.expanded, 0, 6)
	n2 := f.normalisation(b, engine, small, f.expanded, 0, 6)
	n3 := f.normalisation(b, engine, small, f.out, nan32, nan32)
	for _, err := range []error{
		expand.Measure(n1), expand.NormaliseBehind(n1),
		depthwise.NormaliseBefore(n1), depthwise.Measure(n2), depthwise.NormaliseBehind(n2),
		project.NormaliseBefore(n2), project.Measure(n3), project.NormaliseBehind(n3),
	} {
		must(b, err)
	}

	r := rand.New(rand.NewPCG(1, 2))
	sizeE, sizeD := expand.sizeY(), depthwise.sizeY()
	x, y1, y2 := random(r, expand.sizeX()), hugepages.Floats(sizeE), hugepages.Floats(sizeD)
	dx, d1, d2 := make([]float32, len(x)), hugepages.Floats(sizeE), hugepages.Floats(sizeD)
	y3, d3 := make([]float32, project.sizeY()), random(r, project.sizeY())
	w1, w2, w3 := random(r, f.in*f.expanded), random(r, depthwise.sizeW()), random(r,
		f.expanded*f.out)
	g1, g2, g3 := make([]float32, len(w1)), make([]float32, len(w2)), make([]float32, len(w3))
	scale, zeros := positive(r, f.expanded), make([]float32, f.expanded)
	prepare := func(n *BatchNorm, y []float32) {
		c := n.config.Channels
		must(b, n.Prepare(y, scale[:c], zeros[:c], zeros[:c], scale[:c]))
	}
	prepareBackward := func(n *BatchNorm, dy, y []float32) {
		must(b, n.PrepareBackward(nil, nil, dy, y, scale[:n.config.Channels]))
	}
	times := passTimes{cold: make([]float32, 24<<20), least: make(map[string]time.Duration)}
	for b.Loop() {
		times.pass(b, "expand", func() error { return expand.Forward(y1, x, w1, zeros) })
		prepare(n1, y1)
		times.pass(b, "depthwise", func() error { return depthwise.Forward(y2, y1, w2, nil) })
		prepare(n2, y2)
		times.pass(b, "project", func() error { return project.Forward(y3, y2, w3, zeros[:f.out]) })
		prepare(n3, y3)
		prepareBackward(n3, d3, y3)
		times.pass(b, "project'", func() error { return project.Backward(d2, g3, nil, d3, y3, y2, w3) })
		prepareBackward(n2, d2, y2)
		times.pass(b, "depthwise'", func() error { return depthwise.Backward(d1, g2, nil, d2, y2, y1, w2) })
		prepareBackward(n1, d1, y1)
		times.pass(b, "expand'", func() error { return expand.Backward(dx, g1, nil, d1, y1, x, w1) })
	}
	times.report(b)
	b.ReportMetric(4*float64(sizeE)/1e6, "E-MB")
	b.ReportMetric(4*float64(sizeD)/1e6, "D-MB")
}

// passTimes is how long each pass took at least.
type passTimes struct {
	cold  []float32 // more than the caches hold
	least map[string]time.Duration
}

// pass times some work behind which the caches held something else.
func (p *passTimes) pass(b *testing.B, name string, work func() error) {
	for i := 0; i < len(p.cold); i += cacheLine / 4 {
		p.cold[i]++
	}
	began := time.Now()
	must(b, work())
	if took := time.Since(began); p.least[name] == 0 || took < p.least[name] {
		p.least[name] = took
	}
}

func (p *passTimes) report(b *testing.B) {
	b.ReportMetric(0, "ns/op")
	for name, took := range p.least {
		b.ReportMetric(float64(took.Microseconds())/1e3, name+"-ms")
	}
}
