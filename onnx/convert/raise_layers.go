package convert

import (
	"errors"
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// raiser takes one node.
type raiser = func(*raising, *onnxpb.NodeProto) (operand, error)

// raiserOf returns what takes a node's operator.
func (r *raising) raiserOf(node *onnxpb.NodeProto) (raiser, error) {
	if domain := onnxgraph.Domain(node.GetDomain()); domain != "" {
		return nil, fmt.Errorf("a network has no layer for the operators of the domain %q",
			message.Shorten(domain))
	}
	raise, ok := r.raisers[node.GetOpType()]
	if !ok {
		return nil, fmt.Errorf("a network has no layer for the operator %s",
			message.Shorten(node.GetOpType()))
	}
	return raise, nil
}

// raisers maps an operator to what takes its nodes: layers that read themselves, and the others.
func raisers() map[string]raiser {
	all := map[string]raiser{
		"Conv":              (*raising).conv,
		"MaxPool":           (*raising).pool,
		"AveragePool":       (*raising).pool,
		"GlobalMaxPool":     (*raising).globalPool,
		"GlobalAveragePool": (*raising).globalPool,
		"ReduceMean":        (*raising).reduce,
		"ReduceMax":         (*raising).reduce,
		"Pad":               (*raising).pad,
		"Flatten":           (*raising).flatten,
		"Gemm":              (*raising).gemm,
		"MatMul":            (*raising).matMul,
		"Softmax":           (*raising).softmax,
		"LogSoftmax":        (*raising).logSoftmax,
		"Dropout":           (*raising).dropout,

		"BatchNormalization":    (*raising).batchNormalization,
		"LayerNormalization":    (*raising).layerNormalization,
		"GroupNormalization":    (*raising).groupNormalization,
		"InstanceNormalization": (*raising).instanceNormalization,

		"PRelu":      (*raising).prelu,
		"Clip":       (*raising).clip,
		"Min":        (*raising).clip,
		"Max":        (*raising).clip,
		"Erf":        (*raising).operation,
		"Sqrt":       (*raising).operation,
		"Reciprocal": (*raising).operation,
		"Pow":        (*raising).pow,

		"Add":    (*raising).arithmetic,
		"Sub":    (*raising).arithmetic,
		"Mul":    (*raising).arithmetic,
		"Div":    (*raising).arithmetic,
		"Sum":    (*raising).sum,
		"Concat": (*raising).concat,

		"Identity":  (*raising).identity,
		"Cast":      (*raising).cast,
		"CastLike":  (*raising).castLike,
		"Expand":    (*raising).expand,
		"Constant":  (*raising).constant,
		"Reshape":   (*raising).reshape,
		"Transpose": (*raising).transpose,
		"Squeeze":   (*raising).squeeze,
		"Unsqueeze": (*raising).unsqueeze,
		"Shape":     (*raising).shapeOperator,
		"Gather":    (*raising).gather,
		"Slice":     (*raising).slice,
	}
	for operator, layer := range builder.Importers() {
		all[operator] = single(layer)
	}
	return all
}

func (r *raising) flatten(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.unsettled(node, 0)
	if err != nil {
		return operand{}, err
	}
	axis, err := r.call(node).axis(1, len(v.dims)+1, len(v.dims)+1)
	if err != nil {
		return operand{}, err
	}
	if axis != 1 {
		return operand{}, fmt.Errorf("axis is %d; a network keeps the images of a batch apart, "+
			"axis 1",
			axis)
	}
	return r.vector(v, true)
}

// vector makes a vector of features of a map. Of what is one already it makes
// another if it is told to.
func (r *raising) vector(v view, always bool) (operand, error) {
	flat := func(of int, raw bool) operand {
		return operand{view: &view{of: of, raw: raw, dims: []axis{v.walks()}}}
	}
	if v.raw && len(r.raw) == 1 && !always {
		return flat(inputPlace, true), nil
	}
	v, err := r.settled(v, false)
	if err != nil {
		return operand{}, err
	}
	if len(r.shapeOf(v.of)) == 1 && !always {
		return flat(v.of, false), nil
	}
	place, err := r.add(item{layer: builder.Flatten{}, inputs: []int{v.of}})
	return flat(place, false), err
}

// gemm is α·x·W + β·b, with W transposed or not.
func (r *raising) gemm(node *onnxpb.NodeProto) (operand, error) {
	c := r.call(node)
	if c.integer("transA", 0) != 0 {
		return operand{}, errors.New("transA is 1; a network keeps the images of a batch apart")
	}
	weight, err := r.constantInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	var bias *array
	if message.Input(node, 2) != "" {
		if bias, err = r.constantInput(node, 2); err != nil {
			return operand{}, err
		}
	}
	return r.dense(node, weight, c.integer("transB", 0) == 1, bias, c.number("alpha", 1),
		c.number("beta", 1))
}

func (r *raising) matMul(node *onnxpb.NodeProto) (operand, error) {
	weight, err := r.constantInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	return r.dense(node, weight, false, nil, 1, 1)
}

// dense appends a dense layer over a vector, or over the channels at each position
// of a map whose channels are the last dimension. The bias may be a number, a vector
// or a row, or nil.
func (r *raising) dense(node *onnxpb.NodeProto, weight *array, transposed bool, bias *array, alpha,
	beta float32) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	if len(v.dims) == 0 {
		return operand{}, errors.New("its input 0 is one number for each image; a dense layer " +
			"takes a vector")
	}
	if len(weight.dims) != 2 {
		return operand{}, fmt.Errorf("its input 1 is %v; a dense layer's weight is a matrix",
			builder.Shape(weight.dims))
	}
	inputs, units := weight.dims[0], weight.dims[1]
	if transposed {
		inputs, units = units, inputs
	}
	last, leading := v.dims[len(v.dims)-1], v.dims[:len(v.dims)-1]
	if inputs != last.size() {
		return operand{}, fmt.Errorf("its weight is for %d features, but there are %d",
			inputs, last.size())
	}
	shape := r.shapeOf(v.of)
	area := shape.Elements() / shape[0]
	switch {
	case len(shape) == 1 && axis(slices.Concat(leading...)).size() == 1:
	case len(v.dims) == 1:
		return operand{}, fmt.Errorf("its input 0 is %v for each image; a dense layer takes a "+
			"vector of features",
			shape)
	case len(shape) != 3 || inputs != shape[0] || !last.across(area) ||
		!axis(slices.Concat(leading...)).within(area):
		return operand{}, fmt.Errorf("its input 0 is %v for each image; a dense layer takes a "+
			"vector of features, or the channels at each position of a map",
			builder.Shape(v.sizes()))
	}
	tensors := [][]float32{make([]float32, len(weight.data))}
	places := order(last)
	for out := range units {
		for in := range inputs {
			value := weight.data[in*units+out]
			if transposed {
				value = weight.data[out*inputs+in]
			}
			tensors[0][out*inputs+int(places[in])/area] = alpha * value
		}
	}
	if bias != nil {
		values, err := biasOf(bias, units, beta)
		if err != nil {
			return operand{}, err
		}
		tensors = append(tensors, values)
	}
	names := r.weightNames(weight.name, "weight")
	if bias != nil {
		names = append(names, r.weightNames(bias.name, "bias")...)
	}
	layer := builder.Dense{Units: units, NoBias: bias == nil}
	place, err := r.add(item{layer: layer, names: names, inputs: []int{v.of}, tensors: tensors})
	if err != nil {
		return operand{}, err
	}
	given := view{of: place, dims: slices.Clone(leading)}
	return operand{view: &view{of: place, dims: append(given.dims, plainView(place, []int{units}).
		spread(area)...)}}, nil
}

