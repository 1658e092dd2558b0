package ops

import (
	"slices"

	"gorgonia.org/tensor"
)

// OnChannelsFirst makes a computation on N×C×H×W of one on N×H×W×C: the first inputs, of these
// shapes, and the output are rearranged before and after. Inputs beyond them, tensors of two
// dimensions, and maps of one channel or one pixel lie the same way in both. What they are
// rearranged into is part of the graph's memory plan.
func OnChannelsFirst(c Computation, inputs []tensor.Shape) Computation {
	if !rearranges(c.Output) && !slices.ContainsFunc(inputs, rearranges) {
		return c
	}
	output := c.Output
	x, y := newRearrangements(inputs), newRearrangement(output)
	c.scratch = append(slices.Clone(x), y)
	forward := c.Forward
	c.Forward = func(to []float32, in [][]float32) error {
		return y.after(to, func(to []float32) error { return forward(to, allFirst(x, in)) })
	}
	gradients := slices.Clone(c.Gradients)
	for g := range gradients {
		run := gradients[g].Run
		x, dx := newRearrangements(inputs), newRearrangements(inputs)
		y, dy := newRearrangement(output), newRearrangement(output)
		for i := range inputs {
			if !slices.Contains(gradients[g].Reads, i) {
				x[i] = nil
			}
			if !slices.Contains(gradients[g].Of, i) {
				dx[i] = nil
			}
		}
		if !gradients[g].ReadsOutput {
			y = nil
		}
		gradients[g].scratch = append(slices.Concat(x, dx), y, dy)
		gradients[g].Run = func(d [][]float32, upstream, given []float32, in [][]float32) error {
			inner := slices.Clone(d)
			for i := range inputs {
				if d[i] != nil && dx[i] != nil {
					inner[i] = dx[i].data()
				}
			}
			if err := run(inner, dy.first(upstream), y.first(given), allFirst(x, in)); err != nil {
				return err
			}
			for i := range inputs {
				if d[i] != nil && dx[i] != nil {
					ToChannelsLast(d[i], inner[i], dx[i].last)
				}
			}
			return nil
		}
	}
	c.Gradients = gradients
	return c
}

// rearranges reports whether N×H×W×C of that shape lies otherwise as N×C×H×W.
func rearranges(shape tensor.Shape) bool {
	return shape.Dims() == 4 && shape[3] > 1 && shape[1]*shape[2] > 1
}

// rearrangement is memory for a value of one layout in the other. A nil one is of a value that
// lies the same way in both.
type rearrangement struct {
	buffer
	last tensor.Shape // N×H×W×C
}

func newRearrangement(shape tensor.Shape) *rearrangement {
	if !rearranges(shape) {
		return nil
	}
	return &rearrangement{*newBuffer(shape.TotalSize()), shape}
}

func newRearrangements(shapes []tensor.Shape) []*rearrangement {
	all := make([]*rearrangement, len(shapes))
	for i, shape := range shapes {
		all[i] = newRearrangement(shape)
	}
	return all
}

// first returns a value, which lies channels last, channels first.
func (r *rearrangement) first(last []float32) []float32 {
	if r == nil || last == nil {
		return last
	}
	ToChannelsFirst(r.data(), last, r.last)
	return r.data()
}

// after has a value computed channels first, and writes it channels last.
func (r *rearrangement) after(to []float32, compute func(to []float32) error) error {
	if r == nil {
		return compute(to)
	}
	if err := compute(r.data()); err != nil {
		return err
	}
	ToChannelsLast(to, r.data(), r.last)
	return nil
}

// allFirst returns the inputs channels first.
func allFirst(x []*rearrangement, in [][]float32) [][]float32 {
	in = slices.Clone(in)
	for i := range x {
		in[i] = x[i].first(in[i])
	}
	return in
}
