package convert_test

import (
	"bytes"
	"path/filepath"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// Network → model → network → model: the same layers, weights and bytes, for every
// layer there is. An exported graph has no Dropout.
func TestToNetworkIsFromNetworkBackwards(t *testing.T) {
	for name, network := range networks(t) {
		t.Run(name, func(t *testing.T) {
			model := export(t, network, convert.Options{ProducerVersion: "1.2.3"})
			back, weights, err := convert.ToNetwork(model, "")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := exportedFacts(t, back), exportedFacts(t, network); !reflect.DeepEqual(got,
				want) {
				t.Errorf("layers %+v, want %+v", got, want)
			}
			if back.Name() != network.Name() || back.Input().String() != network.Input().String() {
				t.Errorf("%s of %v, want %s of %v", back.Name(), back.Input(), network.Name(), network.Input())
			}
			if !reflect.DeepEqual(weights, network.InitialWeights(1)) {
				t.Error("the weights differ")
			}
			record, _, err := model.TrainingRecord()
			if err != nil {
				t.Fatal(err)
			}
			again, err := convert.FromNetwork(back, weights, record,
				convert.Options{ProducerVersion: "1.2.3"})
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
				t.Error("exported again it has other bytes")
			}
		})
	}
}

// The exported experiments are E1 and E2, without the latter's dropout.
func TestToNetworkOfTheExperiments(t *testing.T) {
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"e1", "e2"} {
		model, err := onnx.Read(filepath.Join("..", "..", "graphs", name+".onnx"))
		if err != nil {
			t.Fatal(err)
		}
		network, weights, err := convert.ToNetwork(model, "")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(exportedFacts(t, network), exportedFacts(t, e1)) {
			t.Errorf("%s is\n%v", name, network)
		}
		want, err := convert.WeightsFor(e1, model)
		if err != nil {
			t.Fatal(err)
		}
		again, err := convert.FromNetwork(network, weights, onnx.TrainingRecord{}, convert.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(again.Proto.Graph, model.Proto.Graph) {
			t.Errorf("%s: exported again it is another graph", name)
		}
		if !reflect.DeepEqual(weights, want) {
			t.Errorf("%s: the weights differ from those of WeightsFor", name)
		}
	}
}
