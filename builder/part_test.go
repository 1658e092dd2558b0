package builder

import (
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A network in two parts, below and above a layer, gives what it gives whole, on every engine; a
// part that needs more than the layer's output is refused.
func TestANetworkInTwoParts(t *testing.T) {
	g := NewGraph("fork", Shape{2, 6, 6})
	x := g.Then(g.Input(), Conv2D{Name: "stem", Filters: 3, Kernel: Square(3), Padding: Square(1)},
		ReLU{Name: "relu"})
	y := g.Then(x, Conv2D{Name: "branch", Filters: 3, Kernel: Square(3), Padding: Square(1)})
	network, err := g.Network(g.Then(g.Join(Add{Name: "add"}, y, x), Flatten{}, Dense{Units: 2}))
	if err != nil {
		t.Fatal(err)
	}
	images := make([]float32, 3*72)
	for i := range images {
		images[i] = float32(i%11) - 4
	}
	for _, name := range EngineNames() {
		engine, err := NewEngine(name, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		variables, err := NewVariables(network, engine, network.InitialWeights(1))
		if err != nil {
			t.Fatal(err)
		}
		run := func(options LowerOptions, input []float32) []float32 {
			t.Helper()
			options.Batch = 3
			graph, err := network.Lower(variables, options)
			if err != nil {
				t.Fatal(err)
			}
			copy(graph.Images(), input)
			graph.Feed()
			machine := gorgonia.NewTapeMachine(graph.Expr)
			defer machine.Close()
			if err := machine.RunAll(); err != nil {
				t.Fatal(err)
			}
			return slices.Clone(graph.Logits.Value().(*tensor.Dense).Float32s())
		}
		whole := run(LowerOptions{}, images)
		for _, at := range []string{"relu", "add", "flatten1"} {
			below := run(LowerOptions{To: at}, images)
			if above := run(LowerOptions{From: at}, below); !slices.Equal(above, whole) {
				t.Errorf("%s, in parts at %s: %v, want %v", name, at, above, whole)
			}
		}
		for _, test := range []struct {
			options LowerOptions
			want    string
		}{
			{LowerOptions{Batch: 1, From: "branch"},
				"layer add takes relu, which does not follow from branch alone"},
			{LowerOptions{Batch: 1, From: "trunk"}, `network fork has no layer "trunk"`},
			{LowerOptions{Batch: 1, To: "trunk"}, `network fork has no layer "trunk"`},
		} {
			_, err := network.Lower(variables, test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: error is %v, want one with %q", name, err, test.want)
			}
		}
	}
}
