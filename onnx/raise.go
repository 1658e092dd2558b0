package onnx

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"slipway/builder"
	"slipway/onnx/onnxpb"
)

// ToNetwork is FromNetwork backwards: it returns the network that the model
// computes, and its weights, to evaluate or to train on. output names the output
// that the network ends in, or a value inside that a node makes; it may be empty
// where only one output is float32.
//
// A model of FromNetwork gives the layers and names that it was made of, but for
// Dropout, which an export leaves out, and exports to the same bytes again. Models
// made elsewhere, whose network is called as their file, are taken where a chain of the builder's layers computes the
// same, as those of PyTorch's two exporters, tf2onnx and skl2onnx do for small
// classifiers:
//
//   - Conv, Relu, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, Flatten,
//     Gemm, MatMul, Softmax and Dropout become layers, and ReduceMean over a whole
//     map a pooling;
//   - BatchNormalization, and Add, Sub, Mul and Div with a constant per channel,
//     are folded into the Conv, Gemm or MatMul before or after them;
//   - Reshape, Transpose, Squeeze and Unsqueeze are followed: a dense layer that
//     reads a map flattened channels last gets its columns in the order C, H, W;
//   - Constant, Identity, Cast, and what computes a shape (Shape, Gather, Slice,
//     Concat …) are evaluated.
//
// The network's input is C×H×W or F, also where the model takes N×H×W×C. Anything
// else is an error that names the node, its operator and what cannot be expressed;
// nodes that the output does not depend on are ignored.
func ToNetwork(m *Model, output string) (*builder.Network, builder.Weights, error) {
	if err := m.Check(); err != nil {
		return nil, nil, err
	}
	fail := func(err error) (*builder.Network, builder.Weights, error) {
		return nil, nil, fmt.Errorf("%s: as a network: %w", m.label(), err)
	}
	r := &raising{
		graph:  m.Proto.GetGraph(),
		opset:  m.Opset(""),
		own:    m.Proto.GetProducerName() == ProducerName,
		values: make(map[string]operand),
		taken:  make(map[string]bool),
		name:   networkName(m.GraphName()),
	}
	if !r.own && m.path != "" {
		// Exporters call every graph main_graph, or the like.
		r.name = networkName(strings.TrimSuffix(filepath.Base(m.path), ".onnx"))
	}
	name, err := floatOutput(m, output)
	if err != nil {
		return fail(err)
	}
	if err := r.begin(m.Inputs()); err != nil {
		return fail(err)
	}
	needed := neededNodes(r.graph, name)
	for i, node := range r.graph.GetNode() {
		if !needed[i] {
			continue
		}
		r.at = describeNode(i, node)
		if err := r.node(node); err != nil {
			return fail(fmt.Errorf("%s: %w", r.at, err))
		}
	}
	network, weights, err := r.finish(name)
	if err != nil {
		return fail(err)
	}
	return network, weights, nil
}

// floatOutput returns the name of the output that the network ends in.
func floatOutput(m *Model, name string) (string, error) {
	var floats, all []string
	for _, value := range m.Outputs() {
		all = append(all, fmt.Sprintf("%q", shorten(value.Name)))
		if name == value.Name {
			return name, nil
		}
		if value.Type == onnxpb.TensorProto_FLOAT {
			floats = append(floats, value.Name)
		}
	}
	made := func(node *onnxpb.NodeProto) bool { return slices.Contains(node.GetOutput(), name) }
	switch {
	case name != "" && slices.ContainsFunc(m.Proto.GetGraph().GetNode(), made):
		return name, nil
	case name != "":
		return "", fmt.Errorf("it has no output %q; there are %s", shorten(name), strings.Join(all, ", "))
	case len(floats) != 1:
		return "", fmt.Errorf("%d of its outputs are float32; name the one that the network ends in: %s", len(floats), strings.Join(all, ", "))
	}
	return floats[0], nil
}

// neededNodes marks the nodes that the value depends on.
func neededNodes(graph *onnxpb.GraphProto, name string) []bool {
	nodes := graph.GetNode()
	wanted, needed := map[string]bool{name: true}, make([]bool, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(nodes[i].GetOutput(), func(output string) bool { return wanted[output] }) {
			continue
		}
		needed[i] = true
		for _, input := range nodes[i].GetInput() {
			wanted[input] = true
		}
	}
	delete(wanted, "")
	return needed
}

// raising turns the nodes of a graph into layers, one after the other.
type raising struct {
	graph  *onnxpb.GraphProto
	opset  int64
	own    bool   // the model is of FromNetwork
	name   string // the network's
	at     string // the node under way, for errors
	values map[string]operand

	raw    []int // the dimensions of the model's input without the batch
	batch  int64 // the batch dimension where it is fixed, else 0
	input  builder.Shape
	layers []raised
	shape  builder.Shape // what the layers so far give for one example
	stage  int           // counts the layers and what was folded into them
	affine *affine       // what is still to be folded into the next layer
	taken  map[string]bool
}

// raised is a layer and, where it has parameters, their values: weight is
// O×I×KH×KW or Out×In, bias O or Out.
type raised struct {
	layer        builder.Layer
	weight, bias []float32
}

// operand is what is known of a value, one of these: the data that flows through
// the network, a constant as it is in the file or computed of some, or a shape.
type operand struct {
	flow   *flow
	tensor *onnxpb.TensorProto
	array  *array
	sizes  *sizes
}

// flow is the data that flows through the network, as the graph sees it: the
// layers' output with other dimensions or in another order.
type flow struct {
	stage int   // raising.stage when it was made; a later one has left it behind
	dims  []int // of one example, without the batch
	// order[j] is the place, in the layers' output, of element j; nil where that
	// is j itself. Before the first layer it is the place in the model's input.
	order []int32
}

