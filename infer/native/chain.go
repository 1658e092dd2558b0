package native

import (
	"fmt"
	"slices"

	"slipway/onnx/onnxpb"
)

// chain is a depthwise convolution with the pointwise ones before and behind it, as inverted
// residuals have them: computed as one where what lies between them is too large for a cache, and
// one after the other elsewhere.
type chain struct {
	links     []link
	depthwise int // which of them is the depthwise one
	plans     chainPlans
	frames    framed
}

// link is a convolution of a chain.
type link struct {
	*convolution
	place  string
	inputs int
}

// behind computes a link from what comes before it and its own operands. The caller releases x.
func (l *link) behind(r *run, x *Tensor, own []*Tensor) ([]*Tensor, error) {
	operands := r.room(l.inputs)
	operands[0] = x
	copy(operands[1:], own)
	out, err := l.run(r, operands)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.place, err)
	}
	return out, nil
}

// addendOf returns what is added to a link's results of that shape, channels last, by its own
// operands: nil for nothing, and false where it is of another shape or type. The caller releases it.
func (l *link) addendOf(r *run, own []*Tensor, shape []int) (addend *Tensor, ok bool, err error) {
	if len(own) < addendInput {
		return nil, true, nil
	}
	given := own[addendInput-1]
	if given.Type() != onnxpb.TensorProto_FLOAT || !slices.Equal(given.Shape, shape) {
		return nil, false, nil
	}
	addend, err = r.toChannelsLast(given)
	return addend, err == nil, err
}

// operands returns the inputs of a link behind its first one, from a chain's.
func (c *chain) operands(in []*Tensor, which int) []*Tensor {
	at := 1
	for _, l := range c.links[:which] {
		at += l.inputs - 1
	}
	return in[at : at+c.links[which].inputs-1]
}

func (c *chain) run(r *run, in []*Tensor) ([]*Tensor, error) {
	r.ending = nil // which is of the step's inputs, and not of each link's
	y, done, err := c.planned(r, in)
	if done || err != nil {
		return r.result(y, err)
	}
	x := in[0]
	for i := range c.links {
		out, err := c.links[i].behind(r, x, c.operands(in, i))
		if i > 0 {
			r.release(x)
		}
		if err != nil {
			return nil, err
		}
		x = out[0]
	}
	return r.list(x), nil
}

// isPointwise reports whether a convolution has one tap that sees each position, and constant
// weights.
func (c *convolution) isPointwise() bool {
	return c != nil && c.packed != nil && len(c.packed.Shape) == 4 && c.group == 1 && c.pool == nil &&
		product(c.packed.Shape[2:]) == 1 && all(c.window.strides, 1) && all(c.window.dilations, 1) &&
		all(c.window.pads, 0) && all(c.window.kernel, 1)
}

// isDepthwise reports whether a convolution is a depthwise one of images, with constant weights of
// whole vectors of channels.
func (c *convolution) isDepthwise() bool {
	return c != nil && c.kernels != nil && c.pool == nil && c.group%8 == 0
}

func all(values []int, value int) bool {
	return !slices.ContainsFunc(values, func(v int) bool { return v != value })
}

// chain joins the steps of depthwise convolutions with those of the pointwise ones that alone
// give them their input, and alone take their output.
func (c *compiler) chain() {
	flow := c.flow()
	for i := range c.steps {
		s := &c.steps[i]
		if !s.convolution.isDepthwise() || len(s.inputs) > addendInput {
			continue
		}
		steps, depthwise := []int{i}, 0
		if before, ok := flow.maker(s.inputs[0]); ok && c.steps[before].convolution.isPointwise() &&
			len(c.steps[before].inputs) <= addendInput {
			steps, depthwise = []int{before, i}, 1
		}
		if behind, ok := flow.user(s.outputs[0]); ok {
			if next := &c.steps[behind]; next.convolution.isPointwise() &&
				next.inputs[0] == s.outputs[0] {
				steps = append(steps, behind)
			}
		}
		if len(steps) > 1 {
			c.joinSteps(steps, depthwise)
			flow.take(steps[:len(steps)-1])
		}
	}
	c.keep(flow)
}

// joinSteps makes the last of some steps compute all of them as a chain.
func (c *compiler) joinSteps(steps []int, depthwise int) {
	joined := &chain{depthwise: depthwise}
	first, last := &c.steps[steps[0]], &c.steps[steps[len(steps)-1]]
	inputs := first.inputs[:1:1]
	for _, i := range steps {
		s := &c.steps[i]
		joined.links = append(joined.links, link{s.convolution, s.place, len(s.inputs)})
		inputs = append(inputs, s.inputs[1:]...)
	}
	last.inputs, last.compute, last.convolution = inputs, joined.run, nil
	last.place = first.place
}
