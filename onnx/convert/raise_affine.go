package convert

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"slipway/builder"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// affine is y = scale·x + shift with one scale and one shift for each channel, or
// feature of a vector. It is computed in float64, so that folding rounds once.
type affine struct {
	scale, shift []float64
	parameter    string // the scale's name where it is a parameter of a PyTorch module
}

func (a *affine) shifts() bool {
	return slices.ContainsFunc(a.shift, func(x float64) bool { return x != 0 })
}

// uniform reports whether all channels are treated alike, as by a constant of a formula.
func (a *affine) uniform() bool {
	for i := range a.scale {
		if a.scale[i] != a.scale[0] || a.shift[i] != a.shift[0] {
			return false
		}
	}
	return true
}

func finite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

// arithmetic is Add, Sub, Mul or Div of the data and a constant, or of two values
// that are both computed.
func (r *raising) arithmetic(node *onnxpb.NodeProto) (operand, error) {
	if r.isSizes(message.Input(node, 0)) && r.isSizes(message.Input(node, 1)) {
		return r.computeSizes(node)
	}
	data, other := 0, 1
	constant, err := r.lookupConstant(message.Input(node, 1))
	if err != nil {
		return operand{}, err
	}
	if constant == nil {
		data, other = 1, 0
		if constant, err = r.lookupConstant(message.Input(node, 0)); err != nil {
			return operand{}, err
		}
	}
	if constant == nil {
		return r.binary(node)
	}
	v, err := r.data(node, data, false)
	if err != nil {
		return operand{}, err
	}
	values, err := r.perChannel(v, constant)
	if err != nil {
		return operand{}, fmt.Errorf("its input %d: %w", other, err)
	}
	a := &affine{scale: make([]float64, len(values)), shift: make([]float64, len(values))}
	var names []string
	for i, value := range values {
		switch operator := node.GetOpType(); {
		case operator == "Add":
			a.scale[i], a.shift[i] = 1, value
		case operator == "Sub" && other == 1:
			a.scale[i], a.shift[i] = 1, -value
		case operator == "Sub":
			a.scale[i], a.shift[i] = -1, value
		case operator == "Mul":
			a.scale[i] = value
		case operator == "Div" && other == 1:
			a.scale[i] = 1 / value
		default:
			return operand{}, errors.New("it divides by the data")
		}
		if !finite(a.scale[i]) || !finite(a.shift[i]) {
			return operand{}, fmt.Errorf("it scales channel %d by %v and adds %v; both must be "+
				"finite",
				i, a.scale[i], a.shift[i])
		}
	}
	switch {
	case node.GetOpType() == "Mul" && isParameterName(constant.name) && !r.own:
		dot := strings.LastIndexByte(constant.name, '.')
		a.parameter = constant.name[dot+1:]
		names = []string{constant.name[:dot]}
	case node.GetOpType() == "Mul" && r.own:
		a.parameter = strings.TrimPrefix(constant.name, r.owners[r.index]+".")
	case node.GetOpType() == "Add":
		names = r.weightNames(constant.name, "bias")
	}
	return r.same(v, item{operation: affineOperation, affine: a, names: names})
}

