package native

import (
	"errors"
	"slices"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// preActivation is a BatchNormalization, with the Concat before it and the bounds behind it, and
// the pointwise convolution that alone takes its result, as DenseNets have them.
type preActivation struct {
	*batchNormalization
	inputs   int // of the normalisation
	conv     link
	around   kernel.Border // the padding of the convolution behind, where that alone reads the map
	plans    plansOf[*kernel.PreActivated]
	features kept[[]kernel.Features]
}

// preactivate joins the steps of normalisations with those of the pointwise convolutions that alone
// take what they give.
func (c *compiler) preactivate() {
	c.joinPointwise(func(before, s *step, conv link) operation {
		if before.normalization == nil || len(s.inputs) > addendInput {
			return nil
		}
		s.preActivation = &preActivation{batchNormalization: before.normalization,
			inputs: len(before.inputs), conv: conv}
		return s.preActivation.run
	})
}

// joinPointwise has a pointwise convolution's step compute the one that makes its map for it alone,
// too, where join returns what computes both.
func (c *compiler) joinPointwise(join func(before, s *step, conv link) operation) {
	flow := c.flow()
	for i := range c.steps {
		s := &c.steps[i]
		if !s.convolution.isPointwise() {
			continue
		}
		k, ok := flow.maker(s.inputs[0])
		if !ok {
			continue
		}
		before := &c.steps[k]
		both := join(before, s, link{s.convolution, s.place, len(s.inputs)})
		if both == nil {
			continue
		}
		s.inputs = slices.Concat(before.inputs, s.inputs[1:])
		s.compute, s.convolution, s.place = both, nil, before.place
		flow.take([]int{k})
	}
	c.keep(flow)
}

// preActivated returns the kernels' plan of a pointwise convolution and what is done to its map.
func (l *link) preActivated(r *run, plans *plansOf[*kernel.PreActivated],
	f kernel.PreActivatedConfig) (*kernel.PreActivated, error) {
	return plans.get(r, planKey{f.Batch, f.Height, f.Width}, f.Memory(r.engine.Pool.Threads()),
		func() (*kernel.PreActivated, error) {
			plan, err := kernel.NewPreActivated(r.engine, f)
			if err == nil {
				err = l.filters.give(r, plan.Pointwise(), l.packed.Data.([]float32), 0)
			}
			return plan, err
		})
}

func (p *preActivation) run(r *run, in []*Tensor) ([]*Tensor, error) {
	r.ending = nil // which is of the step's inputs, and not of each node's
	y, err := p.planned(r, in)
	if !errors.Is(err, errNoPlan) {
		return r.result(y, err)
	}
	normalised, err := p.batchNormalization.run(r, in[:p.inputs])
	if err != nil {
		return nil, err
	}
	defer r.release(normalised[0])
	return p.conv.behind(r, normalised[0], in[p.inputs:])
}

// parts returns the maps whose channels are normalised.
func (p *preActivation) parts(in []*Tensor) []*Tensor {
	if p.joins {
		return in[joinedInputs:p.inputs]
	}
	return in[:1]
}

// config returns what the kernels are to compute, and false where it is not for them: the operators
// themselves say what is wrong.
func (p *preActivation) config(parts []*Tensor) (f kernel.PreActivatedConfig, ok bool) {
	first := parts[0]
	for _, part := range parts {
		// A single map that is not channels last is normalised plane by plane.
		if part.Type() != onnxpb.TensorProto_FLOAT || len(part.Shape) != 4 ||
			part.Shape[0] != first.Shape[0] || !slices.Equal(part.Shape[2:], first.Shape[2:]) ||
			!p.joins && !part.channelsLast {
			return f, false
		}
		f.Channels += part.Shape[1]
	}
	f.Batch, f.Height, f.Width = first.Shape[0], first.Shape[2], first.Shape[3]
	f.Filters, f.Border = p.conv.packed.Shape[0], p.around
	f.Low, f.High, f.Finish = p.finish.low, p.finish.high, p.conv.finish.kernel()
	// A single position is a matrix times a vector, which has a plan of its own.
	return f, f.Batch*f.Height*f.Width > 1 && f.Channels == p.conv.packed.Shape[1] && f.Channels > 0
}

// planned computes both with a plan; an error that wraps errNoPlan says that there is none.
func (p *preActivation) planned(r *run, in []*Tensor) (*Tensor, error) {
	parts := p.parts(in)
	f, ok := p.config(parts)
	if !ok {
		return nil, errNoPlan
	}
	bias, ok := givenBias(in[p.inputs:], 1, f.Filters)
	if !ok {
		return nil, errNoPlan
	}
	scale, shift, err := p.factors(r, in, f.Channels)
	if err != nil {
		return nil, err
	}
	plan, err := p.conv.preActivated(r, &p.plans, f)
	if err != nil {
		return nil, err
	}
	maps := r.room(len(parts))
	features := p.features.of(r)
	*features = (*features)[:0]
	defer func() {
		for _, m := range maps {
			r.release(m)
		}
		clear(*features)
	}()
	for i, part := range parts {
		if maps[i], err = r.toChannelsLast(part); err != nil {
			return nil, err
		}
		*features = append(*features, kernel.Features{Values: maps[i].Data.([]float32),
			Channels: part.Shape[1]})
	}
	y, to, err := r.bordered(f.Batch, f.Filters, parts[0].Shape[2:], f.Border)
	if err != nil {
		return nil, err
	}
	return y, plan.Forward(to, *features, scale, shift,
		p.conv.biasOf(r, bias, f.Filters), nil)
}
