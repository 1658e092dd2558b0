package builder

import (
	"fmt"

	"slipway/internal/ops"
)

// GroupNorm normalises each image over groups of channels that lie side by side, and their maps (Wu
// and He, 2018; PyTorch's GroupNorm): y = γ·(x − μ)/√(σ² + ε) + β with the mean and the variance of
// each group of each image, in training and in evaluation alike. One group is all channels, as many
// as channels is instance normalisation. normalised has the gradients. Its tensors are weight (γ)
// and bias (β), one number for each channel, or feature of a vector.
type GroupNorm struct {
	Name    string  `json:"name"`              // gn1, gn2, … if empty
	Groups  int     `json:"groups"`            // at least 1; divides the number of channels
	Epsilon float64 `json:"epsilon,omitempty"` // 1e-5 if zero
}

// Kind implements Layer.
func (GroupNorm) Kind() string   { return "GroupNorm" }
func (GroupNorm) prefix() string { return "gn" }

// Describe says the number of groups.
func (l GroupNorm) Describe() string { return fmt.Sprintf("groups=%d", l.Groups) }

// Infer implements Layer.
func (l GroupNorm) Infer(inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	if err != nil {
		return Inferred{}, err
	}
	if l.Groups < 1 || in[0]%l.Groups != 0 {
		return Inferred{}, fmt.Errorf(
			"%d groups of %d channels; their number must divide that of the channels", l.Groups, in[0])
	}
	if err := fillEpsilon(&l.Epsilon); err != nil {
		return Inferred{}, err
	}
	return Inferred{Layer: l, Output: in, Tensors: affineTensors(in[0])}, nil
}

// Compute implements Layer.
func (l GroupNorm) Compute(call Call) (Computation, error) {
	channels := call.Output[0]
	area := call.Output.Elements() / channels
	size := channels / l.Groups * area
	return normalised{
		sets: call.Batch * l.Groups, size: size, channels: channels, epsilon: l.Epsilon,
		at: func(set, i int) (place, channel int) {
			place = set*size + i
			return place, place / area % channels
		},
	}.computation(), nil
}

func (l GroupNorm) form(Call) ops.Description {
	return ops.Description{Kind: ops.SetNormForward,
		Norm: ops.Norm{Epsilon: l.Epsilon, Groups: l.Groups}}
}

// Export implements Exporter. ONNX has the operator itself since opset 18; InstanceNormalization of
// the groups as channels is the same, as PyTorch's exporter has it.
func (l GroupNorm) Export(e *Export) (string, error) {
	// 0 keeps the batch.
	groups := e.Int64s("groups", 0, int64(l.Groups), -1)
	shape := []int64{0}
	for _, side := range e.Call.Output {
		shape = append(shape, int64(side))
	}
	ones := make([]float32, l.Groups)
	for i := range ones {
		ones[i] = 1
	}
	grouped := e.Step("grouped", "Reshape", []string{e.Input(0), groups})
	standard := e.Step("normalised", "InstanceNormalization",
		[]string{grouped, e.Floats("ones", ones, l.Groups), e.Floats("zeros", make([]float32, l.Groups),
			l.Groups)},
		Number("epsilon", float32(l.Epsilon)))
	return e.affine(e.Step("ungrouped", "Reshape", []string{standard, e.Int64s("shape", shape...)})),
		nil
}

func (GroupNorm) cases() []Case {
	return []Case{
		{GroupNorm{Groups: 2}, []Shape{{4, 3, 5}}},
		{GroupNorm{Groups: 1, Epsilon: 1e-3}, []Shape{{3, 4, 2}}},
		{GroupNorm{Groups: 3}, []Shape{{12}}},
	}
}
