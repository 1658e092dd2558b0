package builder

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// BatchNorm normalises each channel, or feature of a vector, over the batch and its map (Ioffe and
// Szegedy, 2015; PyTorch's BatchNorm1d and BatchNorm2d, ONNX's BatchNormalization):
//
//	y = γ·(x − μ)/√(σ² + ε) + β
//
// In training μ and σ² are the batch's mean and variance (divided by the number of values, m), and
// after each step
//
//	running_mean ← (1 − momentum)·running_mean + momentum·μ
//	running_var  ← (1 − momentum)·running_var  + momentum·σ²·m/(m − 1).
//
// In evaluation they are running_mean and running_var. With x̂ = (x − μ)/√(σ² + ε) the
// gradients in training are dγ = Σ dy·x̂, dβ = Σ dy and
//
//	dx = γ/√(σ² + ε) · (dy − dβ/m − x̂·dγ/m).
//
// Its tensors are weight (γ), bias (β), running_mean and running_var, one number for each channel.
type BatchNorm struct {
	Name string `json:"name"` // bn1, bn2, … if empty
	// Momentum is the weight of a batch in the running statistics, 0.1 if zero; at most 1.
	Momentum float64 `json:"momentum,omitempty"`
	// Epsilon is ε, 1e-5 if zero.
	Epsilon float64 `json:"epsilon,omitempty"`
	// Frozen normalises with the running statistics in training, too, and leaves them as they are.
	Frozen bool `json:"frozen,omitempty"`
	// Init is how γ begins, ones if empty. Zeros make a residual block begin as the identity.
	Init Initial `json:"init,omitempty"`
}

// Kind implements Layer.
func (BatchNorm) Kind() string   { return "BatchNorm" }
func (BatchNorm) prefix() string { return "bn" }

// Infer implements Layer.
func (l BatchNorm) Infer(inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	if err != nil {
		return Inferred{}, err
	}
	if l.Momentum == 0 {
		l.Momentum = 0.1
	}
	if err := fillEpsilon(&l.Epsilon); err != nil {
		return Inferred{}, err
	}
	if !(l.Momentum > 0 && l.Momentum <= 1) {
		return Inferred{}, fmt.Errorf("momentum %v is outside 0 < m ≤ 1", l.Momentum)
	}
	scale := Ones
	if l.Init != "" {
		if l.Init != Zeros && l.Init != Ones {
			return Inferred{}, fmt.Errorf("init %q; γ begins as zeros or ones", string(l.Init))
		}
		scale = l.Init
	}
	channels := Shape{in[0]}
	return Inferred{
		Layer: l, Output: in, WholeBatch: !l.Frozen,
		Tensors: []TensorSpec{
			{Name: "weight", Shape: channels, Initial: scale, Plain: true},
			{Name: "bias", Shape: channels, Initial: Zeros, Plain: true},
			{Name: "running_mean", Shape: channels, Role: Statistic, Initial: Zeros},
			{Name: "running_var", Shape: channels, Role: Statistic, Initial: Ones, NotNegative: true},
		},
	}, nil
}

// Compute implements Layer.
func (l BatchNorm) Compute(call Call) (Computation, error) {
	channels := call.Output[0]
	area := call.Output.Elements() / channels
	rows := call.Batch * area
	m, all := float64(rows), float64(rows) // all: of the whole batch
	batch := call.Training && !l.Frozen
	sync := call.sync
	if !batch {
		sync = nil
	}
	mean, variance := make([]float64, channels), make([]float64, channels)
	sums, products := make([]float64, channels), make([]float64, channels)
	// each calls f for the values of a channel.
	each := func(channel int, f func(i int)) {
		for n := range call.Batch {
			first := (n*channels + channel) * area
			for i := first; i < first+area; i++ {
				f(i)
			}
		}
	}
	c := Computation{
		Forward: func(y []float32, in [][]float32) error {
			x := in[0]
			for c := range channels {
				mean[c], variance[c] = float64(in[3][c]), float64(in[4][c])
				if batch {
					mean[c], variance[c] = 0, 0
					each(c, func(i int) { mean[c] += float64(x[i]) / m })
					each(c, func(i int) {
						variance[c] += (float64(x[i]) - mean[c]) * (float64(x[i]) - mean[c]) / m
					})
				}
			}
			if sync != nil {
				of, err := sync.Moments(rows, mean, variance)
				if err != nil {
					return err
				}
				all = float64(of)
			}
			for c := range channels {
				factor := float64(in[1][c]) / math.Sqrt(variance[c]+l.Epsilon)
				each(c, func(i int) { y[i] = float32((float64(x[i])-mean[c])*factor + float64(in[2][c])) })
			}
			return nil
		},
		Backward: func(d [][]float32, dy, _ []float32, in [][]float32) error {
			x := in[0]
			for c := range channels {
				inverse := 1 / math.Sqrt(variance[c]+l.Epsilon)
				sums[c], products[c] = 0, 0
				each(c, func(i int) {
					products[c] += float64(dy[i]) * (float64(x[i]) - mean[c]) * inverse
					sums[c] += float64(dy[i])
				})
				if d[1] != nil {
					d[1][c] = float32(products[c])
				}
				if d[2] != nil {
					d[2][c] = float32(sums[c])
				}
			}
			if sync != nil {
				if err := sync.Sums(rows, sums, products); err != nil {
					return err
				}
			}
			if d[0] == nil {
				return nil
			}
			for c := range channels {
				inverse := 1 / math.Sqrt(variance[c]+l.Epsilon)
				factor := float64(in[1][c]) * inverse
				each(c, func(i int) {
					g := float64(dy[i])
					if batch {
						g -= sums[c]/all + (float64(x[i])-mean[c])*inverse*products[c]/all
					}
					d[0][i] = float32(factor * g)
				})
			}
			return nil
		},
	}
	if batch {
		c.Update = func(tensors [][]float32) {
			for c := range channels {
				l.update(tensors[2], tensors[3], c, mean[c], variance[c], all)
			}
		}
	}
	return c, nil
}

