package onnx

import (
	"errors"
	"fmt"
	"math"

	"slipway/builder"
	"slipway/onnx/onnxpb"
)

// affine is y = scale·x + shift with one scale and one shift for each channel, or
// feature of a vector. It is computed in float64, so that folding rounds once.
type affine struct {
	scale, shift []float64
	at           string // the node it came from, for errors
}

func (a *affine) shifts() bool {
	for _, shift := range a.shift {
		if shift != 0 {
			return true
		}
	}
	return false
}

func (a *affine) positive() bool {
	for _, scale := range a.scale {
		if !(scale > 0) {
			return false
		}
	}
	return true
}

// stuck says that a has to pass a layer that it cannot.
func (a *affine) stuck(layer string) error {
	return fmt.Errorf("%s comes before it and cannot be folded into a Conv, Gemm or MatMul, as %s is in between", a.at, layer)
}

// intoLast folds a into the layer that gives its input.
func (a *affine) intoLast(layer *raised) {
	each := len(layer.weight) / len(layer.bias)
	for out, scale := range a.scale {
		row := layer.weight[out*each : (out+1)*each]
		for i, w := range row {
			row[i] = float32(scale * float64(w))
		}
		layer.bias[out] = float32(scale*float64(layer.bias[out]) + a.shift[out])
	}
}

// intoNext folds a into the layer that takes its output, whose padding is zeros
// after a, not before it.
func (a *affine) intoNext(layer *raised, padded bool) error {
	if padded && a.shifts() {
		return a.stuck("the padding, which is zeros that it does not shift,")
	}
	each := len(layer.weight) / len(layer.bias)
	area := each / len(a.scale)
	for out := range layer.bias {
		row := layer.weight[out*each : (out+1)*each]
		bias := float64(layer.bias[out])
		for i, w := range row {
			in := i / area
			bias += float64(w) * a.shift[in]
			row[i] = float32(float64(w) * a.scale[in])
		}
		layer.bias[out] = float32(bias)
	}
	return nil
}

// spread gives each of a channel's area values, flattened, the channel's.
func (a *affine) spread(area int) {
	scale, shift := a.scale, a.shift
	a.scale, a.shift = make([]float64, 0, len(scale)*area), make([]float64, 0, len(shift)*area)
	for i := range scale {
		for range area {
			a.scale, a.shift = append(a.scale, scale[i]), append(a.shift, shift[i])
		}
	}
}

// fold takes up y = scale·x + shift, in the layer before if that has weights, or
// else in the one to come.
func (r *raising) fold(node *onnxpb.NodeProto, view *flow, scale, shift []float64) (operand, error) {
	for i := range scale {
		if !finite(scale[i]) || !finite(shift[i]) {
			return operand{}, fmt.Errorf("it scales channel %d by %v and adds %v; both must be finite", i, scale[i], shift[i])
		}
	}
	a := &affine{scale: scale, shift: shift, at: r.at}
	last := len(r.layers) - 1
	switch {
	case r.affine != nil: // scale·(scale₁·x + shift₁) + shift
		for i := range scale {
			a.shift[i] += scale[i] * r.affine.shift[i]
			a.scale[i] *= r.affine.scale[i]
		}
		r.affine = a
	case last >= 0 && r.layers[last].bias != nil:
		a.intoLast(&r.layers[last])
	default:
		r.affine = a
	}
	r.stage++
	return operand{flow: &flow{stage: r.stage, dims: view.dims, order: view.order}}, nil
}

func finite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

// batchNormalization is scale·(x − mean)/√(variance + ε) + bias, by channel.
func (r *raising) batchNormalization(node *onnxpb.NodeProto) (operand, error) {
	view, err := r.flowing(node, 0)
	if err != nil {
		return operand{}, err
	}
	if view, err = r.start(view, false); err != nil {
		return operand{}, err
	}
	c := r.call(node)
	if c.integer("training_mode", 0) != 0 {
		return operand{}, errors.New("training_mode is 1: export the model for evaluation")
	}
	if c.integer("spatial", 1) != 1 {
		return operand{}, errors.New("spatial is 0; only a scale for each channel can be folded")
	}
	var parameters [4][]float64 // scale, bias, mean, variance
	for i := range parameters {
		constant, err := r.constantInput(node, i+1)
		if err != nil {
			return operand{}, err
		}
		// As if they were C×1×1: channels are axis 1 of the graph's data.
		spread := &array{data: constant.data, dims: append([]int{len(constant.data)}, ones(len(view.dims)-1)...)}
		if parameters[i], err = r.perChannel(view, spread); err != nil {
			return operand{}, fmt.Errorf("its input %d: %w", i+1, err)
		}
	}
	epsilon := float64(c.number("epsilon", 1e-5))
	scale, shift := make([]float64, len(parameters[0])), make([]float64, len(parameters[0]))
	for i := range scale {
		scale[i] = parameters[0][i] / math.Sqrt(parameters[3][i]+epsilon)
		shift[i] = parameters[1][i] - scale[i]*parameters[2][i]
	}
	return r.fold(node, view, scale, shift)
}

