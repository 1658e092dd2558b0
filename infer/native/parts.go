package native

import (
	"fmt"
	"slices"

	"slipway/onnx/onnxpb"
)

// A batch may go through the graph a few images at a time: where a network's maps are larger than
// its weights, more of what one node writes is in the caches yet when the next reads it. That takes
// a graph each node of which does to an image what it does to it alone; then the answers have the
// same bits.

// A part has images of partElements values, but partImages at least: each node's share of fixed
// cost is small then.
const partImages, partElements = 2, 1 << 20

// partOf returns how many images of a batch go at a time, whose values take so many elements an
// image, when the model's constants have so many: all, where the constants are the larger part, as
// they are read again for each part.
func partOf(images, elements, constants int) int {
	if images <= smallBatch || elements <= constants {
		return images
	}
	return min(images, max(partImages, partElements/elements))
}

// separable reports whether every step does to each image what it does to it alone, as far as it
// can tell: values have a batch's images along their first dimension, and as many dimensions as
// ranks says.
func (c *compiler) separable() bool {
	if len(c.inputs) != 1 || len(c.inputs[0].Shape) < 2 || c.inputs[0].Shape[0] >= 0 {
		return false
	}
	ranks := map[string]int{c.inputs[0].Name: len(c.inputs[0].Shape)}
	for i, proto := range c.nodes {
		if !c.needed[i] || c.initial(proto.GetOutput()[0]) != nil {
			continue
		}
		if len(proto.GetInput()) == 0 {
			return false
		}
		rank, ok := c.rankApart(proto, ranks)
		if !ok || len(proto.GetOutput()) != 1 {
			return false
		}
		ranks[proto.GetOutput()[0]] = rank
	}
	return !slices.ContainsFunc(c.outputs, func(name string) bool { return ranks[name] == 0 })
}

// rankApart returns the dimensions of a node's output, and whether the node takes each image by
// itself.
func (c *compiler) rankApart(proto *onnxpb.NodeProto, ranks map[string]int) (rank int, ok bool) {
	n := &node{proto: proto, opset: c.opset, uses: c.uses}
	first, computed := ranks[proto.GetInput()[0]]
	others := proto.GetInput()[1:]
	constant := !slices.ContainsFunc(others, func(name string) bool { return name != "" && c.initial(name) == nil })
	switch proto.GetOpType() {
	case "Conv", "BatchNormalization", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool":
		return first, computed && constant && first > 2
	case "Relu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Identity", "Dropout":
		return first, computed && constant
	case "Flatten":
		return 2, computed && n.integer("axis", 1) == 1
	case "Gemm":
		return 2, computed && constant && first == 2 && n.integer("transA", 0) == 0 && c.broadcasts(others[1:], 2)
	case "Concat":
		for _, name := range others {
			if ranks[name] != first {
				return 0, false
			}
		}
		return first, computed && n.integer("axis", 0) > 0
	case "Add", "Sub", "Mul", "Div":
		second, also := ranks[others[0]]
		switch {
		case computed && also:
			return first, first == second
		case computed:
			return first, c.broadcasts(others, first)
		case also:
			return second, c.broadcasts(proto.GetInput()[:1], second)
		}
	}
	return 0, false
}

// broadcasts reports whether constants are the same for each image of values of that many
// dimensions.
func (c *compiler) broadcasts(names []string, rank int) bool {
	for _, name := range names {
		if name == "" {
			continue
		}
		t := c.initial(name)
		if t == nil || len(t.Shape) > rank || len(t.Shape) == rank && t.Shape[0] != 1 {
			return false
		}
	}
	return true
}

// constants returns how many elements the values have that are the same in every run.
func (p *program) constants() int {
	elements := 0
	for _, t := range p.values {
		if t != nil {
			elements += t.elements()
		}
	}
	return elements
}

// elements returns how many elements the values of one more image take.
func (i *image) elements() int {
	if len(i.one) != len(i.two) {
		return 0
	}
	sum := 0
	for k, one := range i.one {
		sum += i.two[k].Elements - one.Elements
	}
	return sum
}

// executeParts runs a few images at a time and joins their answers.
func (e *Evaluator) executeParts(r *run, given []*Tensor, seen *image, images, part int) ([]*Tensor, error) {
	data, size := given[0].Data.([]float32), product(given[0].Shape[1:])
	plan := seen.plan(part)
	var joined []*Tensor
	for first := 0; first < images; first += part {
		n := min(part, images-first)
		if n < part {
			plan = seen.plan(n)
		}
		if err := e.arena.follow(plan); err != nil {
			return nil, err
		}
		x := &Tensor{Shape: append([]int{n}, given[0].Shape[1:]...), Data: data[first*size : (first+n)*size]}
		out, err := e.program.execute(r, []*Tensor{x}, nil)
		if err != nil {
			return nil, err
		}
		if joined == nil {
			if joined, err = r.joints(out, images, n); err != nil {
				return nil, err
			}
		}
		for i, t := range out {
			values, err := floats32(t, "output")
			if err != nil {
				return nil, err
			}
			copy(joined[i].Data.([]float32)[first*(len(values)/n):], values)
		}
	}
	return joined, nil
}

// joints returns room for the answers to all images, given those to the first n.
func (r *run) joints(out []*Tensor, images, n int) ([]*Tensor, error) {
	joined := make([]*Tensor, len(out))
	for i, t := range out {
		if len(t.Shape) == 0 || t.Shape[0] != n {
			return nil, fmt.Errorf("an output of %d images is %v", n, t)
		}
		shape := append([]int{images}, t.Shape[1:]...)
		elements, err := countElements(shape)
		if err != nil {
			return nil, err
		}
		// Counted for a moment: it is the caller's.
		if err := r.reserve(4*elements, "an output"); err != nil {
			return nil, err
		}
		r.unreserve(4 * elements)
		joined[i] = &Tensor{Shape: shape, Data: make([]float32, elements)}
	}
	return joined, nil
}
