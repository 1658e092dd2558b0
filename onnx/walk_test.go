package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// Every tensor of a model is visited wherever it stands, and what is wrong with one ends the
// walk with its place.
func TestEachTensor(t *testing.T) {
	named := func(name string) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String(name)}
	}
	sparse := func(name string) *onnxpb.SparseTensorProto {
		return &onnxpb.SparseTensorProto{Values: named(name + " values"),
			Indices: named(name + " indices")}
	}
	// Attributes of each kind.
	attributes := func(name string, inner *onnxpb.GraphProto) []*onnxpb.AttributeProto {
		return []*onnxpb.AttributeProto{{Name: proto.String("one"), T: named(name + " T"),
			SparseTensor: sparse(name + " sparse"), G: inner},
			{Name: proto.String("more"), Tensors: []*onnxpb.TensorProto{named(name + " tensors")},
				SparseTensors: []*onnxpb.SparseTensorProto{sparse(name + " sparses")},
				Graphs:        []*onnxpb.GraphProto{inner}}}
	}
	graph := func(name string) *onnxpb.GraphProto {
		inner := &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{named(name + " inner")}}
		return &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{named(name + " initializer")},
			SparseInitializer: []*onnxpb.SparseTensorProto{sparse(name + " initializer")},
			Node: []*onnxpb.NodeProto{{},
				{OpType: proto.String("Op"), Attribute: attributes(name, inner)}}}
	}
	model := &onnxpb.ModelProto{Graph: graph("main"),
		Functions: []*onnxpb.FunctionProto{{Name: proto.String("F"),
			AttributeProto: attributes("default", graph("of the default")),
			Node: []*onnxpb.NodeProto{{OpType: proto.String("Op"),
				Attribute: attributes("body", graph("of the body"))}}}},
		TrainingInfo: []*onnxpb.TrainingInfoProto{{Initialization: graph("initialization"),
			Algorithm: graph("algorithm")}}}
	var names, places []string
	if err := eachTensor(model, func(place string, tensor *onnxpb.TensorProto) error {
		names, places = append(names, tensor.GetName()), append(places, place)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	const inGraph = 3 + 6 + 2 // initializers, tensors in attributes, and the graphs in those
	if want := 3*inGraph + 2*(6+2*inGraph); len(names) != want {
		t.Errorf("%d tensors are visited, want %d: %q", len(names), want, names)
	}
	for _, want := range []string{
		"main initializer: graph, initializer 0",
		"main initializer values: graph, sparse initializer 0",
		"main T: node 1 (Op), attribute one",
		"main inner: node 1 (Op), attribute one, initializer 0",
		"body T: function 0 (F), node 0 (Op), attribute one",
		"default T: function 0 (F), attribute one",
		"of the default tensors: function 0 (F), attribute one, node 1 (Op), attribute more",
		"algorithm sparses indices: training_info 0 algorithm, node 1 (Op), attribute more",
	} {
		name, place, _ := strings.Cut(want, ": ")
		if i := slices.Index(names, name); i < 0 || places[i] != place {
			t.Errorf("%s is not visited there: %q", want, places)
		}
	}
	bad := errors.New("bad")
	for i := range names {
		visits := 0
		err := eachTensor(model, func(string, *onnxpb.TensorProto) error {
			if visits++; visits == i+1 {
				return fmt.Errorf("%d: %w", i, bad)
			}
			return nil
		})
		if !errors.Is(err, bad) || visits != i+1 {
			t.Errorf("%s is bad: %v, after %d", names[i], err, visits)
		}
	}
}

// A long name is cut to 80 bytes and whole characters.
func TestShorten(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("a", 80):        strings.Repeat("a", 80),
		strings.Repeat("a", 81):        strings.Repeat("a", 80) + "…",
		strings.Repeat("a", 79) + "éé": strings.Repeat("a", 79) + "…",
		strings.Repeat("a", 78) + "éé": strings.Repeat("a", 78) + "é…",
		strings.Repeat("\x80", 100):    "…",
		strings.Repeat("a", 77) + "😀é": strings.Repeat("a", 77) + "…",
	} {
		if got := message.Shorten(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
