package builder

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"slipway/scripts/golden/goldentest"
)

// sharing are networks in which layers hand on what they take, as a node or as a view of its
// memory, at the places where another layer, the output or the network's input is the same memory.
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
	add("input-handed-on", func(g *Graph) Value {
		return g.Then(g.Input(), Identity{}, Dropout{P: 0.4}, Flatten{})
	})
	add("input-alone", func(g *Graph) Value { return g.Then(g.Input(), Flatten{}, Identity{}) })
	add("input-twice", func(g *Graph) Value {
		return g.Then(g.Join(Add{}, g.Input(), g.Then(g.Input(), Identity{})), Flatten{})
	})
	add("dropout-last", func(g *Graph) Value {
		return g.Then(g.Input(), conv(2), Flatten{}, Dropout{P: 0.5})
	})
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
		return g.Join(Concat{}, y, g.Then(x, MaxPool2D{Kernel: Square(2)}, Flatten{}),
			g.Then(x, GlobalAvgPool{}, Flatten{}))
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
// logits, the gradients of some parameters, the others being frozen, and the outputs of kept
// layers, all after a second run, in memory that is filled with NaN before.
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
	images, dy := gaussian(source, batch*network.input.Elements()), gaussian(source,
		batch*logits.Output().Elements())
	weights := network.InitialWeights(source.Uint64())
	for _, training := range []bool{true, false} {
		want := evaluateReference(t, logits, weights, images, dy, batch, training, 5, 1)
		for _, engine := range testEngines(t, 2) {
			t.Run(fmt.Sprintf("%s/%v/training=%v", network.name, engine, training), func(t *testing.T) {
				checkShared(t, network, engine, weights, images, dy, want,
					LowerOptions{Batch: batch, Training: training, Seed: 5, Keep: keep}, source)
			})
		}
	}
}

func checkShared(t *testing.T, network *Network, engine *Engine, weights Weights, images,
	dy []float32, want evaluated, options LowerOptions, source *rand.Rand) {
	t.Helper()
	var trained []int
	for _, at := range everyParameter(network) {
		if source.IntN(3) > 0 {
			trained = append(trained, at)
		}
	}
	run := newGraphRun(t, network, engine, weights, options, trained)
	run.step(t, images, dy, 1)
	got := run.step(t, images, dy, 1)
	tolerance := goldentest.Tolerance{Relative: 1e-4, OfLargest: 2e-5}
	goldentest.Compare(t, "logits", got.logits, want.logits, tolerance)
	var wanted [][]float32
	for _, at := range trained {
		wanted = append(wanted, want.gradients[at])
	}
	goldentest.Compare(t, "gradients", slices.Concat(got.gradients...), slices.Concat(wanted...),
		tolerance)
	for i, node := range network.nodes {
		if k := slices.Index(options.Keep, node.Name); k >= 0 {
			// In the engine's layout, so compared in no order.
			kept, want := slices.Clone(got.outputs[k]), slices.Clone(want.outputs[i])
			slices.Sort(kept)
			slices.Sort(want)
			goldentest.Compare(t, "output of "+node.Name, kept, want, tolerance)
		}
	}
}

// A norm and a sum of two are computed as one, but not with a sum of three.
func TestANormInASumOfThree(t *testing.T) {
	g := NewGraph("three", Shape{3, 4, 4})
	x := g.Then(g.Input(), Conv2D{Filters: 3, Kernel: Square(3), Padding: Square(1)})
	sum := g.Join(Add{}, g.Then(x, BatchNorm{}), x, g.Then(x, ReLU{}))
	network, err := g.Network(g.Then(sum, Flatten{}))
	if err != nil {
		t.Fatal(err)
	}
	const batch = 3
	source := rand.New(rand.NewPCG(9, 1))
	images := gaussian(source, batch*network.Input().Elements())
	dy := gaussian(source, batch*network.Output().Elements())
	weights := network.InitialWeights(1)
	for _, training := range []bool{true, false} {
		want := evaluateReference(t, network, weights, images, dy, batch, training, 1, 0)
		for _, engine := range testEngines(t, 2) {
			got := trainOnce(t, network, engine, weights, images, dy, batch, training, 1, 0)
			compareEvaluated(t, network, engine, got, want)
		}
	}
}
