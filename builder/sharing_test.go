package builder

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// sharing are networks in which layers hand on what they take, as a node or as a view of its memory, at
// the places where another layer, the output or the network's input is the same memory.
func sharing(t *testing.T) []*Network {
	t.Helper()
	image := Shape{3, 4, 4}
	conv := func(filters int) Conv2D {
		return Conv2D{Filters: filters, Kernel: Square(3), Padding: Square(1)}
	}
	var all []*Network
	add := func(name string, wire func(g *Graph) Value) {
		g := NewGraph(name, image)
		network, err := g.Network(wire(g))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, network)
	}
	add("input-handed-on", func(g *Graph) Value { return g.Then(g.Input(), Identity{}, Dropout{P: 0.4}, Flatten{}) })
	add("input-alone", func(g *Graph) Value { return g.Then(g.Input(), Flatten{}, Identity{}) })
	add("input-twice", func(g *Graph) Value {
		return g.Then(g.Join(Add{}, g.Input(), g.Then(g.Input(), Identity{})), Flatten{})
	})
	add("dropout-last", func(g *Graph) Value { return g.Then(g.Input(), conv(2), Flatten{}, Dropout{P: 0.5}) })
	add("identity-last", func(g *Graph) Value {
		return g.Then(g.Input(), Flatten{}, Dense{Units: 5}, BatchNorm{}, ReLU{}, Identity{})
	})
	add("two-flattens", func(g *Graph) Value {
		x := g.Then(g.Input(), conv(2), ReLU{})
		return g.Join(Add{}, g.Then(x, Flatten{}), g.Then(x, Flatten{}, ReLU{}))
	})
	add("two-flattens-one-dense", func(g *Graph) Value {
		x := g.Then(g.Input(), conv(3))
		return g.Join(Concat{}, g.Then(x, Flatten{}, Dense{Units: 4}), g.Then(x, Flatten{}))
	})
	add("dense-of-a-shared-flatten", func(g *Graph) Value {
		x := g.Then(g.Input(), conv(3), Flatten{})
		return g.Join(Concat{}, g.Then(x, Dense{Units: 4}), x, g.Then(x, ReLU{}, Dense{Units: 3}))
	})
	add("dense-of-a-shared-relu", func(g *Graph) Value {
		x := g.Then(g.Input(), conv(3), Flatten{}, ReLU{})
		return g.Join(Concat{}, g.Then(x, Dense{Units: 4}), x)
	})
	add("dense-behind-identity", func(g *Graph) Value {
		return g.Then(g.Input(), conv(3), Flatten{}, Identity{}, Dense{Units: 4})
	})
	add("dense-behind-flattens", func(g *Graph) Value {
		return g.Then(g.Input(), conv(3), Flatten{}, ReLU{}, Flatten{}, Dropout{P: 0.3}, Dense{Units: 4})
	})
	add("softmax-of-a-fused-sum", func(g *Graph) Value {
		x := g.Then(g.Input(), Flatten{}, Dense{Units: 5})
		return g.Then(g.Join(Add{}, x, x, g.Then(x, Dropout{P: 0.2})), ReLU{}, Softmax{})
	})
	add("two-norms-of-one-value", func(g *Graph) Value {
		x := g.Then(g.Input(), conv(3))
		y := g.Then(x, BatchNorm{}, ReLU{})
		z := g.Then(x, BatchNorm{}, ReLU6{})
		return g.Then(g.Join(Mul{}, y, z), Flatten{}, Dense{Units: 3})
	})
	add("pool-of-a-shared-relu", func(g *Graph) Value {
		x := g.Then(g.Input(), conv(3), ReLU{})
		y := g.Then(x, MaxPool2D{Kernel: Square(2)}, Flatten{})
		return g.Join(Concat{}, y, g.Then(x, MaxPool2D{Kernel: Square(2)}, Flatten{}), g.Then(x, GlobalAvgPool{}, Flatten{}))
	})
	add("product-with-itself", func(g *Graph) Value {
		x := g.Then(g.Input(), conv(2))
		return g.Then(g.Join(Mul{}, g.Join(Mul{}, x, x), x), Flatten{}, Dense{Units: 3})
	})
	add("joined-with-itself", func(g *Graph) Value {
		x := g.Then(g.Input(), conv(2), ReLU{})
		return g.Then(g.Join(Concat{}, x, g.Input(), x), Concat{}, Flatten{}, Dense{Units: 3})
	})
	return all
}

// Every engine computes networks whose layers share memory as the layers' own computations do: the
// logits, the gradients of some parameters, the others being frozen, and the outputs of kept layers, all
// after a second run, in memory that is filled with NaN before.
func TestLayersThatShareMemory(t *testing.T) {
	const batch = 3
	for i, network := range sharing(t) {
		source := rand.New(rand.NewPCG(9, uint64(i)))
		checkSharing(t, network, source, batch)
	}
}

