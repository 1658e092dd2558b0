package onnx

import (
	"errors"
	"fmt"

	"slipway/builder"
	"slipway/onnx/onnxpb"
)

// node takes one node into the network, or evaluates it.
func (r *raising) node(node *onnxpb.NodeProto) error {
	if domain := canonicalDomain(node.GetDomain()); domain != "" {
		return fmt.Errorf("a network has no layer for the operators of the domain %q", shorten(domain))
	}
	raise, ok := raisers()[node.GetOpType()]
	if !ok {
		return fmt.Errorf("a network has no layer for the operator %s", shorten(node.GetOpType()))
	}
	value, err := raise(r, node)
	if err != nil {
		return err
	}
	// Second outputs (MaxPool's indices, Dropout's mask) stay unknown.
	r.values[node.GetOutput()[0]] = value
	return nil
}

// raisers maps an operator to what takes its nodes.
func raisers() map[string]func(*raising, *onnxpb.NodeProto) (operand, error) {
	return map[string]func(*raising, *onnxpb.NodeProto) (operand, error){
		"Conv":               (*raising).conv,
		"Relu":               (*raising).relu,
		"MaxPool":            (*raising).pool,
		"AveragePool":        (*raising).pool,
		"GlobalMaxPool":      (*raising).globalPool,
		"GlobalAveragePool":  (*raising).globalPool,
		"Flatten":            (*raising).flatten,
		"Gemm":               (*raising).gemm,
		"MatMul":             (*raising).matMul,
		"Softmax":            (*raising).softmax,
		"LogSoftmax":         (*raising).logSoftmax,
		"ReduceMean":         (*raising).reduceMean,
		"Dropout":            (*raising).dropout,
		"BatchNormalization": (*raising).batchNormalization,
		"Add":                (*raising).arithmetic,
		"Sub":                (*raising).arithmetic,
		"Mul":                (*raising).arithmetic,
		"Div":                (*raising).arithmetic,
		"Identity":           (*raising).identity,
		"Cast":               (*raising).cast,
		"Constant":           (*raising).constant,
		"Reshape":            (*raising).reshape,
		"Transpose":          (*raising).transpose,
		"Squeeze":            (*raising).squeeze,
		"Unsqueeze":          (*raising).unsqueeze,
		"Shape":              (*raising).shapeOf,
		"Gather":             (*raising).gather,
		"Slice":              (*raising).slice,
		"Concat":             (*raising).concat,
	}
}

func (r *raising) relu(node *onnxpb.NodeProto) (operand, error) {
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	if view, err = r.start(view, false); err != nil {
		return operand{}, err
	}
	if r.affine != nil && (r.affine.shifts() || !r.affine.positive()) {
		return operand{}, r.affine.stuck("Relu")
	}
	if err := r.emit(raised{layer: builder.ReLU{Name: r.layerName(node, "")}}); err != nil {
		return operand{}, err
	}
	return operand{flow: &flow{stage: r.stage, dims: view.dims, order: view.order}}, nil
}

func (r *raising) flatten(node *onnxpb.NodeProto) (operand, error) {
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	axis, err := r.call(node).axis(1, len(view.dims)+1, len(view.dims)+1)
	if err != nil {
		return operand{}, err
	}
	if axis != 1 {
		return operand{}, fmt.Errorf("axis is %d; a network keeps the images of a batch apart, axis 1", axis)
	}
	return r.vector(node, view, true)
}

// vector makes a vector of features of a map. Of what is one already it makes
// another if it is told to.
func (r *raising) vector(node *onnxpb.NodeProto, view *flow, always bool) (operand, error) {
	features := []int{builder.Shape(view.dims).Elements()}
	if vector := r.input == nil && len(r.raw) == 1 || len(r.shape) == 1; vector && !always {
		return operand{flow: &flow{stage: r.stage, dims: features, order: view.order}}, nil
	}
	view, err := r.start(view, false)
	if err != nil {
		return operand{}, err
	}
	if r.affine != nil && len(r.shape) == 3 {
		r.affine.spread(r.shape[1] * r.shape[2])
	}
	if err := r.emit(raised{layer: builder.Flatten{Name: r.layerName(node, "")}}); err != nil {
		return operand{}, err
	}
	return operand{flow: &flow{stage: r.stage, dims: features, order: view.order}}, nil
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
	bias := &array{}
	if inputOf(node, 2) != "" {
		if bias, err = r.constantInput(node, 2); err != nil {
			return operand{}, err
		}
	}
	return r.dense(node, weight, c.integer("transB", 0) == 1, bias, c.number("alpha", 1), c.number("beta", 1))
}

func (r *raising) matMul(node *onnxpb.NodeProto) (operand, error) {
	weight, err := r.constantInput(node, 1)
	if err != nil {
		return operand{}, err
	}
	return r.dense(node, weight, false, &array{}, 1, 1)
}