// spread multiplies all strides.
func (v view) spread(factor int) []axis {
	dims := make([]axis, len(v.dims))
	for i, dim := range v.dims {
		dims[i] = dim.spread(factor)
	}
	return dims
}

// biasOf is Gemm's third input as one value for each unit.
func biasOf(bias *array, units int, beta float32) ([]float32, error) {
	values := make([]float32, units)
	switch rank := len(bias.dims); {
	case len(bias.data) == 1:
		for i := range values {
			values[i] = beta * bias.data[0]
		}
	case len(bias.data) == units && bias.dims[rank-1] == units:
		for i, value := range bias.data {
			values[i] = beta * value
		}
	default:
		return nil, fmt.Errorf("its bias is %v; a dense layer of %d units has one value for each",
			builder.Shape(bias.dims), units)
	}
	return values, nil
}

func (r *raising) softmax(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	otherwise := int64(-1)
	if r.opset < 13 {
		otherwise = 1
	}
	axis, err := r.call(node).axis(otherwise, len(v.dims)+1, len(v.dims))
	switch {
	case err != nil:
		return operand{}, err
	case len(v.dims) != 1 || axis != 1:
		return operand{}, fmt.Errorf("axis is %d of %d dimensions; Softmax is over a vector of "+
			"logits, axis 1",
			axis, len(v.dims)+1)
	case !v.isPlain():
		return operand{}, errors.New("it takes rearranged logits; a network cannot end so")
	}
	return r.layer(builder.Softmax{}, []int{v.of})
}

// logSoftmax is refused: training needs the logits before it, and the builder's
// network of probabilities ends in Softmax.
func (r *raising) logSoftmax(node *onnxpb.NodeProto) (operand, error) {
	return operand{}, fmt.Errorf("a network has no layer for the operator LogSoftmax; name its "+
		"input %q as the output that the network ends in: the logits, of the same labels and the same loss",
		message.Shorten(message.Input(node, 0)))
}

// dropout keeps the layer, with its probability, for training on.
func (r *raising) dropout(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	ratio := r.call(node).number("ratio", 0.5)
	if message.Input(node, 1) != "" {
		given, err := r.constantInput(node, 1)
		if err != nil {
			return operand{}, err
		}
		if len(given.data) != 1 {
			return operand{}, fmt.Errorf("its ratio has %d values", len(given.data))
		}
		ratio = given.data[0]
	}
	if name := message.Input(node, 2); name != "" {
		mode := r.values[name].tensor
		if mode == nil || !isFalse(mode) {
			return operand{}, errors.New("training_mode is not the constant false: export the " +
				"model for evaluation")
		}
	}
	return r.same(v, item{layer: builder.Dropout{P: decimal(ratio)}})
}

// isFalse reports whether a tensor is one boolean, false.
func isFalse(tensor *onnxpb.TensorProto) bool {
	if onnxpb.TensorProto_DataType(tensor.GetDataType()) != onnxpb.TensorProto_BOOL {
		return false
	}
	return len(tensor.RawData) == 1 && tensor.RawData[0] == 0 || len(tensor.Int32Data) == 1 &&
		tensor.Int32Data[0] == 0
}
