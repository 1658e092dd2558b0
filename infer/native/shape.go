package native

import (
	"errors"
	"fmt"

	"slipway/onnx/onnxpb"
)

func makeIdentity(*node) (operation, error) {
	return func(r *run, in []*Tensor) ([]*Tensor, error) { return r.list(r.same(in[0])), nil }, nil
}

// makeDropout makes the identity, which Dropout is where nothing is trained; its
// mask is true everywhere. Before opset 10 the mask is of the input's own type and
// runtimes fill it differently; exporters named it all the same, and no one read it.
func makeDropout(n *node) (operation, error) {
	mask := n.gives(1)
	if mask && n.opset < 10 {
		return nil, errors.New("its mask is not supported before opset 10")
	}
	if n.has(2) && n.constant(2) == nil {
		return nil, errors.New("its input training_mode is computed, which is not supported")
	}
	if t := n.constant(2); t != nil {
		if training, ok := t.Data.([]bool); !ok || len(training) != 1 || training[0] {
			return nil, errors.New(
				"its input training_mode is true, which is not supported; export the model for inference")
		}
	}
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		outputs := []*Tensor{r.same(in[0])}
		if !mask {
			return outputs, nil
		}
		kept, err := r.tensor(onnxpb.TensorProto_BOOL, in[0].Shape)
		if err != nil {
			r.release(outputs[0])
			return nil, err
		}
		fill(kept, &Tensor{Data: []bool{true}})
		return append(outputs, kept), nil
	}, nil
}

func makeConstant(n *node) (operation, error) {
	if len(n.proto.GetAttribute()) != 1 {
		return nil, fmt.Errorf("it has %d attributes; Constant has exactly one",
			len(n.proto.GetAttribute()))
	}
	a := n.proto.GetAttribute()[0]
	var t *Tensor
	switch a.GetName() {
	case "value":
		var err error
		if t, err = tensorOf(a.GetT()); err != nil {
			return nil, fmt.Errorf("attribute value: %w", err)
		}
	case "value_float":
		t = &Tensor{Data: []float32{a.GetF()}}
	case "value_floats":
		t = &Tensor{Shape: []int{len(a.GetFloats())}, Data: a.GetFloats()}
	case "value_int":
		t = &Tensor{Data: []int64{a.GetI()}}
	case "value_ints":
		t = &Tensor{Shape: []int{len(a.GetInts())}, Data: a.GetInts()}
	}
	return func(*run, []*Tensor) ([]*Tensor, error) { return []*Tensor{t}, nil }, nil
}

// shapeFrom reads sizes from a tensor.
func shapeFrom(t *Tensor) ([]int, error) {
	values, err := t.integers()
	if err != nil {
		return nil, err
	}
	if len(t.Shape) != 1 || len(values) > maxRank {
		return nil, fmt.Errorf("the shape is given as %v; a vector of at most %d sizes is wanted", t,
			maxRank)
	}
	shape := make([]int, len(values))
	for i, v := range values {
		if v < -1 || v > maxElements {
			return nil, fmt.Errorf("the shape %v is none", values)
		}
		shape[i] = int(v)
	}
	return shape, nil
}

// maxRank bounds the dimensions of a tensor, as onnx.Check does.
const maxRank = 64

func makeConstantOfShape(n *node) (operation, error) {
	value := &Tensor{Data: []float32{0}}
	if a := n.attribute("value"); a != nil {
		var err error
		if value, err = tensorOf(a.GetT()); err != nil {
			return nil, fmt.Errorf("attribute value: %w", err)
		}
		if value.elements() != 1 {
			return nil, fmt.Errorf("attribute value is %v; it must be a single number", value)
		}
	}
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		shape, err := shapeFrom(in[0])
		if err != nil {
			return nil, err
		}
		y, err := r.tensor(value.Type(), shape)
		if err != nil {
			return nil, err
		}
		fill(y, value)
		return r.list(y), nil
	}, nil
}

func (r *run) int64s(values []int, shape []int) (*Tensor, error) {
	y, err := r.tensor(onnxpb.TensorProto_INT64, shape)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		y.Data.([]int64)[i] = int64(v)
	}
	return y, nil
}

func makeShape(n *node) (operation, error) {
	start, end := n.integer("start", 0), n.integer("end", maxRank)
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		rank := int64(len(in[0].Shape))
		clamp := func(i int64) int64 {
			if i < 0 {
				i = max(0, i+rank)
			}
			return min(i, rank)
		}
		from := clamp(start)
		sizes := in[0].Shape[from:max(from, clamp(end))]
		y, err := r.int64s(sizes, []int{len(sizes)})
		return r.list(y), err
	}, nil
}

