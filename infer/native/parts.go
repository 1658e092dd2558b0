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

// A part has images of partElements values, but partImages at least.
const partImages, partElements = 1, 1 << 20

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
	constant := !slices.ContainsFunc(others, func(name string) bool {
		return name != "" && c.initial(name) == nil
	})
	if _, ok := c.joined[proto]; ok {
		return first, computed
	}
	switch proto.GetOpType() {
	case "Conv", "BatchNormalization", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool":
		return first, computed && constant && first > 2
	case "Relu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Identity",
		"Dropout":
		return first, computed && constant
	case "Flatten":
		return 2, computed && n.integer("axis", 1) == 1
	case "Gemm":
		return 2, computed && constant && first == 2 && n.integer("transA", 0) == 0 &&
			c.broadcasts(others[1:], 2)
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

// span is which images of a batch a run is of: n of them from the first on, of so many. The zero
// value is a run of the whole.
type span struct{ first, n, images int }

// few is the memory in which a few images of a batch lie for a run of them: of its own, as a part
// of the caller's slice in an interface would be allocated for each run.
type few struct {
	tensor Tensor
	given  []*Tensor // tensor alone
	memory memory
}

// take copies a span of the images to the memory.
func (f *few) take(a *arena, given *Tensor, of span) ([]*Tensor, error) {
	data, size := given.Data.([]float32), product(given.Shape[1:])
	elements := of.n * size
	if len(f.memory.floats) < elements {
		a.unreserve(f.memory.bytes)
		f.memory = memory{}
		if err := a.reserve(4*elements, "a part of the input"); err != nil {
			return nil, err
		}
		f.memory = memory{bytes: 4 * elements, floats: make([]float32, elements)}
	}
	if f.given == nil {
		f.given = []*Tensor{&f.tensor}
	}
	copy(f.memory.floats, data[of.first*size:][:elements])
	f.tensor = Tensor{
		Shape: append(append(f.tensor.Shape[:0], of.n), given.Shape[1:]...),
		Data:  f.memory.data(elements),
	}
	return f.given, nil
}

// executeParts runs a few images at a time and joins their answers, in the outputs if there are
// any.
func (e *Evaluator) executeParts(r *run, given, outputs []*Tensor, seen *image, images, part int) (
	[]*Tensor, error,
) {
	for first := 0; first < images; first += part {
		of := span{first: first, n: min(part, images-first), images: images}
		x, err := e.few.take(e.arena, given[0], of)
		if err != nil {
			return nil, err
		}
		if err := e.arena.follow(seen.plan(of.n)); err != nil {
			return nil, err
		}
		if outputs, err = e.program.execute(r, x, outputs, of); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// joint copies a span's answer to its place in a tensor of the caller's, which the first span
// gives the shape of the whole batch's, and room where it has not as much as that takes.
func (r *run) joint(t, own *Tensor, of span) error {
	values, err := floats32(t, "output")
	if err != nil {
		return err
	}
	if len(t.Shape) == 0 || t.Shape[0] != of.n {
		return fmt.Errorf("an output of %d images is %v", of.n, t)
	}
	if of.first == 0 {
		own.Shape = append(append(own.Shape[:0], of.images), t.Shape[1:]...)
		elements, err := countElements(own.Shape)
		if err != nil {
			return err
		}
		if have, ok := own.Data.([]float32); !ok || len(have) != elements {
			// Counted for a moment: it is the caller's.
			if err := r.reserve(4*elements, "an output"); err != nil {
				return err
			}
			r.unreserve(4 * elements)
			own.Data = make([]float32, elements)
		}
	}
	copy(own.Data.([]float32)[of.first*(len(values)/of.n):], values)
	return nil
}