// perChannel broadcasts a constant over the data of an image, and returns the
// value that it has for each channel, or feature of a vector. It must be the same
// all over a channel's map.
func (r *raising) perChannel(v view, constant *array) ([]float64, error) {
	dims := constant.dims
	if len(constant.data) == 0 {
		return nil, errors.New("it holds no values")
	}
	if len(dims) > len(v.dims) {
		// What is left is broadcast over the images.
		if len(dims) > len(v.dims)+1 || dims[0] != 1 {
			return nil, fmt.Errorf("its constant is %v; one that is the same for each image is "+
				"needed",
				builder.Shape(dims))
		}
		dims = dims[1:]
	}
	type step struct{ n, place, from int }
	var steps []step
	shape := r.shapeOf(v.of)
	channels := shape[0]
	area := shape.Elements() / channels
	elements, stride := 1, 1
	for i := len(v.dims) - 1; i >= 0; i-- {
		each, size := 0, v.dims[i].size()
		if at := i - len(v.dims) + len(dims); at >= 0 && dims[at] != 1 {
			if dims[at] != size {
				return nil, fmt.Errorf("the constant %v does not broadcast to the data, %v for "+
					"each image",
					builder.Shape(constant.dims), builder.Shape(v.sizes()))
			}
			each = stride
			stride *= size
		}
		for k := len(v.dims[i]) - 1; k >= 0; k-- {
			w := v.dims[i][k]
			if each == 0 && (axis{w}).within(area) {
				continue // over a map, all of which has one value
			}
			steps = append(steps, step{w.n, w.stride, each})
			if w.n > maxRaised/elements {
				return nil, fmt.Errorf("the data is %v for each image; more than %d values are "+
					"not taken",
					shape, maxRaised)
			}
			elements *= w.n
			each *= w.n
		}
	}
	if r.elements += int64(elements); r.elements > maxLooked {
		return nil, fmt.Errorf("it and the nodes before it broadcast constants over more than %d "+
			"values",
			maxLooked)
	}
	values, seen := make([]float64, channels), make([]bool, channels)
	at := make([]int, len(steps))
	place, from := 0, 0
	for {
		channel, value := place/area, float64(constant.data[from])
		if seen[channel] && values[channel] != value &&
			!(math.IsNaN(value) && math.IsNaN(values[channel])) {
			return nil, fmt.Errorf("the constant %v differs within channel %d; one value for "+
				"each channel can be taken",
				builder.Shape(constant.dims), channel)
		}
		values[channel], seen[channel] = value, true
		i := 0
		for ; i < len(steps); i++ {
			place, from = place+steps[i].place, from+steps[i].from
			if at[i]++; at[i] < steps[i].n {
				break
			}
			place, from = place-steps[i].n*steps[i].place, from-steps[i].n*steps[i].from
			at[i] = 0
		}
		if i == len(steps) {
			return values, nil
		}
	}
}

// fold makes layers of the scales and shifts, in the order of the graph: each is
// taken into the convolution, dense layer or open normalisation before it, or the
// convolution or dense layer behind it, or else becomes a layer. It returns the item
// that is the output now.
func (r *raising) fold(output int) (int, error) {
	uses := r.uses(output)
	consumers := make([]int, len(r.items)) // of those that are used once
	for i, it := range r.items {
		for _, input := range it.inputs {
			if input >= 0 && uses[i] > 0 {
				consumers[input] = i
			}
		}
	}
	for i := range r.items {
		it := &r.items[i]
		for k := range it.inputs {
			it.inputs[k] = r.resolve(it.inputs[k])
		}
		if uses[i] == 0 || it.operation != affineOperation {
			continue
		}
		before := it.inputs[0]
		next := (*item)(nil)
		if uses[i] == 1 && i != output {
			next = &r.items[consumers[i]]
		}
		switch {
		case before >= 0 && uses[before] == 1 && before != output && r.takes(&r.items[before], it):
			it.from = before
			uses[before], uses[i] = uses[i], 0
			if i == output {
				output = before
			}
		case next != nil && next.operation == affineOperation && r.folds(it) && r.folds(next):
			next.affine = it.affine.then(next.affine)
			it.from, uses[i] = before, 0
		case next != nil && r.folds(it) && it.affine.before(next):
			it.from, uses[i] = before, 0
		default:
			if err := r.standAlone(it); err != nil {
				r.reasons.add(it.at, err)
			}
		}
	}
	for i := range r.items {
		for k := range r.items[i].inputs {
			r.items[i].inputs[k] = r.resolve(r.items[i].inputs[k])
		}
	}
	return output, nil
}

// then is a and b behind it.
func (a *affine) then(b *affine) *affine {
	both := &affine{scale: slices.Clone(b.scale), shift: slices.Clone(b.shift), parameter: b.parameter}
	for c := range both.scale {
		both.shift[c] += both.scale[c] * a.shift[c]
		both.scale[c] *= a.scale[c]
	}
	return both
}

// folds reports whether a scale may be folded: one of a foreign model that is no
// parameter of its own.
func (r *raising) folds(it *item) bool {
	return !r.own && (it.affine.parameter == "" || it.affine.shifts())
}

