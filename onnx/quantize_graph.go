package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// quantizable is a node whose sums of products can be taken of integers.
type quantizable struct {
	node *onnxpb.NodeProto
	axis int // of the weight, along which each channel has its scale
}

// quantizing is what is to be quantized of a graph.
type quantizing struct {
	model *Model
	nodes []quantizable
	// roots has, for each value that is quantized, the value whose range it has:
	// itself, or the one that it only moves or chooses from.
	roots map[string]string
	order []string // the roots, as they are met
	// readers has the nodes that read the quantized value.
	readers map[string][]*onnxpb.NodeProto
}

// keepsValues lists operators whose first input holds all values of the output, so
// that both are quantized alike.
func keepsValues(operator string) bool {
	switch operator {
	case "MaxPool", "GlobalMaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze",
		"Identity":
		return true
	}
	return false
}

// averages lists operators that runtimes know how to compute of integers though
// their output has other values than their input.
func averages(operator string) bool {
	return operator == "AveragePool" || operator == "GlobalAveragePool"
}

// joins reports whether a node computes of several values what runtimes know how to compute of
// integers: the sums of residual blocks, the products of squeeze-and-excitation, and Concat. None
// of the values is a constant.
func (q *quantizing) joins(node *onnxpb.NodeProto, makers map[string]*onnxpb.NodeProto) bool {
	switch node.GetOpType() {
	case "Add", "Mul", "Concat":
	default:
		return false
	}
	for _, input := range node.GetInput() {
		if _, constant := q.model.Initializer(input); constant ||
			makers[input].GetOpType() == "Constant" {
			return false
		}
	}
	return onnxgraph.Domain(node.GetDomain()) == "" && len(node.GetInput()) > 1
}

// clamps lists operators that runtimes take for a bound of the integers that follow them.
func clamps(operator string) bool { return operator == "Relu" || operator == "Clip" }

// QuantizedValues returns the names of the values whose ranges Quantize must be
// told: the inputs of the convolutions and dense layers, or, where between one of
// these and the layer before it values are only moved or chosen from (MaxPool,
// Flatten), what the layer before gives; and what residual sums, products and Concat take on the
// way to such an input. BatchNormalization after Conv is folded before.
func QuantizedValues(m *Model) ([]string, error) {
	m, err := FoldNormalization(m)
	if err != nil {
		return nil, err
	}
	q, err := planQuantizing(m)
	if err != nil {
		return nil, err
	}
	return q.order, nil
}

func planQuantizing(m *Model) (*quantizing, error) {
	fail := func(err error) (*quantizing, error) {
		return nil, fmt.Errorf("%s: int8: %w", m.label(), err)
	}
	if opset := m.Opset(""); opset < 13 {
		return fail(fmt.Errorf("its opset is %d; scales for each channel need 13: export it with that",
			opset))
	}
	q := &quantizing{model: m, roots: make(map[string]string),
		readers: make(map[string][]*onnxpb.NodeProto)}
	graph := m.Proto.GetGraph()
	makers, uses := make(map[string]*onnxpb.NodeProto), make(map[string]int)
	for _, node := range graph.GetNode() {
		for _, output := range node.GetOutput() {
			makers[output] = node
		}
		for _, input := range node.GetInput() {
			uses[input]++
		}
	}
	for _, node := range graph.GetNode() {
		axis, ok := q.channelAxis(node, uses)
		if !ok {
			continue
		}
		q.nodes = append(q.nodes, quantizable{node, axis})
		q.mark(node.GetInput()[0], node, makers)
	}
	if len(q.nodes) == 0 {
		return fail(
			errors.New(
				"it has no Conv, Gemm or MatMul with weights of its own; there is nothing to quantize"))
	}
	return q, nil
}

// channelAxis tells whether a node's products can be quantized, and along which axis
// of the weight the channels lie. Weight and bias are initializers of this node's own.
func (q *quantizing) channelAxis(node *onnxpb.NodeProto, uses map[string]int) (axis int, ok bool) {
	inputs := node.GetInput()
	own := func(i int) *onnxpb.TensorProto {
		if i >= len(inputs) || uses[inputs[i]] != 1 {
			return nil
		}
		tensor, _ := q.model.Initializer(inputs[i])
		if onnxpb.TensorProto_DataType(tensor.GetDataType()) != onnxpb.TensorProto_FLOAT {
			return nil
		}
		return tensor
	}
	weight := own(1)
	if onnxgraph.Domain(node.GetDomain()) != "" || weight == nil {
		return 0, false
	}
	rank := len(weight.GetDims())
	switch node.GetOpType() {
	case "Conv":
		ok = rank >= 3
	case "MatMul":
		axis, ok = 1, rank == 2
	case "Gemm":
		attribute := func(name string) *onnxpb.AttributeProto { return message.Attribute(node, name) }
		plain := func(name string) bool { a := attribute(name); return a == nil || a.GetF() == 1 }
		if attribute("transB").GetI() == 0 {
			axis = 1
		}
		ok = rank == 2 && attribute("transA").GetI() == 0 && plain("alpha") && plain("beta")
	}
	if ok && len(inputs) > 2 && inputs[2] != "" {
		bias := own(2)
		ok = bias != nil && len(bias.GetDims()) == 1 && bias.GetDims()[0] == weight.GetDims()[axis]
	}
	return axis, ok
}

