package builder

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/ops"
)

// LayerNorm normalises over the channels at each position of a map, or over the features of a
// vector (Ba et al., 2016; PyTorch's LayerNorm of a vector, torchvision's LayerNorm2d of ConvNeXt):
// y = γ·(x − μ)/√(σ² + ε) + β with the mean and the variance of these channels, in training and in
// evaluation alike. normalised has the gradients. Its tensors are weight (γ) and bias (β), one
// number for each channel.
type LayerNorm struct {
	Name    string  `json:"name"`              // ln1, ln2, … if empty
	Epsilon float64 `json:"epsilon,omitempty"` // 1e-5 if zero
}

// Kind implements Layer.
func (LayerNorm) Kind() string   { return "LayerNorm" }
func (LayerNorm) prefix() string { return "ln" }

// Infer implements Layer.
func (l LayerNorm) Infer(inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	if err != nil {
		return Inferred{}, err
	}
	if err := fillEpsilon(&l.Epsilon); err != nil {
		return Inferred{}, err
	}
	return Inferred{Layer: l, Output: in, Tensors: affineTensors(in[0])}, nil
}

// Compute implements Layer.
func (l LayerNorm) Compute(call Call) (Computation, error) {
	channels := call.Output[0]
	area := call.Output.Elements() / channels
	return normalised{
		sets: call.Batch * area, size: channels, channels: channels, epsilon: l.Epsilon,
		at: func(set, i int) (place, channel int) {
			return (set/area*channels+i)*area + set%area, i
		},
	}.computation(), nil
}

func (l LayerNorm) native(p *place) (*gorgonia.Node, error) {
	return ops.NativeLayerNorm(p.kernels, p.in[0], p.tensors[0], p.tensors[1], l.Epsilon)
}

func (l LayerNorm) form(Call) ops.Description {
	return ops.Description{Kind: ops.SetNormForward, Norm: ops.Norm{Epsilon: l.Epsilon}}
}

// Export implements Exporter. ONNX has the operator itself since opset 17, over the last axes
// alone.
func (l LayerNorm) Export(e *Export) (string, error) {
	mean := func(step, x string) string {
		return e.Step(step, "ReduceMean", []string{x}, Integers("axes", 1), Integer("keepdims", 1))
	}
	x := e.Input(0)
	centred := e.Step("centred", "Sub", []string{x, mean("mean", x)})
	variance := mean("variance", e.Step("square", "Mul", []string{centred, centred}))
	sum := e.Step("sum", "Add", []string{variance, e.Floats("epsilon", []float32{float32(l.Epsilon)})})
	deviation := e.Step("deviation", "Sqrt", []string{sum})
	return e.affine(e.Step("normalised", "Div", []string{centred, deviation})), nil
}

func (LayerNorm) cases() []Case {
	return []Case{
		{LayerNorm{}, []Shape{{5, 3, 4}}},
		{LayerNorm{Epsilon: 1e-3}, []Shape{{11}}},
		{LayerNorm{}, []Shape{{17, 2, 2}}},
	}
}
