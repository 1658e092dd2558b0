package native

import (
	"errors"
	"slices"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

type chainPlans = plansOf[*kernel.DepthwiseChain]

const (
	// chainedMap is the bytes of a map of one image from which on it is better not written as a whole.
	chainedMap = 512 << 10
	// chainedWeights is how many bytes of pointwise weights a thread may read again for every few rows
	// of a smaller map: it saves the copy of the map that the depthwise convolution alone makes.
	chainedWeights = 640 << 10
	// chainedAgain is how many tenths of an image's rows may be expanded twice because threads share
	// the rows: what they share by channels goes from core to core before it is projected.
	chainedAgain = 3
)

// pick returns the links before, of and behind the depthwise convolution, nil for those that there
// are not.
func (c *chain) pick() (expand, middle, project *link) {
	middle = &c.links[c.depthwise]
	if c.depthwise > 0 {
		expand = &c.links[0]
	}
	if behind := c.depthwise + 1; behind < len(c.links) {
		project = &c.links[behind]
	}
	return expand, middle, project
}

// config returns what the kernels are to compute of so large images and how large they become, and
// false where it is not for them.
func (c *chain) config(r *run, x, weight *Tensor) (f kernel.DepthwiseChainConfig, out []int,
	ok bool) {
	expand, middle, project := c.pick()
	if x.Type() != onnxpb.TensorProto_FLOAT || len(x.Shape) != 4 || x.size() == 0 {
		return f, nil, false
	}
	channels, given := middle.group, middle.group
	f.Middle = middle.finish.kernel()
	if expand != nil {
		given = expand.packed.Shape[1]
		f.Inputs, f.Expand = given, expand.finish.kernel()
	}
	if project != nil {
		f.Filters, f.Project = project.packed.Shape[0], project.finish.kernel()
	}
	if x.Shape[1] != given || expand != nil && expand.packed.Shape[0] != channels ||
		project != nil && project.packed.Shape[1] != channels {
		return f, nil, false
	}
	window := middle.windowFor(weight)
	slide, err := c.frames.over(r, window, x.Shape[2:])
	if err != nil || !slide.extends() || !slices.Equal(window.kernel, weight.Shape[2:]) {
		return f, nil, false // the convolutions themselves say what is wrong
	}
	d := &f.Depthwise
	d.Batch, d.Channels = x.Shape[0], channels
	d.Height, d.Width = pair(slide.in, 1)
	d.KernelHeight, d.KernelWidth = pair(slide.kernel, 1)
	d.StrideHeight, d.StrideWidth = pair(slide.strides, 1)
	d.DilationHeight, d.DilationWidth = pair(slide.dilations, 1)
	d.PaddingHeight, d.PaddingWidth = pair(slide.begin, 0)
	d.ExtraHeight, d.ExtraWidth = slide.extra()
	// A file may ask for any padding, and the ring has it.
	if 2*d.PaddingHeight+d.ExtraHeight > d.Height || 2*d.PaddingWidth+d.ExtraWidth > d.Width {
		return f, nil, false
	}
	f.ByChannels, ok = chained(r.engine.Pool.Threads(), f, slide.out[0])
	return f, slide.out, ok
}

// chained reports whether a chain is better computed as one, and whether by channels then, whose
// outputs have so many rows. That is a matter of time alone: the sums are the same.
func chained(threads int, f kernel.DepthwiseChainConfig, rows int) (byChannels, ok bool) {
	d := &f.Depthwise
	large := 4*d.Height*d.Width*d.Channels >= chainedMap
	light := 4*d.Channels*(f.Inputs+f.Filters) <= chainedWeights
	if threads == 1 || d.Batch >= 2*threads { // each has images of its own
		return false, large || light
	}
	// Rows around a band are expanded twice.
	again := threads * (d.DilationHeight*(d.KernelHeight-1) + 1 - d.StrideHeight)
	if (large || light) && 10*again <= chainedAgain*rows*d.StrideHeight {
		return false, true
	}
	return true, f.Inputs > 0
}

// plan returns the kernels' plan, an error that wraps errNoPlan where they have none.
func (c *chain) plan(r *run, f kernel.DepthwiseChainConfig) (*kernel.DepthwiseChain, error) {
	d := &f.Depthwise
	key := planKey{d.Batch, d.Height, d.Width, d.PaddingHeight, d.PaddingWidth, d.ExtraHeight,
		d.ExtraWidth}
	return c.plans.get(r, key, f.ChainMemory(r.engine.Pool.Threads()),
		func() (*kernel.DepthwiseChain, error) {
			plan, err := kernel.NewDepthwiseChain(r.engine, f)
			if err != nil {
				return nil, err
			}
			expand, project := plan.Pointwise()
			before, _, behind := c.pick()
			if expand != nil {
				err = before.filters.give(r, expand, before.packed.Data.([]float32), 0)
			}
			if err == nil && project != nil {
				err = behind.filters.give(r, project, behind.packed.Data.([]float32), 0)
			}
			return plan, err
		})
}

// planned computes the chain with a plan; done is false where there is none.
func (c *chain) planned(r *run, in []*Tensor) (y *Tensor, done bool, err error) {
	expand, middle, project := c.pick()
	f, out, ok := c.config(r, in[0], c.operands(in, c.depthwise)[0])
	if !ok {
		return nil, false, nil
	}
	var bias kernel.ChainBias
	filters := middle.group
	if bias.Middle, ok = c.bias(r, in, c.depthwise, filters); !ok {
		return nil, false, nil
	}
	if expand != nil {
		if bias.Expand, ok = c.bias(r, in, 0, filters); !ok {
			return nil, false, nil
		}
	}
	if project != nil {
		filters = f.Filters
		if bias.Project, ok = c.bias(r, in, c.depthwise+1, filters); !ok {
			return nil, false, nil
		}
	}
	shape := r.images(in[0].Shape[0], filters, out)
	var add []float32
	if project != nil {
		addend, ok, err := project.addendOf(r, c.operands(in, c.depthwise+1), shape)
		if !ok {
			return nil, false, err
		}
		if addend != nil {
			defer r.release(addend)
			add = addend.Data.([]float32)
		}
	}
	plan, err := c.plan(r, f)
	if errors.Is(err, errNoPlan) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	x, err := r.toChannelsLast(in[0])
	if err != nil {
		return nil, false, err
	}
	defer r.release(x)
	if y, err = r.tensor(onnxpb.TensorProto_FLOAT, shape); err != nil {
		return nil, false, err
	}
	y.channelsLast = true
	err = plan.Forward(y.Data.([]float32), x.Data.([]float32), middle.kernels, bias, add)
	return y, true, err
}

// bias returns that of a link, zeros where it has none, and false where it is not of so many
// float32.
func (c *chain) bias(r *run, in []*Tensor, which, filters int) ([]float32, bool) {
	given, ok := givenBias(c.operands(in, which), 1, filters)
	if !ok {
		return nil, false
	}
	return c.links[which].biasOf(r, given, filters), true
}
