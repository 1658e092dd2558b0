package builder_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
)

// Each known network's classifier is found, and after its replacement the network answers with as
// many scores; everything else is as it was.
func TestHeadsOfKnownNetworks(t *testing.T) {
	heads := map[string]string{"squeezenet1_1": "classifier.1", "resnet18": "fc",
		"efficientnet_lite0": "classifier"}
	for _, name := range zoo.Names() {
		t.Run(name, func(t *testing.T) {
			network, err := zoo.New(name, builder.Shape{3, 64, 64}, 7)
			if err != nil {
				t.Fatal(err)
			}
			replaced, head, err := network.WithHead(3, "")
			if err != nil {
				t.Fatal(err)
			}
			if want := heads[name]; want != "" && head != want {
				t.Errorf("the head is %s, want %s", head, want)
			}
			if classes, err := replaced.Classes(); err != nil || classes != 3 {
				t.Errorf("%d classes (%v)", classes, err)
			}
			before := network.InitialWeights(1)
			after, err := replaced.CarryWeights(before, 2, head)
			if err != nil {
				t.Fatal(err)
			}
			drawn := replaced.InitialWeights(2)
			for i, tensor := range after {
				want := before[i]
				if strings.HasPrefix(tensor.Name, head+".") {
					want = drawn[i]
				}
				if !slices.Equal(tensor.Data, want.Data) || tensor.Name != want.Name {
					t.Errorf("%s is not what it should be", tensor.Name)
				}
			}
			if named, again, err := network.WithHead(3, head); err != nil || again != head ||
				named.String() != replaced.String() {
				t.Errorf("by its name: %s, %v", again, err)
			}
		})
	}
}

// What follows a classifier stays, and what cannot be one is refused by name.
func TestWithHead(t *testing.T) {
	network, err := builder.New("tail", builder.Shape{1, 4, 4},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(3)},
		builder.BatchNorm{}, builder.Flatten{}, builder.Dense{Units: 5, NoBias: true,
			Init: builder.Normal(0.1)}, builder.Softmax{})
	if err != nil {
		t.Fatal(err)
	}
	replaced, head, err := network.WithHead(2, "")
	if err != nil {
		t.Fatal(err)
	}
	node, _ := replaced.Node(head)
	if want := (builder.Dense{Name: "fc1", Units: 2, NoBias: true,
		Init: builder.Normal(0.1)}); node.Layer != want {
		t.Errorf("the head is %+v, want %+v", node.Layer, want)
	}
	for _, test := range []struct {
		layer   string
		classes int
		want    string
	}{
		{"fc2", 2, `has no layer "fc2"; its last layers are bn1 (BatchNorm), flatten1 (Flatten)`},
		{"bn1", 2, "layer bn1 is no classifier: it is BatchNorm"},
		{"conv1", 2, "layer conv1 is no classifier: bn1 (BatchNorm) behind it has tensors of " +
			"its own"},
		{"", 0, "a classifier of 0 classes"},
	} {
		if _, _, err := network.WithHead(test.classes, test.layer); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%q, %d: error is %v, want one with %q", test.layer, test.classes, err,
				test.want)
		}
	}
	if _, err := replaced.CarryWeights(network.InitialWeights(0), 0); err == nil ||
		!strings.Contains(err.Error(), `"fc1.weight"`) {
		t.Errorf("weights of another shape: %v", err)
	}
	if _, err := replaced.CarryWeights(nil, 0, "fc1"); err == nil ||
		!strings.Contains(err.Error(), `"conv1.weight" is missing`) {
		t.Errorf("no weights: %v", err)
	}
}

// Networks without a classifier say so.
func TestNetworksWithoutAHead(t *testing.T) {
	twice := builder.NewGraph("twice", builder.Shape{4})
	sum := twice.Join(builder.Add{}, twice.Then(twice.Input(), builder.Dense{Units: 3}),
		twice.Then(twice.Input(), builder.Dense{Units: 3}))
	normalised := builder.NewGraph("normalised", builder.Shape{4})
	end := normalised.Then(normalised.Input(), builder.Dense{Units: 3}, builder.BatchNorm{})
	mapped := builder.NewGraph("mapped", builder.Shape{2, 4, 4})
	flat := mapped.Then(mapped.Input(), builder.Conv2D{Filters: 2, Kernel: builder.Square(3)},
		builder.Flatten{})
	single := builder.NewGraph("single", builder.Shape{4})
	probability := single.Then(single.Input(), builder.Dense{Units: 1}, builder.Sigmoid{})
	for _, test := range []struct {
		graph *builder.Graph
		end   builder.Value
		want  string
	}{
		{twice, sum, "has no classifier"},
		{normalised, end, "has no classifier"},
		{mapped, flat, "with 3 outputs of layer conv1 it has 12"},
		{single, probability, "sigmoid1 (Sigmoid) behind it makes probabilities"},
	} {
		network, err := test.graph.Network(test.end)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := network.WithHead(3, ""); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want one with %q", network.Name(), err, test.want)
		}
	}
}

// A network that tells ten digits apart becomes one for two classes, and keeps what it has learned
// below its classifier.
func ExampleNetwork_WithHead() {
	digits, err := builder.E1(10)
	if err != nil {
		fmt.Println(err)
		return
	}
	learned := digits.InitialWeights(1) // or what a run came to
	pairs, head, err := digits.WithHead(2, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	weights, err := pairs.CarryWeights(learned, 7, head)
	if err != nil {
		fmt.Println(err)
		return
	}
	kept, _ := weights.Get("conv1.weight")
	fresh, _ := weights.Get(head + ".weight")
	fmt.Println(head, kept.Shape, fresh.Shape)
	// Output: fc2 32×1×5×5 2×128
}
