//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/ops"
	"slipway/train"
)

// relativeError is the largest difference of two tensors, as a part of the largest
// value of the expected one.
func relativeError(got, want []float32) float64 {
	difference, largest := 0.0, 0.0
	for i := range want {
		if g, w := float64(got[i]), float64(want[i]); g != w && !(math.IsNaN(g) && math.IsNaN(w)) {
			difference = max(difference, math.Abs(g-w))
			if math.IsNaN(g - w) {
				return math.Inf(1)
			}
		}
		if w := math.Abs(float64(want[i])); !math.IsInf(w, 0) && !math.IsNaN(w) {
			largest = max(largest, w)
		}
	}
	if difference == 0 {
		return 0
	}
	return difference / largest
}

func mustNew(t testing.TB, name string, input builder.Shape, layers ...builder.Layer) *builder.Network {
	t.Helper()
	network, err := builder.New(name, input, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// plainGraph is the network's training graph, with random weights and images.
func plainGraph(t testing.TB, network *builder.Network, config train.Config, batch int) *train.LossGraph {
	t.Helper()
	config, err := config.WithDefaults(network)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := builder.NewEngine(builder.EnginePlain, 1)
	if err != nil {
		t.Fatal(err)
	}
	variables, err := builder.NewVariables(network, engine, network.InitialWeights(3))
	if err != nil {
		t.Fatal(err)
	}
	graph, err := train.NewLossGraph(network, engine, variables, config, batch, true)
	if err != nil {
		t.Fatal(err)
	}
	source := rand.New(rand.NewPCG(1, uint64(batch)))
	for i := range graph.Images() {
		graph.Images()[i] = float32(source.NormFloat64())
	}
	classes, err := network.Classes()
	if err != nil {
		t.Fatal(err)
	}
	labels := graph.Labels.Value().(*tensor.Dense).Int32s()
	for i := range labels {
		labels[i] = int32(source.IntN(classes))
	}
	graph.SetStep(1<<33+5, 0)
	return graph
}

// Every node's value is that of the same graph on Gorgonia's TapeMachine, which runs
// the operators' plain loops in float64. A value is a sum of at most a few hundred
// float32 products here.
func TestEveryNodeIsThatOfTheTapeMachine(t *testing.T) {
	const tolerance = 2e-5
	square := builder.Square
	image := builder.Shape{2, 9, 8}
	for _, network := range []*builder.Network{
		mustNew(t, "plain", image, builder.Conv2D{Filters: 3, Kernel: square(3)}, builder.ReLU{}, builder.MaxPool2D{Kernel: square(2)},
			builder.Flatten{}, builder.Dense{Units: 7}, builder.ReLU{}, builder.Dropout{P: 0.3}, builder.Dense{Units: 4}),
		mustNew(t, "strides", image, builder.Conv2D{Filters: 3, Kernel: builder.Size{Height: 3, Width: 2}, Stride: builder.Size{Height: 2, Width: 1}, Padding: builder.Size{Height: 1, Width: 0}},
			builder.Dropout{P: 0.5}, builder.AvgPool2D{Kernel: square(3), Stride: square(2), Padding: square(1)}, builder.Conv2D{Filters: 5, Kernel: square(2)},
			builder.MaxPool2D{Kernel: square(3), Stride: square(1), Padding: square(1)}, builder.Flatten{}, builder.Dense{Units: 3}),
		mustNew(t, "first-relu", image, builder.ReLU{}, builder.AvgPool2D{Kernel: square(2)}, builder.Flatten{}, builder.Dropout{P: 0.9}, builder.Dense{Units: 5}, builder.Softmax{}),
		mustNew(t, "oblong", image, builder.MaxPool2D{Kernel: builder.Size{Height: 2, Width: 3},
			Stride: builder.Size{Height: 1, Width: 2}, Padding: builder.Size{Height: 0, Width: 1}},
			builder.Conv2D{Filters: 3, Kernel: builder.Size{Height: 2, Width: 1}},
			builder.AvgPool2D{Kernel: builder.Size{Height: 3, Width: 2}, Stride: builder.Size{Height: 2, Width: 1},
				Padding: builder.Size{Height: 1, Width: 0}}, builder.Flatten{}, builder.Dense{Units: 3}),
		mustNew(t, "dense", builder.Shape{11}, builder.Dense{Units: 1}, builder.ReLU{}, builder.Dense{Units: 2}),
		mustNew(t, "classes", builder.Shape{5}, builder.Dense{Units: 300}),
		// The gradient of a rectifier with dropout behind it, before a layer too wide for one launch of both.
		mustNew(t, "wide", builder.Shape{5}, builder.Dense{Units: 6}, builder.ReLU{}, builder.Dropout{P: 0.3}, builder.Dense{Units: 20}),
		mustResidual(t, image), mustJoined(t),
	} {
		for _, batch := range []int{1, 3, 70} {
			t.Run(fmt.Sprintf("%s/%d", network.Name(), batch), func(t *testing.T) {
				config := train.Config{Seed: 4, ParameterPenalty: train.Penalty{L1: 0.01, L2: 0.1}}
				if first := network.Nodes()[0]; first.Layer.Kind() != "ReLU" {
					config.ActivationPenalties = map[string]train.Penalty{first.Name: {L1: 0.02, L2: 0.03}}
				}
				compareWithTape(t, plainGraph(t, network, config, batch), tolerance)
			})
		}
	}
}

// mustResidual returns a network with sums of two and three values, one of which is used three times, and without biases.
func mustResidual(t *testing.T, image builder.Shape) *builder.Network {
	t.Helper()
	g := builder.NewGraph("residual", image)
	conv := builder.Conv2D{Filters: 3, Kernel: builder.Square(3), Padding: builder.Square(1), NoBias: true}
	x := g.Then(g.Input(), conv)
	y := g.Then(g.Join(builder.Add{}, x, g.Then(x, builder.ReLU{}, conv)), builder.ReLU{})
	z := g.Join(builder.Add{}, y, g.Then(y, conv), x)
	network, err := g.Network(g.Then(z, builder.Flatten{}, builder.Dense{Units: 4, NoBias: true}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// mustJoined returns a network of dense layers with a sum, a ReLU and dropout before the last, and
// a normalisation before a pooling.
func mustJoined(t *testing.T) *builder.Network {
	t.Helper()
	g := builder.NewGraph("joined", builder.Shape{2, 6, 6})
	conv := builder.Conv2D{Filters: 3, Kernel: builder.Square(3), Padding: builder.Square(1)}
	plain := conv
	plain.NoBias = true // its gradient would be 0 but for rounding
	x := g.Then(g.Input(), plain, builder.BatchNorm{}, builder.ReLU{}, builder.MaxPool2D{Kernel: builder.Square(2)},
		conv, builder.MaxPool2D{Kernel: builder.Square(2), Stride: builder.Square(1)}, builder.Flatten{}, builder.Dense{Units: 6})
	y := g.Join(builder.Add{}, x, g.Then(x, builder.ReLU{}, builder.Dense{Units: 6}))
	network, err := g.Network(g.Then(y, builder.ReLU{}, builder.Dropout{P: 0.3}, builder.Dense{Units: 4}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}

func compareWithTape(t *testing.T, graph *train.LossGraph, tolerance float64) {
	t.Helper()
	g := openDevice(t)
	wanted := append(gorgonia.Nodes{graph.Total, graph.Data, graph.Logits}, graph.Gradients...)
	var machine *Machine
	if err := g.thread.do(func() (err error) {
		machine, err = newMachine(g, machineOptions{Wanted: wanted})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	}()
	tape := gorgonia.NewTapeMachine(graph.Expr)
	for _, vm := range []gorgonia.VM{tape, machine, machine} { // a second run changes nothing
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Reset()
	}
	// Gorgonia's own addition leaves its sum in its first input.
	overwritten := make(map[*gorgonia.Node]bool)
	for _, node := range sorted(wanted) {
		if _, described := ops.Describe(node.Op()); node.Op() != nil && !described {
			overwritten[ops.Operands(node)[0]] = true
		}
	}
	for _, node := range sorted(wanted) {
		if overwritten[node] || machine.fusion.hidden[node] {
			continue
		}
		var want []float32
		switch value := node.Value().(type) {
		case *tensor.Dense:
			if value.Dtype() != tensor.Float32 {
				continue
			}
			want = value.Float32s()
		case *gorgonia.F32:
			want = []float32{float32(*value)}
		default:
			t.Fatalf("%s is a %T", nodeName(node), value)
		}
		got, err := machine.Float32s(node)
		if err != nil {
			t.Fatal(err)
		}
		if e := relativeError(got, want); e > tolerance {
			t.Errorf("%s is %g of its largest value off", nodeName(node), e)
		}
	}
}
