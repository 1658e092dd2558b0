package native

import (
	"errors"
	"fmt"
	"slices"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// branches are convolutions whose filters a Concat joins, as SqueezeNet's and Inception's are: each
// writes them where they belong.
type branches struct {
	links []link
	join  operation // the Concat alone
	parts []branch
}

// branch is what is kept of one of them.
type branch struct {
	frames framed
	plans  plansOf[*kernel.Conv2D]
}

// branch joins the steps of a Concat of channels with those of the convolutions that alone give it
// what it joins.
func (c *compiler) branch() {
	flow := c.flow()
	for i := range c.steps {
		s := &c.steps[i]
		if !s.joinsChannels {
			continue
		}
		joined, steps, inputs := &branches{join: s.compute}, []int{}, []int{}
		for _, v := range s.inputs {
			k, ok := flow.maker(v)
			if !ok || !c.steps[k].convolution.branches() || len(c.steps[k].inputs) > addendInput {
				break
			}
			steps, inputs = append(steps, k), append(inputs, c.steps[k].inputs...)
			joined.links = append(joined.links, link{c.steps[k].convolution, c.steps[k].place,
				len(c.steps[k].inputs)})
		}
		if len(steps) < len(s.inputs) {
			continue
		}
		joined.parts = make([]branch, len(steps))
		s.inputs, s.compute = inputs, joined.run
		flow.take(steps)
	}
	c.keep(flow)
}

// branches reports whether a convolution may write its filters among others.
func (c *convolution) branches() bool {
	return c != nil && c.packed != nil && len(c.packed.Shape) == 4 && c.group == 1 && c.pool == nil
}

// operands returns the inputs of a link, from those of all.
func (b *branches) operands(in []*Tensor, which int) []*Tensor {
	at := 0
	for _, l := range b.links[:which] {
		at += l.inputs
	}
	return in[at : at+b.links[which].inputs]
}

func (b *branches) run(r *run, in []*Tensor) ([]*Tensor, error) {
	r.ending = nil // which is of the step's inputs, and not of each convolution's
	y, err := b.planned(r, in)
	if !errors.Is(err, errNoPlan) {
		return r.result(y, err)
	}
	filters := r.room(len(b.links))
	defer func() {
		for _, t := range filters {
			r.release(t)
		}
	}()
	for i := range b.links {
		l := &b.links[i]
		out, err := l.run(r, b.operands(in, i))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.place, err)
		}
		filters[i] = out[0]
	}
	return b.join(r, filters)
}

// planned computes all with plans of the kernels; an error that wraps errNoPlan says that there are
// none.
func (b *branches) planned(r *run, in []*Tensor) (*Tensor, error) {
	channels, out := 0, []int(nil)
	for i := range b.links {
		f, ok := b.frame(r, in, i)
		images := b.operands(in, i)[0].Shape[0]
		if !ok || i > 0 && (!slices.Equal(f.out, out) || images != in[0].Shape[0]) {
			return nil, errNoPlan
		}
		out, channels = f.out, channels+b.links[i].packed.Shape[0]
	}
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, r.images(in[0].Shape[0], channels, out))
	if err != nil {
		return nil, err
	}
	y.channelsLast = true
	first := 0
	for i := range b.links {
		if err := b.write(r, y, in, i, first); err != nil {
			r.release(y)
			return nil, err
		}
		first += b.links[i].packed.Shape[0]
	}
	return y, nil
}

// frame returns how a branch's kernel slides over its input, and false where no plan computes it.
func (b *branches) frame(r *run, in []*Tensor, which int) (frame, bool) {
	l, own := &b.links[which], b.operands(in, which)
	x := own[0]
	if x.Type() != onnxpb.TensorProto_FLOAT || len(x.Shape) != 4 || x.size() == 0 ||
		x.Shape[1] != l.packed.Shape[1] {
		return frame{}, false
	}
	if _, ok := givenBias(own, 2, l.packed.Shape[0]); !ok {
		return frame{}, false
	}
	w := l.windowFor(l.packed)
	f, err := b.parts[which].frames.over(r, w, x.Shape[2:])
	return f, err == nil && slices.Equal(w.kernel, l.packed.Shape[2:]) && f.plain() && f.symmetric()
}

// write computes a branch into y, where its first filter is of that number.
func (b *branches) write(r *run, y *Tensor, in []*Tensor, which, first int) error {
	l, own := &b.links[which], b.operands(in, which)
	f, _ := b.frame(r, in, which)
	filters, channels := l.packed.Shape[0], y.Shape[1]
	config, transformed, err := l.filtered(r, own[0], filters, f)
	if err != nil {
		return err
	}
	bytes := convPlanBytes(config, kernel.Window{}, f.out, r.engine.Pool.Threads())
	plan, err := b.parts[which].plans.get(r, keyOf(config), bytes, func() (*kernel.Conv2D, error) {
		plan, err := kernel.NewConv2D(r.engine, config)
		if err == nil {
			err = plan.Among(channels)
		}
		if err == nil && !l.finish.none() {
			plan.Finish(l.finish.kernel())
		}
		if err == nil {
			err = l.filters.give(r, plan, l.packed.Data.([]float32), transformed)
		}
		return plan, err
	})
	if err != nil {
		return err
	}
	image, err := r.toChannelsLast(own[0])
	if err != nil {
		return err
	}
	defer r.release(image)
	bias, _ := givenBias(own, 2, filters)
	to := y.Data.([]float32)
	return plan.Forward(to[first:len(to)-channels+first+filters], image.Data.([]float32),
		l.packed.Data.([]float32), l.biasOf(r, bias, filters))
}