// dense appends a dense layer. The bias may be a number, a vector or a row, or
// empty.
func (r *raising) dense(node *onnxpb.NodeProto, weight *array, transposed bool, bias *array, alpha, beta float32) (operand, error) {
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	if view, err = r.start(view, false); err != nil {
		return operand{}, err
	}
	if len(view.dims) != 1 || len(r.shape) != 1 {
		return operand{}, fmt.Errorf("its input 0 is %v for each image; a dense layer takes a vector of features", builder.Shape(view.dims))
	}
	if len(weight.dims) != 2 {
		return operand{}, fmt.Errorf("its input 1 is %v; a dense layer's weight is a matrix", builder.Shape(weight.dims))
	}
	inputs, units := weight.dims[0], weight.dims[1]
	if transposed {
		inputs, units = units, inputs
	}
	if inputs != view.dims[0] {
		return operand{}, fmt.Errorf("its weight is for %d features, but there are %d", inputs, view.dims[0])
	}
	layer := raised{
		layer:  builder.Dense{Name: r.layerName(node, inputOf(node, 1)), Units: units},
		weight: make([]float32, len(weight.data)),
		bias:   make([]float32, units),
	}
	for out := range units {
		for in := range inputs {
			value := weight.data[out*inputs+in]
			if !transposed {
				value = weight.data[in*units+out]
			}
			to := in
			if view.order != nil {
				to = int(view.order[in])
			}
			layer.weight[out*inputs+to] = alpha * value
		}
	}
	switch rank := len(bias.dims); {
	case len(bias.data) == 0:
	case len(bias.data) == 1:
		for i := range layer.bias {
			layer.bias[i] = beta * bias.data[0]
		}
	case len(bias.data) == units && bias.dims[rank-1] == units:
		for i, value := range bias.data {
			layer.bias[i] = beta * value
		}
	default:
		return operand{}, fmt.Errorf("its bias is %v; a dense layer of %d units has one value for each", builder.Shape(bias.dims), units)
	}
	if r.affine != nil {
		if err := r.affine.intoNext(&layer, false); err != nil {
			return operand{}, err
		}
		r.affine = nil
	}
	return r.layer(layer)
}

func (r *raising) softmax(node *onnxpb.NodeProto) (operand, error) {
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	if view, err = r.start(view, false); err != nil {
		return operand{}, err
	}
	otherwise := int64(-1)
	if r.opset < 13 {
		otherwise = 1
	}
	axis, err := r.call(node).axis(otherwise, len(view.dims)+1, len(view.dims))
	switch {
	case err != nil:
		return operand{}, err
	case len(view.dims) != 1 || axis != 1:
		return operand{}, fmt.Errorf("axis is %d of %d dimensions; Softmax is over a vector of logits, axis 1", axis, len(view.dims)+1)
	case view.order != nil:
		return operand{}, errors.New("it takes rearranged logits; a network cannot end so")
	case r.affine != nil:
		return operand{}, r.affine.stuck("Softmax")
	}
	return r.layer(raised{layer: builder.Softmax{Name: r.layerName(node, "")}})
}

// dropout keeps the layer, with its probability, for training on.
func (r *raising) dropout(node *onnxpb.NodeProto) (operand, error) {
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	if view, err = r.start(view, false); err != nil {
		return operand{}, err
	}
	ratio := r.call(node).number("ratio", 0.5)
	if inputOf(node, 1) != "" {
		given, err := r.constantInput(node, 1)
		if err != nil {
			return operand{}, err
		}
		if len(given.data) != 1 {
			return operand{}, fmt.Errorf("its ratio has %d values", len(given.data))
		}
		ratio = given.data[0]
	}
	if name := inputOf(node, 2); name != "" {
		mode := r.values[name].tensor
		if mode == nil || !isFalse(mode) {
			return operand{}, errors.New("training_mode is not the constant false: export the model for evaluation")
		}
	}
	if r.affine != nil && r.affine.shifts() {
		return operand{}, r.affine.stuck("Dropout")
	}
	if err := r.emit(raised{layer: builder.Dropout{Name: r.layerName(node, ""), P: float64(ratio)}}); err != nil {
		return operand{}, err
	}
	return operand{flow: &flow{stage: r.stage, dims: view.dims, order: view.order}}, nil
}

// isFalse reports whether a tensor is one boolean, false.
func isFalse(tensor *onnxpb.TensorProto) bool {
	if onnxpb.TensorProto_DataType(tensor.GetDataType()) != onnxpb.TensorProto_BOOL {
		return false
	}
	return len(tensor.RawData) == 1 && tensor.RawData[0] == 0 || len(tensor.Int32Data) == 1 && tensor.Int32Data[0] == 0
}

// layer appends a layer that gives its output in the builder's order.
func (r *raising) layer(layer raised) (operand, error) {
	err := r.emit(layer)
	return operand{flow: &flow{stage: r.stage, dims: r.shape}}, err
}