func makeSize(*node) (operation, error) {
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		y, err := r.int64s([]int{in[0].elements()}, nil)
		return r.list(y), err
	}, nil
}

func makeReshape(n *node) (operation, error) {
	allowZero := n.integer("allowzero", 0) != 0
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		shape, err := shapeFrom(in[1])
		if err != nil {
			return nil, err
		}
		free, rest := -1, 1
		for i, size := range shape {
			switch {
			case size == 0 && !allowZero:
				if i >= len(x.Shape) {
					return nil, fmt.Errorf("the shape %v copies dimension %d, which its input %v does not have",
						shape, i, x)
				}
				shape[i] = x.Shape[i]
			case size == -1 && free >= 0:
				return nil, fmt.Errorf("the shape %v has more than one -1", shape)
			case size == -1:
				free = i
			}
		}
		fixed := append([]int(nil), shape...)
		if free >= 0 {
			fixed[free] = 1
		}
		if rest, err = countElements(fixed); err != nil {
			return nil, err
		}
		if free >= 0 {
			if rest == 0 || x.elements()%rest != 0 {
				return nil, fmt.Errorf("its input %v does not fit the shape %v", x, shape)
			}
			shape[free] = x.elements() / rest
		} else if rest != x.elements() {
			return nil, fmt.Errorf("its input %v does not fit the shape %v", x, shape)
		}
		return r.list(r.view(x, shape)), nil
	}), nil
}

func makeFlatten(n *node) (operation, error) {
	axis := n.integer("axis", 1)
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		rank := int64(len(x.Shape))
		at := axis
		if at < 0 {
			at += rank
		}
		if at < 0 || at > rank {
			return nil, fmt.Errorf("axis %d is outside of the %d dimensions", axis, rank)
		}
		return r.list(r.view(x, r.images(product(x.Shape[:at]), product(x.Shape[at:]), nil))), nil
	}), nil
}

// axesInput returns the axes, which are an attribute before an opset and an input
// since; given is false where there are none.
func axesInput(n *node, since int64, input int) (func(in []*Tensor) (axes []int64, given bool,
	err error), error) {
	fromAttribute, given := n.list("axes")
	if n.opset >= since && given {
		return nil, fmt.Errorf("attribute axes is an input since opset %d", since)
	}
	if n.opset < since && n.has(input) {
		return nil, fmt.Errorf("its axes are an attribute before opset %d, not an input", since)
	}
	return func(in []*Tensor) ([]int64, bool, error) {
		if input >= len(in) || in[input] == nil {
			return fromAttribute, given, nil
		}
		axes, err := in[input].integers()
		return axes, true, err
	}, nil
}

func makeSqueeze(n *node) (operation, error) {
	axesOfRun, err := axesInput(n, 13, 1)
	if err != nil {
		return nil, err
	}
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		axes, given, err := axesOfRun(in)
		if err != nil {
			return nil, err
		}
		meant, err := axesOf(axes, len(x.Shape))
		if err != nil {
			return nil, err
		}
		var shape []int
		for i, size := range x.Shape {
			switch {
			case given && meant[i] && size != 1:
				return nil, fmt.Errorf("dimension %d of its input %v is not 1", i, x)
			case given && !meant[i], !given && size != 1:
				shape = append(shape, size)
			}
		}
		return r.list(r.view(x, shape)), nil
	}), nil
}

func makeUnsqueeze(n *node) (operation, error) {
	axesOfRun, err := axesInput(n, 13, 1)
	if err != nil {
		return nil, err
	}
	return ordered(func(r *run, in []*Tensor) ([]*Tensor, error) {
		x := in[0]
		axes, given, err := axesOfRun(in)
		if err != nil {
			return nil, err
		}
		if !given || len(axes)+len(x.Shape) > maxRank {
			return nil, errors.New("it has no axes, or too many")
		}
		meant, err := axesOf(axes, len(x.Shape)+len(axes))
		if err != nil {
			return nil, err
		}
		shape, rest := make([]int, 0, len(meant)), x.Shape
		for _, added := range meant {
			if added {
				shape = append(shape, 1)
				continue
			}
			shape, rest = append(shape, rest[0]), rest[1:]
		}
		return r.list(r.view(x, shape)), nil
	}), nil
}
