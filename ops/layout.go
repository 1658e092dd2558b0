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
	transposeImages(last, first, shape[0], shape[3], shape[1]*shape[2])
}

// ToChannelsFirst is the inverse of ToChannelsLast.
func ToChannelsFirst(first, last []float32, shape tensor.Shape) {
	transposeImages(first, last, shape[0], shape[1]*shape[2], shape[3])
}

// transposeImages writes each image, rows×columns, as columns×rows.
func transposeImages(dst, src []float32, images, rows, columns int) {
	size := rows * columns
	if rows == 1 || columns == 1 {
		copy(dst, src[:images*size])
		return
	}
	for n := range images {
		from, to := src[n*size:(n+1)*size], dst[n*size:(n+1)*size]
		for r := range rows {
			at := r
			for _, x := range from[r*columns : (r+1)*columns] {
				to[at] = x
				at += rows
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