// The same of random graphs.
func TestKeptLayersAndFrozenParametersOfRandomGraphs(t *testing.T) {
	for i := range randomGraphs() / 5 {
		source := rand.New(rand.NewPCG(43, uint64(i)))
		network, err := randomGraph(source)
		if err != nil {
			t.Fatal(err)
		}
		checkSharing(t, network, source, 1+source.IntN(3))
		if t.Failed() {
			t.Fatalf("graph %d\n%v", i, network)
		}
	}
}

func checkSharing(t *testing.T, network *Network, source *rand.Rand, batch int) {
	t.Helper()
	logits := network
	if last := network.nodes[len(network.nodes)-1]; last.Layer.Kind() == softmaxKind {
		g := *network
		g.nodes = g.nodes[:len(g.nodes)-1]
		logits = &g // what the graph computes of it
	}
	var keep []string
	for _, node := range logits.nodes {
		if source.IntN(2) == 0 {
			keep = append(keep, node.Name)
		}
	}
	images, dy := make([]float32, batch*network.input.Elements()), make([]float32, batch*logits.Output().Elements())
	for _, values := range [][]float32{images, dy} {
		for k := range values {
			values[k] = float32(source.NormFloat64())
		}
	}
	weights := network.InitialWeights(source.Uint64())
	for _, training := range []bool{true, false} {
		want := evaluateReference(t, logits, weights, images, dy, batch, training, 5, 1)
		for _, engine := range testEngines(t, 2) {
			t.Run(fmt.Sprintf("%s/%v/training=%v", network.name, engine, training), func(t *testing.T) {
				checkShared(t, network, engine, weights, images, dy, want, LowerOptions{Batch: batch, Training: training, Seed: 5, Keep: keep}, source)
			})
		}
	}
}

func checkShared(t *testing.T, network *Network, engine *Engine, weights Weights, images, dy []float32, want evaluated, options LowerOptions, source *rand.Rand) {
	t.Helper()
	variables, err := NewVariables(network, engine, weights)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := network.Lower(variables, options)
	if err != nil {
		t.Fatal(err)
	}
	shape := graph.Logits.Shape()
	upstream := make([]float32, shape.TotalSize())
	dNode := gorgonia.NewTensor(graph.Expr, tensor.Float32, shape.Dims(), gorgonia.WithShape(shape...), gorgonia.WithName("dy"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(upstream))))
	var kernels *kernel.Engine
	if engine.name == EngineNative {
		kernels = &engine.kernels
	}
	var trained gorgonia.Nodes
	var places []int
	for i, parameter := range graph.Parameters {
		if source.IntN(3) > 0 {
			trained, places = append(trained, parameter), append(places, i)
		}
	}
	gradients, err := ops.Differentiate(graph.Logits, dNode, trained, kernels)
	if err != nil {
		t.Fatal(err)
	}
	stay := append(gorgonia.Nodes{graph.Logits}, gradients...)
	for _, activation := range graph.Activations {
		stay = append(stay, activation)
	}
	memory, err := ops.PlanMemory(graph.Expr, stay)
	if err != nil {
		t.Fatal(err)
	}
	machine := gorgonia.NewTapeMachine(graph.Expr)
	defer machine.Close()
	for range 2 {
		copy(graph.Images(), images)
		copy(upstream, dy)
		graph.SetStep(1, 0)
		graph.Feed()
		memory.Fill(float32(math.NaN()))
		machine.Reset()
		if err := machine.RunAll(); err != nil {
			t.Fatal(err)
		}
	}
	tolerance := goldentest.Tolerance{Relative: 1e-4, OfLargest: 2e-5}
	goldentest.Compare(t, "logits", graph.Logits.Value().(*tensor.Dense).Float32s(), want.logits, tolerance)
	var got, wanted []float32
	for k, gradient := range gradients {
		got = append(got, variables.ToPublic(variables.Learned()[places[k]], gradient.Value().(*tensor.Dense).Float32s())...)
		wanted = append(wanted, want.gradients[places[k]]...)
	}
	goldentest.Compare(t, "gradients", got, wanted, tolerance)
	for i, node := range network.nodes {
		if kept := graph.Activations[node.Name]; kept != nil {
			// In the engine's layout, so compared in no order.
			got, want := slices.Clone(kept.Value().(*tensor.Dense).Float32s()), slices.Clone(want.outputs[i])
			slices.Sort(got)
			slices.Sort(want)
			goldentest.Compare(t, "output of "+node.Name, got, want, tolerance)
		}
	}
}
