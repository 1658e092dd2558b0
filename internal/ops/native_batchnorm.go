package ops

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
)

// BatchNormOptions say how NativeBatchNorm normalises.
type BatchNormOptions struct {
	Epsilon float64
	// Batch takes the batch's own statistics, and not those that are given.
	Batch bool
	// Clamped bounds the result by Low and High, as ReLU (0 and NaN) and ReLU6 (0 and 6) do.
	Clamped   bool
	Low, High float32
}

// NativeBatchNorm applies y = clamp(γ·(x − μ)/√(σ² + ε) + β) to x, N×H×W×C or N×C, whose last dimension is that of
// the channels; γ, β and the statistics that may be given are C. Only x, γ and β have gradients. The
// plan knows the statistics of the last run.
func NativeBatchNorm(kernels kernel.Engine, x, weight, bias, mean, variance *gorgonia.Node, options BatchNormOptions) (*gorgonia.Node, *kernel.BatchNorm, error) {
	shape := x.Shape()
	channels := shape[shape.Dims()-1]
	config := kernel.BatchNormConfig{
		Rows: shape.TotalSize() / channels, Channels: channels, Epsilon: options.Epsilon, Batch: options.Batch,
		Low: nan, High: nan,
	}
	if options.Clamped {
		config.Low, config.High = options.Low, options.High
	}
	plan, err := kernel.NewBatchNorm(kernels, config)
	if err != nil {
		return nil, nil, err
	}
	y, err := Apply(Computation{
		Name: "BatchNorm", Output: shape.Clone(),
		Forward: func(y []float32, in [][]float32) error {
			return plan.Forward(y, in[0], in[1], in[2], in[3], in[4])
		},
		Gradients: []Gradient{{
			Of: []int{0, 1, 2}, Reads: []int{0, 1},
			Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
				return plan.Backward(d[0], d[1], d[2], dy, in[0], in[1])
			},
		}},
	}, x, weight, bias, mean, variance)
	return y, plan, err
}
