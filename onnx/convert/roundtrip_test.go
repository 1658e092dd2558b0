package convert_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// layerFacts are what of a layer an ONNX graph holds.
type layerFacts struct {
	name   string
	layer  builder.Layer
	inputs []string
}

// exportedFacts are the layers of a network without those that an export leaves out, such as
// Dropout, and without what concerns training alone: how tensors are drawn, and Frozen.
func exportedFacts(t *testing.T, network *builder.Network) []layerFacts {
	t.Helper()
	operators, err := network.Operators("input")
	if err != nil {
		t.Fatal(err)
	}
	written := make(map[string]bool)
	for _, operator := range operators.Nodes {
		written[operator.Name] = true
	}
	nodes := network.Nodes()
	names := map[int]string{-1: "input"}
	var facts []layerFacts
	for i, node := range nodes {
		if names[i] = node.Name; !written[node.Name] {
			names[i] = names[node.Inputs[0]]
			continue
		}
		f := layerFacts{name: node.Name, layer: plainSettings(node)}
		for _, input := range node.Inputs {
			f.inputs = append(f.inputs, names[input])
		}
		facts = append(facts, f)
	}
	return facts
}

func plainSettings(node builder.Node) builder.Layer {
	if l, ok := node.Layer.(builder.AdaptiveAvgPool); ok {
		// It is exported as the pooling that it is at this size.
		kernel := builder.Size{Height: node.Input[1] / l.Output.Height,
			Width: node.Input[2] / l.Output.Width}
		return builder.AvgPool2D{Name: node.Name, Kernel: kernel, Stride: kernel}
	}
	layer := reflect.New(reflect.TypeOf(node.Layer)).Elem()
	layer.Set(reflect.ValueOf(node.Layer))
	layer.FieldByName("Name").SetString(node.Name)
	// Pads and ceil_mode are exported as the pads that come to the same: the bytes tell.
	others := []string{"Init", "Frozen"}
	if kind := node.Layer.Kind(); kind == "MaxPool2D" || kind == "AvgPool2D" {
		others = append(others, "CeilMode", "PaddingExtra", "ExcludePadding")
	}
	for _, name := range others {
		if field := layer.FieldByName(name); field.IsValid() {
			field.SetZero()
		}
	}
	return layer.Interface().(builder.Layer)
}

// requireRoundTrip exports a network, reads it, and exports it again.
func requireRoundTrip(t *testing.T, network *builder.Network) {
	t.Helper()
	weights := network.InitialWeights(1)
	source := rand.New(rand.NewPCG(1, 2))
	for _, tensor := range weights {
		for i := range tensor.Data {
			tensor.Data[i] = 0.25 + float32(math.Abs(source.NormFloat64())) // also good as a variance
		}
	}
	model, err := convert.FromNetwork(network, weights, onnx.TrainingRecord{}, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	back, read, err := convert.ToNetwork(model, "")
	if err != nil {
		t.Fatalf("%v\n%v", err, network)
	}
	if got, want := exportedFacts(t, back), exportedFacts(t, network); !reflect.DeepEqual(got, want) {
		t.Errorf("read are\n%+v\nexported were\n%+v", got, want)
	}
	if !reflect.DeepEqual(read, weights) {
		t.Errorf("the weights differ:\n%v\n%v", back, network)
	}
	again, err := convert.FromNetwork(back, read, onnx.TrainingRecord{}, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	second, err := onnx.Encode(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("exported again it has other bytes:\n%v\n%v", back, network)
	}
}

// Every case of every layer comes back as it was exported.
func TestEveryCaseComesBack(t *testing.T) {
	for i, c := range builder.Cases() {
		t.Run(fmt.Sprintf("%d-%s", i, c.Layer.Kind()), func(t *testing.T) {
			network, err := c.Network("case")
			if err != nil {
				t.Fatal(err)
			}
			requireRoundTrip(t, network)
		})
	}
}

// The networks of the zoo come back.
func TestTheZooComesBack(t *testing.T) {
	for _, name := range zoo.Names() {
		t.Run(name, func(t *testing.T) {
			network, err := zoo.New(name, builder.Shape{3, 32, 32}, 10)
			if err != nil {
				t.Fatal(err)
			}
			requireRoundTrip(t, network)
		})
	}
}

// Layers wired at random come back, too, whatever stands beside them: a Mul of a Sigmoid stays
// that, and a scale beside a convolution a layer.
func TestRandomGraphsComeBack(t *testing.T) {
	graphs := 500
	if testing.Short() {
		graphs = 50
	}
	for i := range graphs {
		network, err := wiredAtRandom(rand.New(rand.NewPCG(9, uint64(i))))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) { requireRoundTrip(t, network) })
		if t.Failed() {
			break
		}
	}
}

// wiredAtRandom wires cases of layers, and adds up the loose ends.
func wiredAtRandom(source *rand.Rand) (*builder.Network, error) {
	cases := builder.Cases()
	g := builder.NewGraph("random", builder.Shape{1 + source.IntN(4), 1 + source.IntN(9),
		1 + source.IntN(9)})
	values := []builder.Value{g.Input()}
	used := map[int]bool{}
	for tries := 0; tries < 300 && len(values) < 14; tries++ {
		c := cases[source.IntN(len(cases))]
		var takes []builder.Value
		var shapes []builder.Shape
		var places []int
		for range c.Inputs {
			at := len(values) - 1 - source.IntN(min(len(values), 4))
			if len(takes) > 0 && source.IntN(4) > 0 {
				at = slices.IndexFunc(values, func(v builder.Value) bool {
					return slices.Equal(g.Shape(v), shapes[0])
				})
			}
			takes, shapes, places = append(takes, values[at]), append(shapes,
				g.Shape(values[at])), append(places, at)
		}
		inferred, err := c.Layer.Infer(shapes)
		if err != nil || inferred.Output.Elements() > 2000 || slices.Min(inferred.Output) < 1 {
			continue
		}
		for _, at := range places {
			used[at] = true
		}
		values = append(values, g.Join(c.Layer, takes...))
	}
	var ends []builder.Value
	for i, value := range values {
		if i > 0 && !used[i] {
			ends = append(ends, g.Then(value, builder.Flatten{}, builder.Dense{Units: 4}))
		}
	}
	if len(ends) == 1 {
		return g.Network(ends[0])
	}
	return g.Network(g.Join(builder.Add{}, ends...))
}
