package builder

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"slipway/internal/ops"
)

// eachCase runs the test on every case of every layer.
func eachCase(t *testing.T, test func(t *testing.T, network *Network, at int)) {
	t.Helper()
	for i, c := range Cases() {
		t.Run(fmt.Sprintf("%d-%s", i, c.Layer.Kind()), func(t *testing.T) {
			network, err := c.Network("case")
			if err != nil {
				t.Fatal(err)
			}
			test(t, network, len(network.nodes)-2)
		})
	}
}

// Softmax may only come last, and no gradient goes through it: it has tests of its own.
func TestEveryLayerHasCases(t *testing.T) {
	has := map[string]bool{softmaxKind: true}
	for _, c := range Cases() {
		has[c.Layer.Kind()] = true
	}
	for _, kind := range Kinds() {
		if !has[kind] {
			t.Errorf("%s has no cases", kind)
		}
	}
}

func TestEveryCaseSurvivesJSON(t *testing.T) {
	eachCase(t, func(t *testing.T, network *Network, _ int) {
		raw, err := json.Marshal(network)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseNetwork(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, network) {
			t.Errorf("read back:\n%v\nwritten:\n%v", back, network)
		}
	})
}

// What a layer does not change when it is written and read, it does not change when its defaults
// are filled in again: a network read from a file is the one that was trained.
func TestInferringAgainChangesNothing(t *testing.T) {
	eachCase(t, func(t *testing.T, network *Network, at int) {
		node := network.nodes[at]
		inferred, err := node.Layer.Infer(node.InputShapes)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(inferred.Layer, node.Layer) {
			t.Errorf("%+v becomes %+v", node.Layer, inferred.Layer)
		}
	})
}

// The gradient of every layer is what its output changes by, along each of its inputs and learned
// tensors.
func TestEveryGradientIsTheFiniteDifference(t *testing.T) {
	const batch, step = 3, 1.0 / 64
	eachCase(t, func(t *testing.T, network *Network, at int) {
		for _, training := range []bool{true, false} {
			node := network.nodes[at]
			call := node.call(batch, training)
			if training {
				call.Random = ops.NewMasks(5, node.Name)
			}
			computation, err := node.Layer.Compute(call)
			if err != nil {
				t.Fatal(err)
			}
			if computation.Backward == nil {
				t.Fatalf("%s has no gradient", node.Layer.Kind())
			}
			source := rand.New(rand.NewPCG(7, uint64(at)))
			var in [][]float32
			for _, shape := range node.InputShapes {
				in = append(in, spread(source, batch*shape.Elements()))
			}
			for _, tensor := range node.Tensors {
				values := spread(source, tensor.Shape.Elements())
				if tensor.Role == Statistic {
					for i := range values {
						values[i] = 0.5 + float32(math.Abs(float64(values[i]))) // also good as a variance
					}
				}
				in = append(in, values)
			}
			y := make([]float32, batch*node.Output.Elements())
			dy := spread(source, len(y))
			cost := func() float64 {
				if err := computation.Forward(y, in); err != nil {
					t.Fatal(err)
				}
				sum := 0.0
				for i := range y {
					sum += float64(y[i]) * float64(dy[i])
				}
				return sum
			}
			cost()
			d := make([][]float32, len(in))
			for i := range in {
				d[i] = make([]float32, len(in[i]))
				for k := range d[i] {
					d[i][k] = float32(math.NaN()) // every value is written
				}
			}
			statistics := func(i int) bool {
				i -= len(node.InputShapes)
				return i >= 0 && node.Tensors[i].Role == Statistic
			}
			for i := range d {
				if statistics(i) {
					d[i] = nil
				}
			}
			if err := computation.Backward(d, dy, slices.Clone(y), in); err != nil {
				t.Fatal(err)
			}
			for i := range in {
				if statistics(i) {
					continue
				}
				for _, k := range source.Perm(len(in[i]))[:min(len(in[i]), 12)] {
					x := in[i][k]
					in[i][k] = x + step
					above := cost()
					in[i][k] = x - step
					below := cost()
					in[i][k] = x
					want := (above - below) / (2 * step)
					if got := float64(d[i][k]); !(math.Abs(got-want) <= 2e-3*(1+math.Abs(want))) {
						t.Errorf("training %v: gradient %d of value %d is %v, the output changes by %v", training, k,
							i, got, want)
					}
				}
			}
		}
	})
}

// spread draws values that lie more than two steps of a finite difference from each other and one
// from zero, so that no step crosses a kink: multiples of 1/16 in random order, off by 1/32.
func spread(source *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i, at := range source.Perm(n) {
		values[i] = float32(at-n/2)/16 + 1.0/32
	}
	return values
}