// native takes up a ReLU or ReLU6 behind it, or a sum with one more value and the ReLU behind that.
func (l BatchNorm) native(p *place) (*gorgonia.Node, error) {
	batch := p.options.Training && !l.Frozen
	options := ops.BatchNormOptions{Epsilon: l.Epsilon, Batch: batch, Sync: p.sync(),
		Shards: p.options.Shards}
	var y *gorgonia.Node
	var plan *kernel.BatchNorm
	var err error
	t := p.tensors
	if other := p.fuseSum(); other != nil {
		_, relu := p.fuse(ReLU{}.Kind())
		y, plan, err = ops.NativeBatchNormSum(p.kernels, p.in[0], other, t[0], t[1], t[2], t[3], relu,
			options)
	} else {
		if _, ok := p.fuse(ReLU{}.Kind()); ok {
			options.Clamped, options.High = true, float32(math.NaN())
		} else if _, ok := p.fuse(ReLU6{}.Kind()); ok {
			options.Clamped, options.High = true, 6
		}
		options.Deferred = p.normalisedByReader()
		options.DeferredGradient = options.Deferred && p.normalisesConvolution()
		y, plan, err = ops.NativeBatchNorm(p.kernels, p.in[0], t[0], t[1], t[2], t[3], options)
	}
	if err != nil || !batch {
		return y, err
	}
	p.update(func(tensors [][]float32) {
		mean, variance := plan.Statistics()
		m := float64(plan.StatisticsRows())
		for c := range mean {
			l.update(tensors[2], tensors[3], c, mean[c], variance[c], m)
		}
	})
	return y, nil
}

// normalisedByReader reports whether a convolution alone reads the result, which can compute it by
// itself.
func (p *place) normalisedByReader() bool {
	next, ok := p.next(Conv2D{}.Kind())
	return ok && next.(Conv2D).normalises(p.node.Output)
}

// normalisesConvolution reports whether the input is that of a convolution, which can compute the
// input's gradient by itself, and nobody else asks for it.
func (p *place) normalisesConvolution() bool {
	at := p.node.Inputs[0]
	if at < 0 || len(p.consumers[at]) != 1 ||
		slices.Contains(p.options.Keep, p.network.nodes[at].Name) {
		return false
	}
	node := p.network.nodes[at]
	convolution, ok := node.Layer.(Conv2D)
	return ok && convolution.normalises(node.Input)
}

// update brings the running statistics of a channel up to date. The variance of one value alone
// is not known, and changes nothing.
func (l BatchNorm) update(runningMean, runningVariance []float32, channel int, mean, variance,
	m float64) {
	keep := 1 - l.Momentum
	runningMean[channel] = float32(keep*float64(runningMean[channel]) + l.Momentum*mean)
	if m > 1 {
		runningVariance[channel] = float32(keep*float64(runningVariance[channel]) +
			l.Momentum*variance*m/(m-1))
	}
}

func (l BatchNorm) form(call Call) ops.Description {
	return ops.Description{Kind: ops.BatchNormForward, Norm: ops.Norm{
		Epsilon: l.Epsilon, Batch: call.Training && !l.Frozen, Momentum: l.Momentum,
	}}
}

// Export implements Exporter.
func (l BatchNorm) Export(e *Export) (string, error) {
	// training_mode came with opset 14.
	return e.Add("BatchNormalization", e.parameters(), Number("epsilon", float32(l.Epsilon)),
		Number("momentum", float32(1-l.Momentum))), nil
}

func (BatchNorm) cases() []Case {
	return []Case{
		{BatchNorm{}, []Shape{{3, 5, 6}}},
		{BatchNorm{Momentum: 0.3, Epsilon: 1e-3}, []Shape{{7}}},
		{BatchNorm{Frozen: true, Init: Ones}, []Shape{{3, 4, 2}}},
	}
}
