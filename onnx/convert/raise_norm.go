package convert

import (
	"errors"
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// batchNormalization keeps the layer with its running statistics. ONNX's momentum is
// what stays of them, the builder's what comes.
func (r *raising) batchNormalization(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	c := r.call(node)
	if c.integer("training_mode", 0) != 0 {
		return operand{}, errors.New("training_mode is 1: export the model for evaluation")
	}
	if c.integer("spatial", 1) != 1 {
		return operand{}, errors.New("spatial is 0; a network normalises each channel")
	}
	tensors, name, err := r.channelTensors(node, v, 4)
	if err != nil {
		return operand{}, err
	}
	layer := builder.BatchNorm{Epsilon: decimal(c.number("epsilon", 1e-5))}
	if keeps := c.number("momentum", 0.9); keeps >= 0 && keeps < 1 {
		layer.Momentum = decimal(float32(1 - decimal(keeps)))
	}
	for i, variance := range tensors[3] {
		if !(float64(variance)+layer.Epsilon > 0) {
			return operand{}, fmt.Errorf("the variance of channel %d is %v; with epsilon it must "+
				"be above 0",
				i, variance)
		}
	}
	return r.same(v, item{layer: layer, names: r.weightNames(name, "weight"), tensors: tensors})
}

// channelTensors returns the inputs from the second on, one number for each channel,
// axis 1 of the graph's data; and the first one's name.
func (r *raising) channelTensors(node *onnxpb.NodeProto, v view, count int) (tensors [][]float32,
	name string, err error) {
	if len(v.dims) == 0 {
		return nil, "", errors.New("it takes one number for each image; channels are needed")
	}
	for i := range count {
		constant, err := r.constantInput(node, i+1)
		if err != nil {
			return nil, "", err
		}
		if i == 0 {
			name = constant.name
		}
		// As if they were C×1×1.
		dims := append([]int{len(constant.data)}, slices.Repeat([]int{1}, len(v.dims)-1)...)
		values, err := r.perChannel(v, &array{data: constant.data, dims: dims})
		if err != nil {
			return nil, "", fmt.Errorf("its input %d: %w", i+1, err)
		}
		tensors = append(tensors, float32sOf(values))
	}
	return tensors, name, nil
}

// layerNormalization is over the last dimension, which must be the channels of a map
// or a vector's features.
func (r *raising) layerNormalization(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	axis, err := r.call(node).axis(-1, len(v.dims)+1, len(v.dims))
	if err != nil {
		return operand{}, err
	}
	shape := r.shapeOf(v.of)
	last := len(v.dims) - 1
	area := shape.Elements() / shape[0]
	if last < 0 || axis != len(v.dims) || v.dims[last].size() != shape[0] ||
		!v.dims[last].across(area) {
		return operand{}, fmt.Errorf("it normalises axes %d… of %v for each image, %v of the "+
			"layer before; a network normalises the channels at each position, or all features",
			axis, builder.Shape(v.sizes()), shape)
	}
	channels, err := r.channelsOf(v.of)
	if err != nil {
		return operand{}, err
	}
	tensors := [][]float32{nil, make([]float32, channels)}
	var names []string
	for i := range tensors {
		if i == 1 && message.Input(node, 2) == "" {
			break
		}
		constant, err := r.constantInput(node, i+1)
		if err != nil {
			return operand{}, err
		}
		values, err := r.perChannel(v, constant)
		if err != nil {
			return operand{}, fmt.Errorf("its input %d: %w", i+1, err)
		}
		tensors[i] = float32sOf(values)
		if i == 0 {
			names = r.weightNames(constant.name, "weight")
		}
	}
	layer := builder.LayerNorm{Epsilon: decimal(r.call(node).number("epsilon", 1e-5))}
	return r.same(v, item{layer: layer, names: names, tensors: tensors})
}

// groupNormalization has a scale and a bias for each group before opset 21, for each
// channel since.
func (r *raising) groupNormalization(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	shape := r.shapeOf(v.of)
	if !v.is(shape) {
		return operand{}, fmt.Errorf("its input 0, %v for each image, is %v of the layer before "+
			"rearranged",
			builder.Shape(v.sizes()), shape)
	}
	return r.groups(node, v, int(r.call(node).integer("num_groups", 1)))
}

// instanceNormalization is a group normalisation of as many groups as it is given
// channels: a Reshape before it tells how many.
func (r *raising) instanceNormalization(node *onnxpb.NodeProto) (operand, error) {
	v, err := r.data(node, 0, false)
	if err != nil {
		return operand{}, err
	}
	shape := r.shapeOf(v.of)
	if !v.isPlain() || len(v.dims) == 0 || shape[0]%v.dims[0].size() != 0 {
		return operand{}, fmt.Errorf("it normalises %v for each image, %v of the layer before; a "+
			"network normalises groups of channels",
			builder.Shape(v.sizes()), shape)
	}
	return r.groups(node, v, v.dims[0].size())
}

func (r *raising) groups(node *onnxpb.NodeProto, v view, groups int) (operand, error) {
	shape := r.shapeOf(v.of)
	if groups < 1 || shape[0]%groups != 0 {
		return operand{}, fmt.Errorf("%d groups do not divide %d channels", groups, shape[0])
	}
	if _, err := r.channelsOf(v.of); err != nil {
		return operand{}, err
	}
	tensors := make([][]float32, 2)
	var names []string
	for i := range tensors {
		constant, err := r.constantInput(node, i+1)
		if err != nil {
			return operand{}, err
		}
		if n := len(constant.data); n != groups && n != shape[0] {
			return operand{}, fmt.Errorf("its input %d has %d values for %d groups of %d channels",
				i+1, n, groups, shape[0])
		}
		each := shape[0] / len(constant.data)
		for _, value := range constant.data {
			tensors[i] = append(tensors[i], slices.Repeat([]float32{value}, each)...)
		}
		if i == 0 {
			names = r.weightNames(constant.name, "weight")
		}
	}
	trivial := !slices.ContainsFunc(tensors[0], func(x float32) bool { return x != 1 }) &&
		!slices.ContainsFunc(tensors[1], func(x float32) bool { return x != 0 })
	return r.same(v, item{
		layer: builder.GroupNorm{Groups: groups, Epsilon: decimal(r.call(node).number("epsilon", 1e-5))},
		names: names, tensors: tensors, open: trivial,
	})
}
