package convert

import (
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// relation is how one value is broadcast to another one.
type relation int

const (
	unrelated  relation = iota
	alike               // of one shape and order
	ofChannels          // C×1×1, to C×H×W
	ofPlaces            // 1×H×W, to C×H×W
)

// relate says how b is broadcast to a, both of as many dimensions.
func (r *raising) relate(a, b view) relation {
	if len(a.dims) != len(b.dims) {
		return unrelated
	}
	to, from := r.shapeOf(a.of), r.shapeOf(b.of)
	area := to.Elements() / to[0]
	related := func(dim func(a, b axis) bool) bool {
		for i := range a.dims {
			if !dim(a.dims[i], b.dims[i]) {
				return false
			}
		}
		return true
	}
	switch {
	case slices.Equal(to, from) && related(sameOrder):
		return alike
	case len(to) == 3 && slices.Equal(from, builder.Shape{to[0], 1, 1}) &&
		related(func(a, b axis) bool {
			return b.size() == 1 && a.within(area) || sameOrder(a, b.spread(area))
		}):
		return ofChannels
	case from[0] == 1 && slices.Equal(from[1:], to[1:]) && related(func(a, b axis) bool {
		return b.size() == 1 && a.across(area) || sameOrder(a, b)
	}):
		return ofPlaces
	}
	return unrelated
}

// level brings two values of one order into one shape, where one is a vector and
// the other a map of one pixel: the vector's layers are made anew on the map, or
// the map is flattened.
func (r *raising) level(a, b view) (view, view, error) {
	to, from := r.shapeOf(a.of), r.shapeOf(b.of)
	if len(to) == len(from) || len(a.dims) != len(b.dims) {
		return a, b, nil
	}
	vector, whole := &b, &a
	if len(to) == 1 {
		vector, whole = &a, &b
	}
	place, ok, err := r.unflattened(vector.of)
	switch {
	case err != nil:
		return a, b, err
	case ok:
		vector.of = place
	case r.shapeOf(whole.of)[1]*r.shapeOf(whole.of)[2] == 1:
		if whole.of, err = r.add(item{layer: builder.Flatten{}, inputs: []int{whole.of}}); err != nil {
			return a, b, err
		}
	}
	return a, b, nil
}

// maxUnflattened bounds the layers that are made anew.
const maxUnflattened = 16

// unflattened returns a vector as a map of one pixel: it makes anew, on the map, the
// layers since a map of one pixel was flattened. Squeeze-and-excitation is written so
// where its two layers are fully connected. ok is false where something else is
// in between.
func (r *raising) unflattened(place int) (on int, ok bool, err error) {
	var chain []int
	for {
		if place < 0 || len(chain) > maxUnflattened {
			return 0, false, nil
		}
		it := r.items[place]
		if it.layer == nil && it.operation != affineOperation || len(it.inputs) != 1 {
			return 0, false, nil
		}
		if from := r.shapeOf(it.inputs[0]); len(from) == 3 {
			if _, flattens := it.layer.(builder.Flatten); !flattens || from[1]*from[2] != 1 {
				return 0, false, nil
			}
			on = it.inputs[0]
			break
		}
		switch it.layer.(type) {
		case builder.Flatten, builder.Softmax:
			return 0, false, nil
		}
		chain = append(chain, place)
		place = it.inputs[0]
	}
	current, index, at := r.current, r.index, r.at
	defer func() { r.current, r.index, r.at = current, index, at }()
	for _, from := range slices.Backward(chain) {
		again := r.items[from]
		r.index, r.at = again.index, again.at
		again.inputs = []int{on}
		again.shape = append(again.shape[:1:1], 1, 1)
		if on, err = r.add(again); err != nil {
			return 0, false, err
		}
	}
	return on, true, nil
}

// binary is an operator of two values that are both computed.
func (r *raising) binary(node *onnxpb.NodeProto) (operand, error) {
	var v [2]view
	for i := range v {
		var err error
		if v[i], err = r.data(node, i, false); err != nil {
			return operand{}, err
		}
	}
	a, b, err := r.level(v[0], v[1])
	if err != nil {
		return operand{}, err
	}
	operator := node.GetOpType()
	larger := a
	how := r.relate(a, b)
	if how == unrelated {
		larger = b
		how = r.relate(b, a)
	}
	it := item{inputs: []int{a.of, b.of}, shape: r.shapeOf(larger.of)}
	switch {
	case how == unrelated:
		return operand{}, fmt.Errorf("it joins %v and %v for each image, which are %v and %v of "+
			"the layers before; a network joins values of one shape and order, or C×H×W and C×1×1 by Mul",
			builder.Shape(a.sizes()), builder.Shape(b.sizes()), r.shapeOf(a.of), r.shapeOf(b.of))
	case operator == "Add" && how == alike:
		return r.join(larger, item{layer: builder.Add{}, inputs: it.inputs})
	case operator == "Mul" && (how == alike || how == ofChannels):
		it.layer = builder.Mul{}
	default:
		it.operation = operator
	}
	place, err := r.add(it)
	return larger.on(place), err
}

// join appends an Add. One after another of a layer of FromNetwork is one.
func (r *raising) join(v view, it item) (operand, error) {
	if first := it.inputs[0]; r.own && first >= 0 {
		if before := r.items[first]; r.together(before.index, r.index) && before.isLayer(it.layer) {
			it.inputs = append(slices.Clone(before.inputs), it.inputs[1:]...)
		}
	}
	place, err := r.add(it)
	return v.on(place), err
}

// sum is Sum of any number of values.
func (r *raising) sum(node *onnxpb.NodeProto) (operand, error) {
	it := item{layer: builder.Add{}}
	var first view
	for i := range node.GetInput() {
		v, err := r.data(node, i, false)
		if err != nil {
			return operand{}, err
		}
		if i == 0 {
			first = v
		} else if r.relate(first, v) != alike {
			return operand{}, fmt.Errorf("its input %d, %v for each image, is not of the shape "+
				"and order of the first",
				i, builder.Shape(v.sizes()))
		}
		it.inputs = append(it.inputs, v.of)
	}
	if len(it.inputs) == 1 {
		return operand{view: &first}, nil
	}
	place, err := r.add(it)
	return first.on(place), err
}

// concat joins integers of a shape, or the channels of maps, or features.
func (r *raising) concat(node *onnxpb.NodeProto) (operand, error) {
	if r.isSizes(message.Input(node, 0)) {
		return r.joinSizes(node)
	}
	var inputs []int
	var order [3]int
	for i := range node.GetInput() {
		v, err := r.data(node, i, false)
		if err != nil {
			return operand{}, err
		}
		shape := r.shapeOf(v.of)
		axis, err := r.call(node).axis(1, len(v.dims)+1, len(v.dims))
		if err != nil {
			return operand{}, err
		}
		axes, ok := v.axes(shape)
		switch {
		case len(shape) == 1 && len(v.dims) == 1 && v.isPlain() && axis == 1:
		case ok && i > 0 && axes != order:
			return operand{}, fmt.Errorf("its input %d is a map in another order of dimensions "+
				"than the first",
				i)
		case ok && axis == axes[0]+1:
			order = axes
		default:
			return operand{}, fmt.Errorf("it joins %v for each image, which is %v of the layer "+
				"before, along axis %d; a network joins the channels of maps, or features",
				builder.Shape(v.sizes()), shape, axis)
		}
		if len(node.GetInput()) == 1 && !r.own {
			return operand{view: &v}, nil
		}
		inputs = append(inputs, v.of)
	}
	place, err := r.add(item{layer: builder.Concat{}, inputs: inputs})
	if err != nil {
		return operand{}, err
	}
	if shape := r.items[place].shape; len(shape) == 3 {
		return like(order, place, shape), nil
	}
	whole := plainView(place, r.items[place].shape)
	return operand{view: &whole}, nil
}
