package convert

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// ToNetwork is FromNetwork backwards: it returns the network that the model
// computes, and its weights, to evaluate or to train on. output names the output
// that the network ends in, or a value inside that a node makes; it may be empty
// where only one output is float32.
//
// A model of FromNetwork gives the layers and names that it was made of, but for
// Dropout and what else an export leaves out, and exports to the same bytes again.
// Models made elsewhere, whose network is called as their file, are taken where a
// graph of the builder's layers computes the same:
//
//   - operators that are a layer become it, and so do the several operators that
//     exporters write for one: x·Sigmoid(x) is SiLU, ReduceMean over a whole map
//     GlobalAvgPool, and a quotient of differences from a mean LayerNorm;
//   - BatchNormalization stays a BatchNorm, with its running statistics;
//   - Add, Sub, Mul and Div with a constant per channel are folded into the Conv,
//     Gemm or MatMul beside them; with none beside, or where the constant is a
//     parameter, they become a Scale or a frozen BatchNorm;
//   - Reshape, Transpose, Squeeze, Unsqueeze and Flatten are followed, so that a
//     graph of data N×H×W×C gives the same network as one of N×C×H×W;
//   - Constant, Identity, Cast, and what computes a shape (Shape, Gather, Slice,
//     Concat …) are evaluated.
//
// The network's input is C×H×W or F, also where the model takes N×H×W×C. What
// cannot be expressed is an error with each reason, its node and operator, which its
// Unwrap() []error lists where they are several; nodes that the output does not depend
// on are ignored.
func ToNetwork(m *onnx.Model, output string) (*builder.Network, builder.Weights, error) {
	if err := m.Check(); err != nil {
		return nil, nil, err
	}
	fail := func(err error) (*builder.Network, builder.Weights, error) {
		return nil, nil, fmt.Errorf("%s: as a network: %w", label(m), err)
	}
	r := newRaising(m)
	name, err := floatOutput(m, output)
	if err != nil {
		return fail(err)
	}
	if err := r.begin(m.Inputs()); err != nil {
		return fail(err)
	}
	needed := neededNodes(r.graph, name)
	for i, node := range r.graph.GetNode() {
		if needed[i] {
			r.step(i, node)
		}
	}
	if err := r.reasons.err(); err != nil {
		return fail(err)
	}
	network, weights, err := r.finish(name)
	if err != nil {
		return fail(err)
	}
	return network, weights, nil
}

// floatOutput returns the name of the output that the network ends in.
func floatOutput(m *onnx.Model, name string) (string, error) {
	var floats, all []string
	for _, value := range m.Outputs() {
		all = append(all, fmt.Sprintf("%q", message.Shorten(value.Name)))
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
		return "", fmt.Errorf("it has no output %q; there are %s",
			message.Shorten(name), strings.Join(all, ", "))
	case len(floats) != 1:
		return "", fmt.Errorf("%d of its outputs are float32; name the one that the network ends "+
			"in: %s",
			len(floats), strings.Join(all, ", "))
	}
	return floats[0], nil
}

// neededNodes marks the nodes that the value depends on.
func neededNodes(graph *onnxpb.GraphProto, name string) []bool {
	nodes := graph.GetNode()
	wanted, needed := map[string]bool{name: true}, make([]bool, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(nodes[i].GetOutput(), func(output string) bool {
			return wanted[output]
		}) {
			continue
		}
		needed[i] = true
		for _, input := range nodes[i].GetInput() {
			wanted[input] = true
		}
		delete(wanted, "")
	}
	return needed
}

// raising turns the nodes of a graph into items, one after the other, and those at
// last into layers.
type raising struct {
	graph   *onnxpb.GraphProto
	opset   int64
	own     bool   // the model is of FromNetwork
	name    string // the network's
	values  map[string]operand
	raisers map[string]raiser

	current *onnxpb.NodeProto // the node under way
	index   int               // its place in the graph
	at      string            // its description, for errors
	reasons reasons

	raw      []int // the dimensions of the model's input without the batch
	batch    int64 // the batch dimension where it is fixed, else 0
	input    builder.Shape
	rawLast  bool // the input is H×W×C in the model
	items    []item
	owners   []string // by node: the layer of a model of FromNetwork that it is of
	elements int64    // how many were looked at one by one, to stay within maxLooked
}

