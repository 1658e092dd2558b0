package onnx

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// FoldNormalization returns the model with each BatchNormalization that follows a Conv, and nothing
// else does, computed by the Conv's own weight and bias:
//
//	y = (Σ x·w + b − mean)·f + bias = Σ x·(w·f) + ((b − mean)·f + bias), f = scale/√(variance + epsilon).
//
// It answers alike but for rounding. Where weight, bias and statistics are not all float32
// initializers, or a node is in training mode, it stays. The model is one that passes Check; it
// shares nothing with the new one that either may change.
func FoldNormalization(m *Model) (*Model, error) {
	folded := &Model{Proto: proto.CloneOf(m.Proto), path: m.path}
	graph := folded.Proto.GetGraph()
	f := &folding{graph: graph, names: namesOf(graph), uses: make(map[string]int)}
	makers := make(map[string]*onnxpb.NodeProto)
	for _, node := range graph.GetNode() {
		for _, input := range node.GetInput() {
			f.uses[input]++
		}
		for _, output := range node.GetOutput() {
			makers[output] = node
		}
	}
	for _, output := range graph.GetOutput() {
		f.uses[output.GetName()]++
	}
	gone := make(map[*onnxpb.NodeProto]bool)
	for _, node := range graph.GetNode() {
		if !isNormalization(node) {
			continue
		}
		conv := makers[node.GetInput()[0]]
		if conv.GetOpType() != "Conv" || onnxgraph.Domain(conv.GetDomain()) != "" ||
			f.uses[node.GetInput()[0]] != 1 {
			continue
		}
		if f.fold(conv, node) {
			gone[node] = true
		}
	}
	if len(gone) == 0 {
		return folded, nil
	}
	graph.Node = slices.DeleteFunc(graph.Node, func(node *onnxpb.NodeProto) bool { return gone[node] })
	graph.Initializer = slices.DeleteFunc(graph.Initializer, func(t *onnxpb.TensorProto) bool {
		return f.uses[t.GetName()] == 0
	})
	if err := folded.Check(); err != nil {
		return nil, fmt.Errorf("%s: fold BatchNormalization: %w", m.label(), err)
	}
	return folded, nil
}

// isNormalization reports whether a node is a BatchNormalization that only evaluates.
func isNormalization(node *onnxpb.NodeProto) bool {
	given := func(name string) bool { return name != "" }
	return node.GetOpType() == "BatchNormalization" &&
		onnxgraph.Domain(node.GetDomain()) == "" &&
		len(node.GetInput()) == 5 && !slices.ContainsFunc(node.GetOutput()[1:], given) &&
		message.Attribute(node, "training_mode").GetI() == 0 &&
		(message.Attribute(node, "spatial") == nil || message.Attribute(node, "spatial").GetI() == 1)
}

// FoldedConv returns the weight and the bias of a Conv that computes the BatchNormalization behind
// it, too, as FoldNormalization has it: of the Conv's own, O×… and O, and of O numbers each of the
// four others.
func FoldedConv(weight, bias, scale, shift, mean, variance []float32, epsilon float64) (w,
	b []float32) {
	w, b = make([]float32, len(weight)), make([]float32, len(bias))
	size := len(weight) / len(bias)
	for o := range b {
		factor := float64(scale[o]) / math.Sqrt(float64(variance[o])+epsilon)
		for i := o * size; i < (o+1)*size; i++ {
			w[i] = float32(float64(weight[i]) * factor)
		}
		centred := float64(bias[o]) - float64(mean[o])
		b[o] = float32(centred*factor + float64(shift[o]))
	}
	return w, b
}

type folding struct {
	graph *onnxpb.GraphProto
	names names
	uses  map[string]int // by nodes and as outputs
}

// floats returns an initializer's values, nil if there is none of that name and of float32.
func (f *folding) floats(name string) (*onnxpb.TensorProto, []float32) {
	called := func(v *onnxpb.ValueInfoProto) bool { return v.GetName() == name }
	if slices.ContainsFunc(f.graph.GetInput(), called) {
		return nil, nil // a default that a caller may replace
	}
	for _, tensor := range f.graph.GetInitializer() {
		isFloat := onnxpb.TensorProto_DataType(tensor.GetDataType()) == onnxpb.TensorProto_FLOAT
		if tensor.GetName() == name && isFloat {
			values, err := Floats(tensor)
			if err != nil {
				return nil, nil
			}
			return tensor, values
		}
	}
	return nil, nil
}

// fold gives the Conv the normalization's part, and its output's name.
func (f *folding) fold(conv, normalization *onnxpb.NodeProto) bool {
	weight, values := f.floats(conv.GetInput()[1])
	if weight == nil || len(weight.GetDims()) < 3 || weight.GetDims()[0] < 1 {
		return false
	}
	channels := int(weight.GetDims()[0])
	bias := make([]float32, channels)
	hasBias := len(conv.GetInput()) > 2 && conv.GetInput()[2] != ""
	if hasBias {
		_, bias = f.floats(conv.GetInput()[2])
	}
	parameters := [][]float32{bias}
	for _, name := range normalization.GetInput()[1:] {
		_, of := f.floats(name)
		parameters = append(parameters, of)
	}
	for _, p := range parameters {
		if len(p) != channels {
			return false
		}
	}
	epsilon := 1e-5
	if a := message.Attribute(normalization, "epsilon"); a != nil {
		epsilon = float64(a.GetF())
	}
	w, b := FoldedConv(values, parameters[0], parameters[1], parameters[2], parameters[3],
		parameters[4], epsilon)
	stored := conv.GetInput()[1]
	inputs := []string{conv.GetInput()[0], f.replace(stored, stored, weight.GetDims(), w)}
	old := ""
	if hasBias {
		old = conv.GetInput()[2]
	}
	// Where there was no bias, the normalization's summand gives the name.
	name := normalization.GetInput()[2]
	inputs = append(inputs, f.replace(old, name, []int64{int64(channels)}, b))
	for _, input := range normalization.GetInput()[1:] {
		f.uses[input]--
	}
	conv.Input, conv.Output = inputs, normalization.GetOutput()[:1]
	return true
}

// replace puts values into the place of an initializer that this node alone uses, or adds them
// under a name like the one given, which it returns.
func (f *folding) replace(old, like string, dims []int64, values []float32) string {
	if old != "" {
		f.uses[old]--
		if f.uses[old] == 0 {
			f.uses[old] = 1
			tensor, _ := f.floats(old)
			proto.Reset(tensor)
			proto.Merge(tensor, rawTensor(old, onnxpb.TensorProto_FLOAT, dims, rawFloats(values...)))
			return old
		}
	}
	name := f.names.fresh(like + ".folded")
	f.uses[name] = 1
	f.graph.Initializer = append(f.graph.Initializer,
		rawTensor(name, onnxpb.TensorProto_FLOAT, dims, rawFloats(values...)))
	return name
}
