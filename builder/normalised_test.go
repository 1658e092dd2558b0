package builder

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// normalisedChain is a network of normalised convolutions whose shapes, drawn at random, are those
// that the native engine has ways of their own for: tiles of Winograd's, maps that are cut into
// bands, depthwise convolutions, single positions and channels, strides. What is between two
// convolutions is computed by them, or is not since something else reads it.
func normalisedChain(source *rand.Rand) (*Network, error) {
	pick := func(of ...int) int { return of[source.IntN(len(of))] }
	side := pick(1, 2, 7, 8, 9, 12, 13)
	g := NewGraph("chain", Shape{pick(1, 3, 16), side, pick(side, side, 1+source.IntN(13))})
	values := []Value{g.Input()}
	used := map[int]bool{}
	last := func() Value { return values[len(values)-1] }
	add := func(layer Layer, from ...Value) {
		for _, v := range from {
			used[v.at] = true
		}
		values = append(values, g.Join(layer, from...))
	}
	for range 3 + source.IntN(5) {
		from := last()
		if source.IntN(5) == 0 {
			from = values[source.IntN(len(values))]
		}
		in := g.Shape(from)
		c := Conv2D{Filters: pick(16, 16, 16, 32, 1, 5, 17, 48), Kernel: Square(pick(1, 1, 3, 3, 3, 5)),
			NoBias: source.IntN(5) > 0}
		if source.IntN(4) == 0 && in[0] > 1 {
			c.Filters, c.Groups = in[0], in[0]
		}
		c.Padding = Square(c.Kernel.Height / 2)
		switch source.IntN(10) {
		case 0:
			c.Stride = Square(2)
		case 1:
			c.Padding = Size{c.Kernel.Height + source.IntN(2), source.IntN(3)}
		case 2:
			c.PaddingExtra = Size{source.IntN(2), source.IntN(2)}
		case 3:
			c.Dilation = Square(2)
		}
		inferred, err := c.Infer([]Shape{in})
		if err != nil || inferred.Output.checkPositive() != nil || inferred.Output.Elements() > 9000 {
			continue
		}
		add(c, from)
		if shape := g.Shape(last()); source.IntN(8) == 0 { // fused, and then normalised
			add(ReLU{}, last())
			if source.IntN(2) == 0 && min(shape[1], shape[2]) > 3 {
				add(MaxPool2D{Kernel: Square(2), Stride: Square(2)}, last())
			}
		}
		for n := pick(1, 1, 1, 1, 1, 0, 2); n > 0; n-- {
			add(BatchNorm{Epsilon: 0.1, Frozen: source.IntN(6) == 0}, last())
		}
		if same := slices.IndexFunc(values, func(v Value) bool {
			return slices.Equal(g.Shape(v), g.Shape(last()))
		}); source.IntN(3) == 0 {
			add(Add{}, last(), values[same]) // itself, too
		}
		switch source.IntN(4) {
		case 0, 1:
			add(ReLU{}, last())
		case 2:
			add(ReLU6{}, last())
		}
		if shape := g.Shape(last()); source.IntN(8) == 0 && min(shape[1], shape[2]) > 3 {
			add(MaxPool2D{Kernel: Square(2), Stride: Square(2)}, last())
		}
	}
	var ends []Value
	for _, v := range values[1:] {
		if !used[v.at] {
			ends = append(ends, g.Then(v, Flatten{}, Dense{Units: 4}))
		}
	}
	if len(ends) == 0 {
		ends = []Value{g.Then(g.Input(), Flatten{}, Dense{Units: 4})}
	}
	x := ends[0]
	if len(ends) > 1 {
		x = g.Join(Add{}, ends...)
	}
	return g.Network(x)
}

// Whatever is between the convolutions, whichever tensors are frozen and whoever else reads a
// value, the native engine computes what the layers' own computations do, the same bits on any
// threads and after steps that were not finite.
func TestNormalisedConvolutionsAreTheReference(t *testing.T) {
	counts := []int{2, 1, 3, 5, 16}
	var engines [][]*Engine
	for _, n := range counts {
		engines = append(engines, testEngines(t, n)[2:])
	}
	chains := 150
	if testing.Short() || raceDetector {
		chains = 10
	}
	for i := range chains {
		source := rand.New(rand.NewPCG(7, uint64(i)))
		network, err := normalisedChain(source)
		if err != nil {
			t.Fatal(err)
		}
		batch := []int{1, 2, 3, 5, 8}[source.IntN(5)]
		weights, images, dy := drawn(source, network, uint64(i), batch)
		every := everyParameter(network)
		var some []int
		for k := range every {
			if source.IntN(2) == 0 {
				some = append(some, k)
			}
		}
		if len(some) == 0 {
			some = every
		}
		var keep []string
		for _, node := range network.nodes {
			if source.IntN(6) == 0 {
				keep = append(keep, node.Name)
			}
		}
		options := LowerOptions{Batch: batch, Training: true, Seed: 5}
		keeping := options
		keeping.Keep = keep
		want := evaluateReference(t, network, weights, images, dy, batch, true, 5, 1)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for k := range engines[0] {
				var first evaluated
				for n := range counts {
					engine := engines[n][k]
					if engine.kernels.Set.Name() == "portable" && n > 1 {
						continue
					}
					all := newGraphRun(t, network, engine, weights, options, every)
					got := all.step(t, images, dy, 1)
					if n == 0 {
						first = got
						got.weights = want.weights
						compareEvaluated(t, network, engine, got, want)
					} else if !sameBits(got, first) {
						t.Errorf("%v: other bits than on %d threads", engine, counts[0])
					}
					all.step(t, broken(images), dy, 1)
					all.step(t, images, broken(dy), 1)
					if !sameBits(all.step(t, images, dy, 1), first) {
						t.Errorf("%v: other bits after a step that was not finite", engine)
					}
					frozen := newGraphRun(t, network, engine, weights, options, some)
					for range 2 {
						got := frozen.step(t, images, dy, 1)
						for j, at := range some {
							if !slices.Equal(got.gradients[j], first.gradients[at]) {
								t.Errorf("%v: with others frozen, %s has another gradient by %g",
									engine, network.Parameters()[at].Name, farthest(got.gradients[j], first.gradients[at]))
							}
						}
					}
					kept := newGraphRun(t, network, engine, weights, keeping, every)
					got = kept.step(t, images, dy, 1)
					got.weights = want.weights
					compareEvaluated(t, network, engine, got, want)
				}
			}
			if t.Failed() {
				t.Logf("batch %d, frozen all but %v\n%v", batch, some, network)
			}
		})
		if t.Failed() {
			break
		}
	}
}

// broken are values with some that are not finite among them.
func broken(values []float32) []float32 {
	values = slices.Clone(values)
	values[len(values)/2], values[0] = float32(math.Inf(1)), float32(math.NaN())
	return values
}

func farthest(a, b []float32) (most float64) {
	for i := range a {
		most = max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most
}