// operand is what is known of a value, one of these: data that is computed of the
// input, a constant as it is in the file or computed of some, or a shape. It is
// failed where the node that makes it was refused.
type operand struct {
	view   *view
	tensor *onnxpb.TensorProto
	array  *array
	sizes  *sizes
	failed bool
}

// array is a constant of float32 in row-major order. name is that of the tensor in
// the file that it was made of, empty if there was none, and rank that tensor's
// number of dimensions.
type array struct {
	name string
	rank int
	dims []int
	data []float32
}

const (
	// maxRaised bounds the elements of an example that is rearranged, so that a few
	// dimensions in a hostile file cannot ask for all memory.
	maxRaised = 1 << 24
	// maxLooked bounds the elements of all constants together that are held against
	// the data they are broadcast to, so that a file cannot ask for hours.
	maxLooked = 1 << 30
)

func newRaising(m *onnx.Model) *raising {
	r := &raising{
		graph:   m.Proto.GetGraph(),
		opset:   m.Opset(""),
		own:     m.Proto.GetProducerName() == ProducerName,
		values:  make(map[string]operand),
		raisers: raisers(),
		name:    networkName(m.GraphName()),
	}
	if !r.own && m.Path() != "" {
		// Exporters call every graph main_graph, or the like.
		r.name = networkName(strings.TrimSuffix(filepath.Base(m.Path()), ".onnx"))
	}
	if r.own {
		r.owners = ownersOf(r.graph.GetNode())
	}
	return r
}

// begin declares the graph's initializers and its one input.
func (r *raising) begin(inputs []onnx.Value) error {
	for _, tensor := range r.graph.GetInitializer() {
		r.values[tensor.GetName()] = operand{tensor: tensor}
	}
	if len(inputs) != 1 {
		return fmt.Errorf("it takes %d inputs; a network has one", len(inputs))
	}
	input := inputs[0]
	name := message.Shorten(input.Name)
	if input.Type != onnxpb.TensorProto_FLOAT && input.Type != onnxpb.TensorProto_UINT8 {
		return fmt.Errorf("its input %q is %v; a network takes float32", name, input)
	}
	if !input.HasShape || len(input.Dims) < 2 || len(input.Dims) > 4 {
		return fmt.Errorf("its input %q is %v; N×C×H×W, N×H×W×C, N×H×W or N×features is needed",
			name, input)
	}
	if first := input.Dims[0]; first.Known() && first.Size > 0 {
		r.batch = first.Size
	}
	elements := int64(1)
	for _, dim := range input.Dims[1:] {
		if !dim.Known() || dim.Size < 1 {
			return fmt.Errorf("its input %q is %v; all dimensions but the batch must be numbers: "+
				"export it with a fixed image size",
				name, input)
		}
		if dim.Size > maxRaised/elements {
			return fmt.Errorf("its input %q is %v; an example of more than %d values is not taken",
				name, input, maxRaised)
		}
		elements *= dim.Size
		r.raw = append(r.raw, int(dim.Size))
	}
	whole := plainView(inputPlace, r.raw)
	whole.raw = true
	r.values[input.Name] = operand{view: &whole}
	return nil
}

// step takes one node into the network, or evaluates it. What it refuses is a
// reason, and what depends on that is passed over but for operators that are
// refused whatever they are given.
func (r *raising) step(i int, node *onnxpb.NodeProto) {
	r.current, r.index, r.at = node, i, message.DescribeNode(i, node)
	raise, err := r.raiserOf(node)
	value := operand{failed: true}
	depends := slices.ContainsFunc(node.GetInput(), func(name string) bool {
		return r.values[name].failed
	})
	if err == nil && !depends {
		value, err = raise(r, node)
	}
	if err != nil {
		r.reasons.add(r.at, err)
		value = operand{failed: true}
	}
	// Second outputs (MaxPool's indices, Dropout's mask) stay unknown.
	for j, output := range node.GetOutput() {
		if j == 0 {
			r.values[output] = value
		} else if value.failed && output != "" {
			r.values[output] = value
		}
	}
}