func ones(n int) []int {
	dims := make([]int, n)
	for i := range dims {
		dims[i] = 1
	}
	return dims
}

// arithmetic is Add, Sub, Mul or Div of the data and a constant.
func (r *raising) arithmetic(node *onnxpb.NodeProto) (operand, error) {
	data, other := 0, 1
	constant, err := r.lookupConstant(inputOf(node, 1))
	if err != nil {
		return operand{}, err
	}
	if constant == nil {
		data, other = 1, 0
		if constant, err = r.lookupConstant(inputOf(node, 0)); err != nil {
			return operand{}, err
		}
	}
	if constant == nil {
		return operand{}, fmt.Errorf("it joins %q and %q, which are both computed; a network is one chain of layers", shorten(inputOf(node, 0)), shorten(inputOf(node, 1)))
	}
	view, err := r.flowing(node, data)
	if err != nil {
		return operand{}, err
	}
	if view, err = r.start(view, false); err != nil {
		return operand{}, err
	}
	if len(constant.dims) > len(view.dims) {
		// What is left is broadcast over the images.
		if first := constant.dims[0]; len(constant.dims) > len(view.dims)+1 || first != 1 {
			return operand{}, fmt.Errorf("its constant is %v; one that is the same for each image is needed", builder.Shape(constant.dims))
		}
		constant = &array{dims: constant.dims[1:], data: constant.data}
	}
	values, err := r.perChannel(view, constant)
	if err != nil {
		return operand{}, fmt.Errorf("its input %d: %w", other, err)
	}
	scale, shift := make([]float64, len(values)), make([]float64, len(values))
	for i, value := range values {
		switch operator := node.GetOpType(); {
		case operator == "Add":
			scale[i], shift[i] = 1, value
		case operator == "Sub" && other == 1:
			scale[i], shift[i] = 1, -value
		case operator == "Sub":
			scale[i], shift[i] = -1, value
		case operator == "Mul":
			scale[i] = value
		case operator == "Div" && other == 1:
			scale[i] = 1 / value
		default:
			return operand{}, errors.New("it divides by the data")
		}
	}
	return r.fold(node, view, scale, shift)
}

// perChannel broadcasts a constant over the data of an image, and returns the
// value that it has for each channel, or feature of a vector. It must be the same
// all over a channel's map.
func (r *raising) perChannel(view *flow, constant *array) ([]float64, error) {
	if r.shape.Elements() > maxRaised {
		return nil, fmt.Errorf("the data is %v for each image; more than %d values are not taken", r.shape, maxRaised)
	}
	rank := len(view.dims)
	strides, stride := make([]int, rank), 1
	for i := len(constant.dims) - 1; i >= 0; i-- {
		at := rank - len(constant.dims) + i
		switch constant.dims[i] {
		case 1:
		case view.dims[at]:
			strides[at] = stride
		default:
			return nil, fmt.Errorf("the constant %v does not broadcast to the data, %v for each image", builder.Shape(constant.dims), builder.Shape(view.dims))
		}
		stride *= constant.dims[i]
	}
	channels := r.shape[0]
	area := r.shape.Elements() / channels
	values, seen := make([]float64, channels), make([]bool, channels)
	at := make([]int, rank)
	for j := range r.shape.Elements() {
		from := 0
		for i, position := range at {
			from += position * strides[i]
		}
		to := j
		if view.order != nil {
			to = int(view.order[j])
		}
		channel, value := to/area, float64(constant.data[from])
		if seen[channel] && values[channel] != value {
			return nil, fmt.Errorf("the constant %v differs within channel %d; one value for each channel can be folded", builder.Shape(constant.dims), channel)
		}
		values[channel], seen[channel] = value, true
		for i := rank - 1; i >= 0; i-- {
			if at[i]++; at[i] < view.dims[i] {
				break
			}
			at[i] = 0
		}
	}
	return values, nil
}