// takes folds an affine item into the layer before it, if that can be.
func (r *raising) takes(before, it *item) bool {
	a := it.affine
	switch layer := before.layer.(type) {
	case builder.LayerNorm, builder.GroupNorm:
		if !before.open || !r.together(before.index, it.index) {
			return false
		}
		before.scaled(a)
		// The shift, which follows the scale, closes it.
		before.open = !a.shifts()
	case builder.Conv2D:
		if !r.folds(it) {
			return false
		}
		layer.NoBias = layer.NoBias && !a.shifts()
		before.layer = layer
		before.scaled(a)
	case builder.Dense:
		if !r.folds(it) {
			return false
		}
		layer.NoBias = layer.NoBias && !a.shifts()
		before.layer = layer
		before.scaled(a)
	case builder.BatchNorm:
		if !r.folds(it) {
			return false
		}
		before.scaled(a)
	default:
		return false
	}
	before.names = append(before.names, it.names...)
	return true
}

// scaled folds a into the weight and the bias of the layer that gives its input.
func (it *item) scaled(a *affine) {
	if len(it.tensors) == 1 && a.shifts() {
		it.tensors = append(slices.Clone(it.tensors), make([]float32, len(a.shift)))
	}
	weight := slices.Clone(it.tensors[0])
	each := len(weight) / len(a.scale)
	for out, scale := range a.scale {
		for i, w := range weight[out*each : (out+1)*each] {
			weight[out*each+i] = float32(scale * float64(w))
		}
	}
	tensors := [][]float32{weight}
	if len(it.tensors) > 1 {
		bias := slices.Clone(it.tensors[1])
		for out, scale := range a.scale {
			bias[out] = float32(scale*float64(bias[out]) + a.shift[out])
		}
		tensors = append(tensors, bias)
		tensors = append(tensors, it.tensors[2:]...) // running statistics stay
	}
	it.tensors = tensors
}

// before folds a into the layer that takes its output, if that has weights, and its
// padding, which is zeros after a, not before it, does not matter.
func (a *affine) before(next *item) bool {
	groups := 1
	switch layer := next.layer.(type) {
	case builder.Conv2D:
		padded := layer.Padding != builder.Size{} || layer.PaddingExtra != builder.Size{}
		if padded && a.shifts() {
			return false
		}
		groups = max(layer.Groups, 1)
		layer.NoBias = layer.NoBias && !a.shifts()
		next.layer = layer
	case builder.Dense:
		layer.NoBias = layer.NoBias && !a.shifts()
		next.layer = layer
	default:
		return false
	}
	weight := slices.Clone(next.tensors[0])
	units := next.shape[0]
	var bias []float32
	if len(next.tensors) > 1 {
		bias = slices.Clone(next.tensors[1])
	} else if a.shifts() {
		bias = make([]float32, units)
	}
	each, perGroup := len(weight)/units, len(a.scale)/groups
	area := each / perGroup
	for out := range units {
		first := out / (units / groups) * perGroup // the first channel that the unit takes
		sum := 0.0
		for i, w := range weight[out*each : (out+1)*each] {
			in := first + i/area
			sum += float64(w) * a.shift[in]
			weight[out*each+i] = float32(float64(w) * a.scale[in])
		}
		if bias != nil {
			bias[out] = float32(float64(bias[out]) + sum)
		}
	}
	next.tensors = [][]float32{weight}
	if bias != nil {
		next.tensors = append(next.tensors, bias)
	}
	return true
}

// standAlone makes a layer of an affine item: a Scale, or a BatchNorm whose running
// statistics are those that normalise nothing, frozen.
func (r *raising) standAlone(it *item) error {
	a := it.affine
	var tensors [][]float32
	if !a.shifts() {
		layer := builder.Scale{}
		if layerPattern.MatchString(a.parameter) {
			layer.Tensor = a.parameter
		}
		it.layer, tensors = layer, [][]float32{float32sOf(a.scale)}
	} else {
		const epsilon = 1e-5
		still := slices.Repeat([]float32{1 - epsilon}, len(a.scale))
		it.layer = builder.BatchNorm{Epsilon: epsilon, Frozen: true}
		tensors = [][]float32{float32sOf(a.scale), float32sOf(a.shift), make([]float32, len(a.scale)),
			still}
	}
	inferred, err := it.layer.Infer([]builder.Shape{it.shape})
	if err != nil {
		return err
	}
	it.layer, it.tensors, it.operation = inferred.Layer, tensors, ""
	return nil
}
