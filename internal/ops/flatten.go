package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Flatten makes N×F of a tensor N×…, F being the product of the other
// dimensions, in the order of memory. Its gradient is that of the output in the
// input's shape. Neither copies values.
func Flatten(x *gorgonia.Node) (*gorgonia.Node, error) {
	shape := x.Shape().Clone()
	flat := tensor.Shape{shape[0], shape.TotalSize() / shape[0]}
	return reshape("Flatten", x, flat, func(grad *gorgonia.Node) (*gorgonia.Node, error) {
		return reshape("FlattenGradient", grad, shape, nil)
	})
}

// reshape is a view of x in another shape. (Gorgonia's Reshape changes the shape
// of its input's own value when it may write over it, which an operator that
// keeps its output cannot allow.)
func reshape(name string, x *gorgonia.Node, shape tensor.Shape,
	gradient func(*gorgonia.Node) (*gorgonia.Node, error)) (*gorgonia.Node, error) {
	var view *tensor.Dense
	var of []float32
	op := &operator{
		name: name, output: tensorType(shape.Dims()), shape: shape, inside: 0,
		differentiable: []bool{true},
		description:    Description{Kind: View},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			values, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			if view == nil || &values[0] != &of[0] {
				view = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))
				of = values
			}
			return view, nil
		},
	}
	if gradient != nil {
		op.gradient = func(_ gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
			node, err := gradient(grad)
			return gorgonia.Nodes{node}, err
		}
	}
	return op.apply(x)
}

// Reshape gives x another shape of as many values. Neither it nor its gradient
// copies values.
func Reshape(x *gorgonia.Node, shape ...int) (*gorgonia.Node, error) {
	if tensor.Shape(shape).TotalSize() != x.Shape().TotalSize() {
		return nil, fmt.Errorf("reshape %v to %v: other number of values", x.Shape(), shape)
	}
	before := x.Shape().Clone()
	return reshape("Reshape", x, shape, func(grad *gorgonia.Node) (*gorgonia.Node, error) {
		return reshape("ReshapeGradient", grad, before, nil)
	})
}