// array is a constant of float32 in row-major order.
type array struct {
	dims []int
	data []float32
}

// maxRaised bounds the elements of an example that is rearranged, so that a few
// dimensions in a hostile file cannot ask for all memory.
const maxRaised = 1 << 24

// begin declares the graph's initializers and its one input.
func (r *raising) begin(inputs []Value) error {
	for _, tensor := range r.graph.GetInitializer() {
		r.values[tensor.GetName()] = operand{tensor: tensor}
	}
	if len(inputs) != 1 {
		return fmt.Errorf("it takes %d inputs; a network has one", len(inputs))
	}
	input := inputs[0]
	if input.Type != onnxpb.TensorProto_FLOAT && input.Type != onnxpb.TensorProto_UINT8 {
		return fmt.Errorf("its input %q is %v; a network takes float32", shorten(input.Name), input)
	}
	if !input.HasShape || len(input.Dims) < 2 || len(input.Dims) > 4 {
		return fmt.Errorf("its input %q is %v; N×C×H×W, N×H×W×C, N×H×W or N×features is needed", shorten(input.Name), input)
	}
	if first := input.Dims[0]; first.Known() && first.Size > 0 {
		r.batch = first.Size
	}
	elements := int64(1)
	for _, dim := range input.Dims[1:] {
		if !dim.Known() || dim.Size < 1 {
			return fmt.Errorf("its input %q is %v; all dimensions but the batch must be numbers: export it with a fixed image size", shorten(input.Name), input)
		}
		if dim.Size > maxRaised/elements {
			return fmt.Errorf("its input %q is %v; an example of more than %d values is not taken", shorten(input.Name), input, maxRaised)
		}
		elements *= dim.Size
		r.raw = append(r.raw, int(dim.Size))
	}
	r.values[input.Name] = operand{flow: &flow{dims: r.raw}}
	return nil
}

// finish makes the network of the layers, which must end in the value.
func (r *raising) finish(output string) (*builder.Network, builder.Weights, error) {
	last := r.values[output]
	if last.flow == nil {
		return nil, nil, fmt.Errorf("its output %q does not depend on its input", shorten(output))
	}
	if len(r.layers) == 0 {
		// Nothing but Identity, as FromNetwork writes a network of Dropout alone.
		if _, err := r.start(last.flow, false); err != nil {
			return nil, nil, err
		}
		name := r.layerName(r.graph.GetNode()[len(r.graph.GetNode())-1], "")
		if err := r.emit(raised{layer: builder.Dropout{Name: name}}); err != nil {
			return nil, nil, err
		}
		last.flow = &flow{stage: r.stage, dims: last.flow.dims, order: last.flow.order}
	}
	switch {
	case r.affine != nil:
		return nil, nil, fmt.Errorf("%s: no Conv, Gemm or MatMul comes before or after it that it could be folded into", r.affine.at)
	case last.flow.stage != r.stage:
		return nil, nil, fmt.Errorf("its output %q is not the end of the chain of layers", shorten(output))
	case last.flow.order != nil || !slices.Equal(last.flow.dims, r.shape):
		return nil, nil, fmt.Errorf("its output %q is the last layer's output %v rearranged to %v; a network cannot end so", shorten(output), r.shape, builder.Shape(last.flow.dims))
	}
	layers := make([]builder.Layer, len(r.layers))
	for i, layer := range r.layers {
		layers[i] = layer.layer
	}
	network, err := builder.New(r.name, r.input, layers...)
	if err != nil {
		return nil, nil, err
	}
	var weights builder.Weights
	for i, node := range network.Nodes() {
		for j, parameter := range node.Tensors {
			data := [][]float32{r.layers[i].weight, r.layers[i].bias}[j]
			weights = append(weights, builder.Tensor{Name: parameter.Name, Shape: parameter.Shape, Data: data})
		}
	}
	weights, err = network.CheckWeights(weights)
	return network, weights, err
}

// emit appends a layer.
func (r *raising) emit(layer raised) error {
	step, err := builder.New("step", r.shape, layer.layer)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the place in a network of one layer
		}
		return err
	}
	if n := len(r.layers); n > 0 {
		if _, ended := r.layers[n-1].layer.(builder.Softmax); ended {
			return errors.New("it follows Softmax, which may only come last")
		}
	}
	r.layers = append(r.layers, layer)
	r.shape = step.Output()
	r.stage++
	return nil
}

var namePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// networkName makes a network's name of a graph's.
func networkName(graph string) string {
	name := strings.Map(func(c rune) rune {
		if namePattern.MatchString("a" + string(c)) {
			return c
		}
		return '_'
	}, shorten(graph))
	if !namePattern.MatchString(name) {
		return "network"
	}
	return name
}

// layerName finds a name for a node's layer: that of its weight without
// ".weight", as PyTorch has it, or the module in a node's name such as
// /pool1/MaxPool, or the node's own if the model is of FromNetwork. It is empty
// where none can be used or it is taken: the builder makes one up then.
func (r *raising) layerName(node *onnxpb.NodeProto, weight string) string {
	var candidates []string
	if r.own {
		candidates = append(candidates, node.GetName())
	}
	if stem, ok := strings.CutSuffix(weight, ".weight"); ok {
		candidates = append(candidates, strings.ReplaceAll(stem, ".", "_"))
	}
	if parts := strings.Split(node.GetName(), "/"); len(parts) > 1 {
		candidates = append(candidates, parts[len(parts)-2])
	}
	for _, name := range candidates {
		if len(name) <= 80 && namePattern.MatchString(name) && !r.taken[name] {
			r.taken[name] = true
			return name
		}
	}
	return ""
}
