package kernel

// inputConv2D is the input's gradient as a convolution by Winograd's minimal filtering: of dy, with
// the kernel turned by half a turn and channels and filters changing places. It rounds as the
// forward pass does.
type inputConv2D struct {
	conv    *Conv2D
	plan    *Conv2D
	weights []float32 // C×KH×KW×O, where the direct sum is asked for
	task    func(worker, channel int)
}

// newInputConv2D returns nil where that is not the better way.
func newInputConv2D(c *Conv2D) *inputConv2D {
	f := &c.config
	if f.Direct || f.ReLU || f.MaxPool != nil || f.StrideHeight != 1 || f.StrideWidth != 1 ||
		f.ExtraHeight != 0 || f.ExtraWidth != 0 || f.PaddingHeight >= f.KernelHeight ||
		f.PaddingWidth >= f.KernelWidth {
		return nil
	}
	plan, err := NewConv2D(c.whole, Conv2DConfig{
		Batch: f.Batch, Height: c.convHeight, Width: c.convWidth, Channels: f.Filters,
		Filters:      f.Channels,
		KernelHeight: f.KernelHeight, KernelWidth: f.KernelWidth, StrideHeight: 1, StrideWidth: 1,
		PaddingHeight: f.KernelHeight - 1 - f.PaddingHeight,
		PaddingWidth:  f.KernelWidth - 1 - f.PaddingWidth,
	})
	if err != nil || plan.winograd == nil {
		return nil
	}
	plan.winograd.turned = true
	i := &inputConv2D{conv: c, plan: plan}
	i.task = i.turnChannel
	return i
}

// turnChannel makes the turned kernel of a channel.
func (i *inputConv2D) turnChannel(_, channel int) {
	c, f := i.conv, &i.conv.config
	to := i.weights[channel*i.plan.depth:]
	for tap := range f.KernelHeight * f.KernelWidth {
		from := (f.KernelHeight*f.KernelWidth-1-tap)*f.Channels + channel
		for o := range f.Filters {
			to[tap*f.Filters+o] = c.w[o*c.depth+from]
		}
	}
}

func (i *inputConv2D) backwardInput() error {
	c, plan := i.conv, i.plan
	plan.y, plan.x, plan.w = c.dx, c.dy, c.w
	defer plan.release()
	if plan.winograd.forward() {
		return nil
	}
	c.engine.Pool.again.Add(1)
	if c.share != nil {
		return c.inputShares()
	}
	if i.weights == nil {
		i.weights = make([]float32, len(c.w))
	}
	c.engine.Pool.Run(c.config.Channels, i.task)
	plan.w = i.weights
	plan.forwardDirectly()
	return nil
}
