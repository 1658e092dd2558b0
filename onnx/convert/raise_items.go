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

// item is one thing that is computed of the input for each example: a layer, or an
// operation that is a layer only together with others.
type item struct {
	layer builder.Layer // nil of an operation
	// operation is the ONNX operator, or affineOperation.
	operation string
	inputs    []int
	shape     builder.Shape
	tensors   [][]float32 // of the layer, in its order
	affine    *affine     // of affineOperation
	numbers   []float64   // of an operation: Pow's exponent, Clip's bounds
	// open says of a normalisation that its weight and bias are still 1 and 0, and
	// those that follow it are its own.
	open  bool
	at    string // the node, for errors
	index int    // its place in the graph
	// names are what the layer may be called, the best first.
	names []string
	// from is the item, or inputPlace, that stands for this one once it is folded into another.
	from int
}

// nothing is an item's from while it stands for itself.
const nothing = -2

// affineOperation is y = scale·x + shift by channel.
const affineOperation = "affine"

// errFollowsSoftmax is what a network has of layers behind its end.
var errFollowsSoftmax = errors.New("it follows Softmax, which may only come last")

// channelsOf is the number of channels, or features, of what an item gives, of which there
// may be as many as memory is asked for.
func (r *raising) channelsOf(place int) (int, error) {
	shape := r.shapeOf(place)
	if shape[0] > maxRaised {
		return 0, fmt.Errorf("the data is %v for each image; more than %d channels are not taken",
			shape, maxRaised)
	}
	return shape[0], nil
}

// shapeOf is the shape of what an item gives.
func (r *raising) shapeOf(place int) builder.Shape {
	if place == inputPlace {
		return r.input
	}
	return r.items[place].shape
}

// add appends an item of the node under way, or what it is together with those
// before it, and returns its place.
func (r *raising) add(it item) (int, error) {
	for _, input := range it.inputs {
		if input >= 0 && r.items[input].isLayer(builder.Softmax{}) {
			return 0, errFollowsSoftmax
		}
	}
	it.at, it.index, it.from = r.at, r.index, nothing
	if it.names == nil {
		it.names = r.namesOf(r.current, it)
	}
	if whole, ok := r.recognised(it); ok {
		it = whole
	}
	if it.layer != nil {
		var shapes []builder.Shape
		for _, input := range it.inputs {
			shapes = append(shapes, r.shapeOf(input))
		}
		inferred, err := it.layer.Infer(shapes)
		if err != nil {
			return 0, err
		}
		it.layer, it.shape = inferred.Layer, inferred.Output
	}
	elements := 1
	for _, dim := range it.shape {
		if dim < 1 || dim > math.MaxInt32/elements {
			return 0, fmt.Errorf("it gives %v for each image; 1 to %d values are needed",
				it.shape, math.MaxInt32)
		}
		elements *= dim
	}
	r.items = append(r.items, it)
	return len(r.items) - 1, nil
}

// layer appends a layer that gives its output in the builder's order.
func (r *raising) layer(layer builder.Layer, inputs []int, tensors ...[]float32) (operand, error) {
	return r.named(layer, nil, inputs, tensors...)
}

// named is layer with what it may be called.
func (r *raising) named(layer builder.Layer, names []string, inputs []int,
	tensors ...[]float32) (operand, error) {
	place, err := r.add(item{layer: layer, names: names, inputs: inputs, tensors: tensors})
	if err != nil {
		return operand{}, err
	}
	whole := plainView(place, r.items[place].shape)
	return operand{view: &whole}, nil
}

// same appends a layer, or operation, that gives each value in the place of the one it takes.
func (r *raising) same(v view, it item) (operand, error) {
	it.inputs = []int{v.of}
	it.shape = r.shapeOf(v.of)
	place, err := r.add(it)
	return v.on(place), err
}

// ownersOf says of each node of a model of FromNetwork which layer's it is: a layer
// of several operators calls all but the last, which come right before it, by its
// name, a dot and a word.
func ownersOf(nodes []*onnxpb.NodeProto) []string {
	owners := make([]string, len(nodes))
	layer := ""
	for i := len(nodes) - 1; i >= 0; i-- {
		name := nodes[i].GetName()
		step, ok := strings.CutPrefix(name, layer+".")
		if !ok || layer == "" || strings.Contains(step, ".") {
			layer = name
		}
		owners[i] = layer
	}
	return owners
}

