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
	return Apply(Computation{
		Name: "FlattenChannelsLast", Output: flat,
		Forward: func(y []float32, in [][]float32) error {
			ToChannelsFirst(y, in[0], shape)
			return nil
		},
		Gradients: []Gradient{{
			Of: []int{0},
			Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
				ToChannelsLast(d[0], dy, shape)
				return nil
			},
		}},
	}, x)
}