// mark has a value quantized for a node that reads it, and with it those that it is
// only moved from: a runtime joins a layer's output, as integers, with the next one's
// input only where all between is integers, too.
func (q *quantizing) mark(value string, reader *onnxpb.NodeProto,
	makers map[string]*onnxpb.NodeProto) (root string) {
	if !slices.Contains(q.readers[value], reader) {
		q.readers[value] = append(q.readers[value], reader)
	}
	if root, ok := q.roots[value]; ok {
		return root
	}
	root = value
	maker := makers[value]
	switch {
	case maker == nil || onnxgraph.Domain(maker.GetDomain()) != "" ||
		maker.GetOutput()[0] != value:
	case keepsValues(maker.GetOpType()):
		root = q.mark(maker.GetInput()[0], maker, makers)
	case averages(maker.GetOpType()):
		q.mark(maker.GetInput()[0], maker, makers)
	default:
		join := maker
		if clamps(maker.GetOpType()) {
			join = makers[maker.GetInput()[0]]
		}
		if join != nil && q.joins(join, makers) {
			for _, input := range join.GetInput() {
				q.mark(input, join, makers)
			}
		}
	}
	q.roots[value] = root
	if root == value {
		q.order = append(q.order, value)
	}
	return root
}

// Quantize returns the model with its convolutions and dense layers computed of
// 8-bit integers, in the form that ONNX calls QDQ: a QuantizeLinear and a
// DequantizeLinear behind each other stand before every input of such a layer, and
// weights and biases are stored as integers before a DequantizeLinear. A runtime that
// knows the pattern computes with the integers; another one computes with float32
// what the integers stand for. Scores stay float32.
//
// Weights become int8, −64…64, with a scale for each output channel; activations
// uint8, by the ranges of QuantizedValues (see quantizeRange); biases int32 with the
// scale of the products. The model is one that passes Check, of opset 13 or newer;
// it shares nothing with the new one that either may change.
func Quantize(m *Model, ranges map[string]Range) (*Model, error) {
	copied, err := FoldNormalization(m)
	if err != nil {
		return nil, err
	}
	q, err := planQuantizing(copied)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*Model, error) { return nil, fmt.Errorf("%s: int8: %w", m.label(), err) }
	graph := copied.Proto.GetGraph()
	b := &quantizedGraph{graph: graph, names: namesOf(graph), activations: make(map[string]activation)}
	for _, name := range q.order {
		seen, ok := ranges[name]
		if !ok {
			return fail(fmt.Errorf("the range of the value %q is not given", message.Shorten(name)))
		}
		if err := b.activation(name, seen); err != nil {
			return fail(fmt.Errorf("the value %q: %w", message.Shorten(name), err))
		}
	}
	for _, item := range q.nodes {
		if err := b.weights(item, b.activations[q.roots[item.node.GetInput()[0]]].Scale); err != nil {
			return fail(fmt.Errorf("the node %q: %w", message.Shorten(item.node.GetName()), err))
		}
	}
	b.pairs(q)
	copied.path = ""
	if err := copied.Check(); err != nil {
		return fail(err)
	}
	return copied, nil
}

// activation is how a value is quantized, and the names of its parameters.
type activation struct {
	quantization
	scale, zeroPoint string
}

// quantizedGraph is a graph in the making.
type quantizedGraph struct {
	graph       *onnxpb.GraphProto
	names       names
	constants   []*onnxpb.NodeProto // what makes weights and biases of integers
	activations map[string]activation
}

// activation adds the parameters of a value.
func (b *quantizedGraph) activation(name string, seen Range) error {
	q, err := quantizeRange(seen)
	if err != nil {
		return err
	}
	a := activation{q, b.names.fresh(name + ".scale"), b.names.fresh(name + ".zero_point")}
	b.graph.Initializer = append(b.graph.Initializer,
		rawTensor(a.scale, onnxpb.TensorProto_FLOAT, nil, rawFloats(q.Scale)),
		rawTensor(a.zeroPoint, onnxpb.TensorProto_UINT8, nil, []byte{byte(q.ZeroPoint)}))
	b.activations[name] = a
	return nil
}

