package ops

import (
	"gorgonia.org/gorgonia"
)

// AvgPool2D applies yₒ = 1/(kernel height · kernel width) · Σ over the window of
// x, N×C×H×W to N×C×H'×W'. Padding counts as zeros that are part of the mean
// (PyTorch's count_include_pad). Its gradient spreads dyₒ evenly over the
// window.
func AvgPool2D(x *gorgonia.Node, window Window) (*gorgonia.Node, error) {
	p, err := newPooling(x.Shape(), window)
	if err != nil {
		return nil, err
	}
	inputShape := x.Shape().Clone()
	share := 1 / float64(window.KernelHeight*window.KernelWidth)
	y, yValues := newTensor(p.output...)
	forward := &operator{
		name: "AvgPool2D", output: tensorType(4), shape: p.output,
		differentiable: []bool{true},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			xValues, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			p.each(func(output, base, top, bottom, left, right int) {
				sum := 0.0
				for i := top; i < bottom; i++ {
					for j := left; j < right; j++ {
						sum += float64(xValues[base+i*p.width+j])
					}
				}
				yValues[output] = float32(sum * share)
			})
			return y, nil
		},
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			dx, dxValues := newTensor(inputShape...)
			backward := &operator{
				name: "AvgPool2DGradient", output: tensorType(4), shape: inputShape,
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					dy, err := float32s(inputs[0])
					if err != nil {
						return nil, err
					}
					clear(dxValues)
					p.each(func(output, base, top, bottom, left, right int) {
						part := float32(float64(dy[output]) * share)
						for i := top; i < bottom; i++ {
							for j := left; j < right; j++ {
								dxValues[base+i*p.width+j] += part
							}
						}
					})
					return dx, nil
				},
			}
			node, err := backward.apply(grad)
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(x)
}
