package builder

import (
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// GlobalAvgPool is the mean of each channel over its whole map: C×H×W gives C×1×1 (ONNX's
// GlobalAveragePool, PyTorch's AdaptiveAvgPool2d(1)). The gradient of each value is dy/(H·W).
type GlobalAvgPool struct {
	Name string `json:"name"` // globalavgpool1, … if empty
}

// Kind implements Layer.
func (GlobalAvgPool) Kind() string { return "GlobalAvgPool" }

// Infer implements Layer.
func (l GlobalAvgPool) Infer(inputs []Shape) (Inferred, error) {
	in, err := image(inputs)
	if err != nil {
		return Inferred{}, err
	}
	return Inferred{Layer: l, Output: Shape{in[0], 1, 1}}, nil
}

// Compute implements Layer.
func (GlobalAvgPool) Compute(call Call) (Computation, error) {
	area := call.Inputs[0][1] * call.Inputs[0][2]
	return Computation{
		Forward: func(y []float32, in [][]float32) error {
			for i := range y {
				sum := 0.0
				for _, x := range in[0][i*area : (i+1)*area] {
					sum += float64(x)
				}
				y[i] = float32(sum / float64(area))
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			for i, gradient := range dy {
				each := d[0][i*area : (i+1)*area]
				copy(each, slices.Repeat([]float32{gradient / float32(area)}, area))
			}
			return nil
		},
	}, nil
}

// native is an average over a window as large as the map, which the kernels take up to some size.
func (GlobalAvgPool) native(p *place) (*gorgonia.Node, error) {
	height, width := p.node.Input[1], p.node.Input[2]
	if height*width >= 1<<15 {
		return p.compute()
	}
	return ops.NativeAvgPool2D(p.kernels, p.in[0],
		sliding{kernel: Size{height, width}, stride: Square(1)}.window())
}

func (GlobalAvgPool) form(Call) ops.Description {
	return ops.Description{Kind: ops.GlobalAvgPoolForward}
}

// Export implements Exporter.
func (GlobalAvgPool) Export(e *Export) (string, error) {
	return e.Add("GlobalAveragePool", []string{e.Input(0)}), nil
}

func (GlobalAvgPool) cases() []Case {
	return []Case{
		{GlobalAvgPool{}, []Shape{{3, 5, 6}}},
		{GlobalAvgPool{}, []Shape{{2, 1, 1}}},
	}
}
