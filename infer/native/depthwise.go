package native

import (
	"errors"

	"slipway/internal/kernel"
)

// depthwise computes a convolution of which each channel has one kernel of its own, with a plan of
// the kernels, and what follows it where that can.
func (c *convolution) depthwise(r *run, x, w *Tensor, bias []float32, addend *Tensor,
	f frame) (*Tensor, stage, error) {
	fail := func(err error) (*Tensor, stage, error) { return nil, convolved, err }
	channels := x.Shape[1]
	if w.Shape[0] != channels || w.Shape[1] != 1 || len(f.in) > 2 || !f.extends() {
		return fail(errNoPlan)
	}
	config := kernel.DepthwiseConfig{Batch: x.Shape[0], Channels: channels}
	config.Height, config.Width = pair(f.in, 1)
	config.KernelHeight, config.KernelWidth = pair(f.kernel, 1)
	config.StrideHeight, config.StrideWidth = pair(f.strides, 1)
	config.DilationHeight, config.DilationWidth = pair(f.dilations, 1)
	config.PaddingHeight, config.PaddingWidth = pair(f.begin, 0)
	config.ExtraHeight, config.ExtraWidth = f.extra()

	weight := c.kernels
	if weight == nil {
		weight = depthwiseKernels(w)
	}
	key := planKey{config.Batch, config.Height, config.Width, channels, channels,
		config.KernelHeight, config.KernelWidth, config.PaddingHeight, config.PaddingWidth}
	plan, done, err := c.depthwisePlan(r, config, key, addend == nil)
	if err != nil {
		return fail(err)
	}
	y, err := r.mapped(x, channels, f.out, func(y, image []float32) error {
		return plan.Forward(y, image, weight, bias)
	})
	if err != nil {
		return fail(err)
	}
	return y, done, nil
}

// depthwiseRun is a plan of the kernels for a depthwise convolution.
type depthwiseRun interface {
	Forward(y, x, w, b []float32) error
}

// depthwisePlan returns what computes y from x, weights and bias, and how far: whole vectors of
// channels are finished where nothing is to be added before.
func (c *convolution) depthwisePlan(r *run, config kernel.DepthwiseConfig, key planKey,
	finishing bool) (
	depthwiseRun, stage, error,
) {
	width := config.Width + 2*config.PaddingWidth + config.ExtraWidth
	taps, threads := config.KernelHeight*config.KernelWidth, r.engine.Pool.Threads()
	if config.Channels%8 == 0 {
		finish, done := noFinish(), convolved
		if finishing {
			finish, done = c.finish, finished
		}
		// A ring of rows for each thread, and the tables of taps.
		rows := config.DilationHeight*(config.KernelHeight-1) + 1
		plan, err := c.bandPlans.get(r, key, 64*threads*rows*width+32*rows*taps+8*config.Channels,
			func() (*kernel.DepthwiseForward, error) {
				return kernel.NewDepthwiseForward(r.engine, config, finish.kernel())
			})
		if err == nil {
			return plan, done, nil
		}
		if !errors.Is(err, errNoPlan) {
			return nil, convolved, err
		}
	}
	// A padded copy of an image for each thread, and the weights.
	padded := (config.Height + 2*config.PaddingHeight + config.ExtraHeight) * width
	plan, err := c.depthwisePlans.get(r, key, 4*(config.Channels+16)*(threads*padded+2*taps),
		func() (*kernel.Depthwise, error) { return kernel.NewDepthwise(r.engine, config) })
	if err != nil {
		return nil, convolved, err
	}
	return plan, convolved, nil
}

// depthwiseKernels returns C×1×KH×KW weights as KH×KW×C.
func depthwiseKernels(w *Tensor) []float32 {
	data, taps := w.Data.([]float32), product(w.Shape[2:])
	arranged := make([]float32, len(data))
	transpose(arranged, data, w.Shape[0], taps)
	return arranged
}