// weights replaces a node's weight and bias by integers. input is the scale of what
// they are multiplied with.
func (b *quantizedGraph) weights(item quantizable, input float32) error {
	weight, values, err := b.initializer(item.node.GetInput()[1])
	if err != nil {
		return err
	}
	dims := weight.GetDims()
	channels := int(dims[item.axis])
	bias := make([]float32, channels)
	hasBias := len(item.node.GetInput()) > 2 && item.node.GetInput()[2] != ""
	if hasBias {
		if _, bias, err = b.initializer(item.node.GetInput()[2]); err != nil {
			return err
		}
	}
	// Channel c's weights are at c·step + i for i < step, and every channels·step on.
	step := 1
	for _, dim := range dims[item.axis+1:] {
		step *= int(dim)
	}
	scales, biasScales := make([]float32, channels), make([]float32, channels)
	raw, rawBias := make([]byte, len(values)), []byte(nil)
	for c := range channels {
		var own []float32
		for at := c * step; at < len(values); at += channels * step {
			own = append(own, values[at:at+step]...)
		}
		for _, w := range append(own, bias[c]) {
			if !(math.Abs(float64(w)) <= math.MaxFloat32) {
				return fmt.Errorf("channel %d has the weight or bias %v", c, w)
			}
		}
		scales[c] = quantizeWeights(own, bias[c], input)
		biasScales[c] = input * scales[c]
		q := quantization{Scale: scales[c]}
		for at := c * step; at < len(values); at += channels * step {
			for i, w := range values[at : at+step] {
				raw[at+i] = byte(int8(q.Quantize(w, -weightMax, weightMax)))
			}
		}
		// In float64: a bias may need more bits than float32 has.
		quotient := math.RoundToEven(float64(bias[c]) / float64(biasScales[c]))
		rawBias = binary.LittleEndian.AppendUint32(rawBias,
			uint32(int32(min(max(quotient, -biasMax), biasMax))))
	}
	axis := message.NewInteger("axis", int64(item.axis))
	b.dequantized(weight, onnxpb.TensorProto_INT8, dims, raw, scales, make([]byte, channels), axis)
	if hasBias {
		tensor, _, err := b.initializer(item.node.GetInput()[2])
		if err != nil {
			return err
		}
		b.dequantized(tensor, onnxpb.TensorProto_INT32, []int64{int64(channels)}, rawBias, biasScales,
			make([]byte, 4*channels), message.NewInteger("axis", 0))
	}
	return nil
}

func (b *quantizedGraph) initializer(name string) (*onnxpb.TensorProto, []float32, error) {
	i := slices.IndexFunc(b.graph.Initializer, func(t *onnxpb.TensorProto) bool {
		return t.GetName() == name
	})
	if i < 0 {
		return nil, nil, fmt.Errorf("there is no initializer %q", message.Shorten(name))
	}
	values, err := Floats(b.graph.Initializer[i])
	return b.graph.Initializer[i], values, err
}

// dequantized puts integers in an initializer's place, and a node that makes of them
// what is called as the initializer was. The scales are along the axis.
func (b *quantizedGraph) dequantized(tensor *onnxpb.TensorProto,
	elementType onnxpb.TensorProto_DataType, dims []int64, raw []byte, scales []float32,
	zeroPoints []byte, axis *onnxpb.AttributeProto) {
	name := tensor.GetName()
	stored, scale, zeroPoint := b.names.fresh(name+".quantized"), b.names.fresh(
		name+".scale"), b.names.fresh(name+".zero_point")
	perChannel := []int64{int64(len(scales))}
	proto.Reset(tensor)
	proto.Merge(tensor, rawTensor(stored, elementType, dims, raw))
	b.graph.Initializer = append(b.graph.Initializer,
		rawTensor(scale, onnxpb.TensorProto_FLOAT, perChannel, rawFloats(scales...)),
		rawTensor(zeroPoint, elementType, perChannel, zeroPoints))
	b.constants = append(b.constants, message.NewNode(b.names.fresh(name+".dequantize"),
		"DequantizeLinear", []string{stored, scale, zeroPoint}, name, axis))
}

// pairs puts QuantizeLinear and DequantizeLinear behind the values, and has their
// readers read what comes out.
func (b *quantizedGraph) pairs(q *quantizing) {
	var nodes []*onnxpb.NodeProto
	pair := func(value string) {
		root, ok := q.roots[value]
		if !ok {
			return
		}
		a := b.activations[root]
		integers, floats := b.names.fresh(value+".quantized"), b.names.fresh(value+".dequantized")
		nodes = append(nodes,
			message.NewNode(b.names.fresh(value+".quantize"), "QuantizeLinear",
				[]string{value, a.scale, a.zeroPoint}, integers),
			message.NewNode(b.names.fresh(value+".dequantize"), "DequantizeLinear",
				[]string{integers, a.scale, a.zeroPoint}, floats))
		for _, reader := range q.readers[value] {
			for i, input := range reader.Input {
				if input == value {
					reader.Input[i] = floats
				}
			}
		}
	}
	for _, input := range b.graph.GetInput() {
		pair(input.GetName())
	}
	for _, node := range b.graph.GetNode() {
		nodes = append(nodes, node)
		for _, output := range node.GetOutput() {
			pair(output)
		}
	}
	b.graph.Node = append(b.constants, nodes...)
}

func rawFloats(values ...float32) []byte {
	var raw []byte
	for _, value := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(value))
	}
	return raw
}
