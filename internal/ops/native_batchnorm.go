package ops

import (
	"fmt"

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
	// Deferred leaves it to who reads y to compute it: a convolution alone. DeferredGradient, which
	// wants that too, leaves it to who made x, a convolution that nothing else reads, to compute the
	// gradient of x where that of y lies.
	Deferred, DeferredGradient bool
	// Sync, unless nil, makes of the statistics those of a batch of which x is a part.
	Sync kernel.BatchSync
	// Shards, where they are several, are equal shares of the rows, each of which is summed by itself
	// (Shards).
	Shards int
}

// NativeBatchNorm applies y = clamp(γ·(x − μ)/√(σ² + ε) + β) to x, N×H×W×C or N×C, whose last
// dimension is that of the channels; γ, β and the statistics that may be given are C. Only x, γ and
// β have gradients. The plan knows the statistics of the last run.
func NativeBatchNorm(kernels kernel.Engine, x, weight, bias, mean, variance *gorgonia.Node,
	options BatchNormOptions) (*gorgonia.Node, *kernel.BatchNorm, error) {
	plan, err := newBatchNorm(kernels, x, options)
	if err != nil {
		return nil, nil, err
	}
	c := Computation{
		Name: "BatchNorm", Output: x.Shape().Clone(),
		Forward: func(y []float32, in [][]float32) error {
			if y == nil {
				return plan.Prepare(in[0], in[1], in[2], in[3], in[4])
			}
			return plan.Forward(y, in[0], in[1], in[2], in[3], in[4])
		},
		Gradients: []Gradient{batchNormGradient(plan, options)},
	}
	if options.Deferred {
		c.deferred = plan
	}
	y, err := Apply(c, x, weight, bias, mean, variance)
	return y, plan, err
}

// newBatchNorm returns the plan for x. Where an operator that can take the sums of x computes it,
// it does: its one reader that normalises by the batch's own statistics.
func newBatchNorm(kernels kernel.Engine, x *gorgonia.Node,
	options BatchNormOptions) (*kernel.BatchNorm, error) {
	shape := x.Shape()
	channels := shape[shape.Dims()-1]
	config := kernel.BatchNormConfig{
		Rows: shape.TotalSize() / channels, Channels: channels, Epsilon: options.Epsilon,
		Batch: options.Batch,
		Low:   nan, High: nan, Sync: options.Sync, Shards: options.Shards,
	}
	if options.Clamped {
		config.Low, config.High = options.Low, options.High
	}
	plan, err := kernel.NewBatchNorm(kernels, config)
	if err != nil {
		return nil, err
	}
	if op, ours := x.Op().(*operator); ours && options.Batch && op.measure != nil {
		err = op.measure(plan)
		op.measure = nil
	}
	return plan, err
}

func batchNormGradient(plan *kernel.BatchNorm, options BatchNormOptions) Gradient {
	var shards *Shards
	if options.Shards > 1 {
		shards = &Shards{After: 1}
	}
	g := Gradient{
		Of: []int{0, 1, 2}, Reads: []int{0, 1}, shards: shards,
		// Backward without dx prepares the plan for who computes it.
		Run: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			if shards != nil {
				plan.SumTimes(shards.After)
			}
			return plan.Backward(d[0], d[1], d[2], dy, in[0], in[1])
		},
	}
	if options.DeferredGradient {
		g.deferred = plan
	}
	return g
}

// NativeBatchNormSum applies y = f(γ·(x − μ)/√(σ² + ε) + β + z), where f is ReLU or nothing: the
// end of a residual block in one pass. x and z have one shape. With g = dy where y > 0, or dy if
// there is no ReLU, g is the gradient of z, and x, γ and β have those of NativeBatchNorm for g.
// Neither may options clamp, nor defer the result.
func NativeBatchNormSum(kernels kernel.Engine, x, z, weight, bias, mean, variance *gorgonia.Node,
	relu bool, options BatchNormOptions) (*gorgonia.Node, *kernel.BatchNorm, error) {
	if options.Clamped || options.Deferred || !x.Shape().Eq(z.Shape()) {
		return nil, nil, fmt.Errorf("batch normalisation with a sum of %v and %v, options %+v", x.Shape(),
			z.Shape(), options)
	}
	plan, err := newBatchNorm(kernels, x, options)
	if err != nil {
		return nil, nil, err
	}
	c := Computation{Name: "BatchNormSum", Output: x.Shape().Clone()}
	low := nan
	if relu {
		c.Name, low = "BatchNormSumReLU", 0
	}
	c.Forward = func(y []float32, in [][]float32) error {
		return plan.ForwardSum(y, in[0], in[5], in[1], in[2], in[3], in[4], low)
	}
	y, err := Apply(c, x, weight, bias, mean, variance, z)
	if err != nil {
		return nil, nil, err
	}
	op, gradient := y.Op().(*operator), batchNormGradient(plan, options)
	op.differentiable = []bool{true, true, true, false, false, true}
	op.gradient = func(inputs gorgonia.Nodes, output, grad *gorgonia.Node,
		wanted []bool) (gorgonia.Nodes, error) {
		if relu {
			var err error
			if grad, err = Apply(Computation{
				Name: "ReLUGradient", Output: output.Shape().Clone(),
				Forward: func(d []float32, in [][]float32) error {
					return plan.ReLUGradient(d, in[0], in[1], in[2])
				},
			}, grad, output, inputs[0]); err != nil {
				return nil, err
			}
		}
		gradients := make(gorgonia.Nodes, len(inputs))
		err := gradient.apply(&c, gradients, inputs, output, grad, wanted)
		gradients[5] = grad
		return gradients, err
	}
	return y, plan, nil
}
