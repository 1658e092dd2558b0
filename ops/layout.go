package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Layout says in which order a four-dimensional tensor's values lie in memory.
// Tensors of two dimensions lie the same way in both.
type Layout int

const (
	// ChannelsFirst is N×C×H×W, the layout of ONNX and of the reference engine.
	ChannelsFirst Layout = iota
	// ChannelsLast is N×H×W×C, the layout of the native engine.
	ChannelsLast
)

// ToChannelsLast copies values in channels-first order of an N×H×W×C tensor
// into that tensor's order. shape is the tensor's: N, H, W, C.
func ToChannelsLast(last, first []float32, shape tensor.Shape) {
	eachValue(shape, func(inLast, inFirst int) { last[inLast] = first[inFirst] })
}

// ToChannelsFirst is the inverse of ToChannelsLast.
func ToChannelsFirst(first, last []float32, shape tensor.Shape) {
	eachValue(shape, func(inLast, inFirst int) { first[inFirst] = last[inLast] })
}

// eachValue visits the places of every value of an N×H×W×C tensor in both
// orders.
func eachValue(shape tensor.Shape, visit func(inLast, inFirst int)) {
	batch, area, channels := shape[0], shape[1]*shape[2], shape[3]
	for n := range batch {
		for position := range area {
			for c := range channels {
				visit((n*area+position)*channels+c, (n*channels+c)*area+position)
			}
		}
	}
}

// FlattenChannelsLast is Flatten of an N×H×W×C tensor whose output is in the
// order of the N×C×H×W one. Its gradient goes the way back.
func FlattenChannelsLast(x *gorgonia.Node) (*gorgonia.Node, error) {
	shape := x.Shape().Clone()
	flat := tensor.Shape{shape[0], shape.TotalSize() / shape[0]}
	y, yValues := newTensor(flat...)
	forward := &operator{
		name: "FlattenChannelsLast", output: tensorType(2), shape: flat,
		differentiable: []bool{true},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			xValues, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			ToChannelsFirst(yValues, xValues, shape)
			return y, nil
		},
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			dx, dxValues := newTensor(shape...)
			backward := &operator{
				name: "FlattenChannelsLastGradient", output: tensorType(4), shape: shape,
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					dy, err := float32s(inputs[0])
					if err != nil {
						return nil, err
					}
					ToChannelsLast(dxValues, dy, shape)
					return dx, nil
				},
			}
			node, err := backward.apply(grad)
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(x)
}