// together reports whether nodes may be one layer: in a model of FromNetwork those
// of one layer alone.
func (r *raising) together(a, b int) bool { return !r.own || r.owners[a] == r.owners[b] }

// uses counts, by item, how often what leads to the output takes it.
func (r *raising) uses(output int) []int {
	uses := make([]int, len(r.items))
	if output >= 0 {
		uses[output] = 1
	}
	for i := len(r.items) - 1; i >= 0; i-- {
		if uses[i] == 0 {
			continue
		}
		for _, input := range r.items[i].inputs {
			if input >= 0 {
				uses[input]++
			}
		}
	}
	return uses
}

// resolve returns the item that stands for another one.
func (r *raising) resolve(place int) int {
	for place >= 0 && r.items[place].from != nothing {
		place = r.items[place].from
	}
	return place
}

// finish makes the network of the items, which must end in the value.
func (r *raising) finish(name string) (*builder.Network, builder.Weights, error) {
	output, err := r.end(name)
	if err != nil {
		return nil, nil, err
	}
	if output, err = r.fold(output); err != nil {
		return nil, nil, err
	}
	uses := r.uses(output)
	for i, it := range r.items {
		if uses[i] > 0 && it.layer == nil {
			r.reasons.add(it.at, r.lonely(it))
		}
	}
	if err := r.reasons.err(); err != nil {
		return nil, nil, err
	}
	names := r.chooseNames(uses)
	graph := builder.NewGraph(r.name, r.input)
	graph.Reserve(names...)
	values := map[int]builder.Value{inputPlace: graph.Input()}
	var tensors [][]float32
	for i, it := range r.items {
		if uses[i] == 0 {
			continue
		}
		var inputs []builder.Value
		for _, input := range it.inputs {
			inputs = append(inputs, values[input])
		}
		layer, err := withName(it.layer, names[i])
		if err != nil {
			return nil, nil, err
		}
		values[i] = graph.Join(layer, inputs...)
		tensors = append(tensors, it.tensors...)
	}
	network, err := graph.Network(values[output])
	if err != nil {
		return nil, nil, err
	}
	specs := network.Tensors()
	if len(specs) != len(tensors) {
		return nil, nil, fmt.Errorf("its layers have %d tensors, and %d were read",
			len(specs), len(tensors))
	}
	var weights builder.Weights
	for i, spec := range specs {
		weights = append(weights, builder.Tensor{Name: spec.Name, Shape: spec.Shape,
			Data: slices.Clone(tensors[i])})
	}
	weights, err = network.CheckWeights(weights)
	return network, weights, err
}

// end returns the item that the graph's output is.
func (r *raising) end(name string) (int, error) {
	last := r.values[name].view
	if last == nil {
		return 0, fmt.Errorf("its output %q does not depend on its input", message.Shorten(name))
	}
	taken, err := r.settled(*last, false)
	if err != nil {
		return 0, err
	}
	if taken.of == inputPlace && taken.is(r.input) {
		// Nothing but Identity, as FromNetwork writes a network of Dropout alone.
		return r.add(item{layer: builder.Dropout{}, inputs: []int{inputPlace}})
	}
	shape := r.shapeOf(taken.of)
	if !taken.is(shape) {
		return 0, fmt.Errorf("its output %q is the last layer's output %v rearranged to %v; a "+
			"network cannot end so",
			message.Shorten(name), shape, builder.Shape(taken.sizes()))
	}
	return taken.of, nil
}

// lonely says why an operation that no layer was made of cannot be one.
func (r *raising) lonely(it item) error {
	if it.operation == "ReduceMean" {
		return errors.New("it takes the mean over the channels, and no layer normalisation " +
			"follows; " +
			"a network takes the mean over a whole map")
	}
	return fmt.Errorf("a network has no layer for the operator %s%s", it.operation, it.detail())
}

func (it item) detail() string {
	switch it.operation {
	case "Clip":
		return fmt.Sprintf(" to %g…%g; 0…6 is ReLU6", it.numbers[0], it.numbers[1])
	case "Pow":
		return fmt.Sprintf(" with the exponent %g", it.numbers[0])
	case "Sub", "Div", "Mul", "Add":
		return " of two values that are both computed, of such shapes"
	}
	return ""
}
