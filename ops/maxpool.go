package ops

import (
	"gorgonia.org/gorgonia"
)

// MaxPool2D applies yₒ = max over the window of x, N×C×H×W to N×C×H'×W'. Padding
// counts as −∞; a NaN in the window is its maximum. The gradient goes to the
// maximum, and to the first in reading order where there are several, as in
// PyTorch. (Gorgonia's own panics on a window of NaN.)
func MaxPool2D(x *gorgonia.Node, window Window) (*gorgonia.Node, error) {
	p, err := newPooling(x.Shape(), window)
	if err != nil {
		return nil, err
	}
	inputShape := x.Shape().Clone()
	y, yValues := newTensor(p.output...)
	winners := make([]int, len(yValues))
	forward := &operator{
		name: "MaxPool2D", output: tensorType(4), shape: p.output,
		differentiable: []bool{true},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			xValues, err := float32s(inputs[0])
			if err != nil {
				return nil, err
			}
			p.each(func(output, base, top, bottom, left, right int) {
				winner := base + top*p.width + left
				for i := top; i < bottom; i++ {
					for j := left; j < right; j++ {
						at := base + i*p.width + j
						if candidate := xValues[at]; candidate > xValues[winner] || candidate != candidate {
							winner = at
						}
					}
				}
				winners[output] = winner
				yValues[output] = xValues[winner]
			})
			return y, nil
		},
		gradient: func(_ gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			dx, dxValues := newTensor(inputShape...)
			backward := &operator{
				name: "MaxPool2DGradient", output: tensorType(4), shape: inputShape,
				run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
					dy, err := float32s(inputs[0])
					if err != nil {
						return nil, err
					}
					clear(dxValues)
					for output, winner := range winners {
						dxValues[winner] += dy[output]
					}
					return dx, nil
				},
			}
			// The output is an input, so that the winners are this step's.
			node, err := backward.apply(grad, output)
			return gorgonia.Nodes{node}, err
		},
	}
	return forward.apply(x)
}
