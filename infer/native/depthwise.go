package native

import (
	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// depthwise computes a convolution of which each channel has one kernel of its own, with a plan of
// the kernels, and the Relu after it.
func (c *convolution) depthwise(r *run, x, w *Tensor, bias []float32, f frame) (*Tensor, error) {
	channels := x.Shape[1]
	if w.Shape[0] != channels || w.Shape[1] != 1 || len(f.in) > 2 {
		return nil, errNoPlan
	}
	for i := range f.in {
		if f.begin[i] < 0 || f.end[i] < f.begin[i] {
			return nil, errNoPlan
		}
	}
	config := kernel.DepthwiseConfig{Batch: x.Shape[0], Channels: channels}
	config.Height, config.Width = pair(f.in, 1)
	config.KernelHeight, config.KernelWidth = pair(f.kernel, 1)
	config.StrideHeight, config.StrideWidth = pair(f.strides, 1)
	config.DilationHeight, config.DilationWidth = pair(f.dilations, 1)
	config.PaddingHeight, config.PaddingWidth = pair(f.begin, 0)
	endHeight, endWidth := pair(f.end, 0)
	config.ExtraHeight = endHeight - config.PaddingHeight
	config.ExtraWidth = endWidth - config.PaddingWidth

	weight := c.kernels
	if weight == nil {
		weight = depthwiseKernels(w)
	}
	key := planKey{config.Batch, config.Height, config.Width, channels, channels,
		config.KernelHeight, config.KernelWidth, config.PaddingHeight, config.PaddingWidth}
	// A padded copy of an image for each thread, and the weights.
	padded := (config.Height + config.PaddingHeight + endHeight) *
		(config.Width + config.PaddingWidth + endWidth)
	taps := config.KernelHeight * config.KernelWidth
	bytes := 4 * (channels + 16) * (r.engine.Pool.Threads()*padded + 2*taps)
	plan, err := c.depthwisePlans.get(r, key, bytes, func() (*kernel.Depthwise, error) {
		return kernel.NewDepthwise(r.engine, config)
	})
	if err != nil {
		return nil, err
	}
	image, err := r.toChannelsLast(x)
	if err != nil {
		return nil, err
	}
	defer r.release(image)
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, append([]int{x.Shape[0], channels}, f.out...))
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	to := y.Data.([]float32)
	err = plan.Forward(to, image.Data.([]float32), weight, bias)
	if err == nil && c.relu {
		err = r.elements.ReLU(to, to)
	}
	if err != nil {
		r.release(y)
		return nil, err
	}
	return y, nil
}

// depthwiseKernels returns C×1×KH×KW weights as KH×KW×C.
func depthwiseKernels(w *Tensor) []float32 {
	data, taps := w.Data.([]float32), product(w.Shape[2:])
	arranged := make([]float32, len(data))
	transpose(arranged, data, w.Shape[0], taps)
	return arranged
}
