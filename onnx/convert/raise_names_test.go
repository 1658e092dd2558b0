package convert_test

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

// A network's name is that of its file, unless the model is of FromNetwork, and without a file
// the graph's; its layers' names are those of weights and modules, as far as they can be.
func TestNamesOfNetworks(t *testing.T) {
	long := strings.Repeat("a", 80)
	for weight, want := range map[string]string{"fc.1.weight": "fc.1", long + ".weight": long,
		long + "a.weight": "fc1", "1.weight": "1", "w": "fc1", "input.weight": "input"} {
		model := graphmaker.New(graphmaker.Free, 6).Weight(weight, -1, 1, 6, 4).
			Node("y = MatMul x " + weight).Model()
		network, _, err := convert.ToNetwork(model, "")
		if err != nil || network.Nodes()[0].Layer.Kind() != "Dense" || network.Nodes()[0].Name != want ||
			network.Name() != "made" {
			t.Errorf("of the weight %q: %v, %v, want %q", weight, network, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "my file.onnx")
	foreign := tinyModel(t)
	foreign.Proto.ProducerName = proto.String("pytorch")
	for model, want := range map[*onnx.Model]string{tinyModel(t): "tiny", foreign: "my_file"} {
		if err := model.Write(path); err != nil {
			t.Fatal(err)
		}
		read, err := onnx.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		network, _, err := convert.ToNetwork(read, "")
		if err != nil || network.Name() != want {
			t.Errorf("%v, %v; want the name %q", network, err, want)
		}
	}
}

// Layers are called as PyTorch's exporters say in the nodes' names, or in their scopes, and as
// tf2onnx does.
func TestNamesOfModules(t *testing.T) {
	scopes := func(text string) []*onnxpb.StringStringEntryProto {
		return []*onnxpb.StringStringEntryProto{{Key: proto.String("pkg.torch.onnx.name_scopes"),
			Value: proto.String(text)}}
	}
	for _, test := range []struct {
		node   string
		scopes []*onnxpb.StringStringEntryProto
		want   string
	}{
		{node: "/features/features.1/features.1.0/block/block.3/Relu", want: "features.1.0.block.3"},
		{node: "/relu/Relu", want: "relu"},
		{node: "/Relu", want: "relu1"},
		{node: "node_relu", scopes: scopes("['', 'layer1', 'layer1.0.relu', 'relu_2']"),
			want: "layer1.0.relu"},
		{node: "node_relu", scopes: scopes("['', 'relu']"), want: "relu1"},
		{node: "model/stem/Relu", want: "model.stem"},
		{node: "/a b/Relu", want: "relu1"},
	} {
		model := graphmaker.New(graphmaker.Free, 6).Node("a = Relu x").Node("y = Relu a").Model()
		first := model.Proto.Graph.Node[0]
		first.Name, first.MetadataProps = proto.String(test.node), test.scopes
		model.Proto.Graph.Node[1].Name = proto.String(test.node)
		network, _, err := convert.ToNetwork(model, "")
		if err != nil || network.Nodes()[0].Name != test.want {
			t.Errorf("%s: %v, %v, want %q", test.node, network, err, test.want)
		}
	}
}

// The scale of a module and the shift of one that stand alone keep its name, and the scale its own.
func TestNamesOfScales(t *testing.T) {
	graph := func() *graphmaker.Graph { return graphmaker.New(graphmaker.Free, 6).Node("r = Relu x") }
	for want, g := range map[string]*graphmaker.Graph{
		"blocks.0.gamma": graph().Weight("blocks.0.gamma", 0.5, 2, 6).Node("y = Mul r blocks.0.gamma"),
		"blocks.0.bias":  graph().Weight("blocks.0.bias", 0.5, 2, 6).Node("y = Add r blocks.0.bias"),
		"scale1.weight":  graph().Weight("gamma", 0.5, 2, 6).Node("y = Mul r gamma"),
	} {
		network, weights, err := convert.ToNetwork(g.Model(), "")
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if _, ok := weights.Get(want); !ok {
			t.Errorf("no tensor %s in\n%v", want, network)
		}
	}
}
