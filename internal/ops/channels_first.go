package ops

import (
	"slices"

	"gorgonia.org/tensor"
)

// OnChannelsFirst makes a computation on N×C×H×W of one on N×H×W×C: the first inputs, of
// these shapes, and the output are rearranged before and after. Inputs beyond them, tensors of two dimensions, and maps of
// one channel or one pixel lie the same way in both.
func OnChannelsFirst(c Computation, inputs []tensor.Shape) Computation {
	rearranges := func(shape tensor.Shape) bool {
		return shape.Dims() == 4 && shape[3] > 1 && shape[1]*shape[2] > 1
	}
	if !rearranges(c.Output) && !slices.ContainsFunc(inputs, rearranges) {
		return c
	}
	output := c.Output
	x, dx := make([][]float32, len(inputs)), make([][]float32, len(inputs))
	for i, shape := range inputs {
		if rearranges(shape) {
			x[i], dx[i] = make([]float32, shape.TotalSize()), make([]float32, shape.TotalSize())
		}
	}
	var y, dy []float32
	if rearranges(output) {
		y, dy = make([]float32, output.TotalSize()), make([]float32, output.TotalSize())
	}
	first := func(last, scratch []float32, shape tensor.Shape) []float32 {
		if scratch == nil || last == nil {
			return last
		}
		ToChannelsFirst(scratch, last, shape)
		return scratch
	}
	all := func(in [][]float32) [][]float32 {
		in = slices.Clone(in)
		for i, shape := range inputs {
			in[i] = first(in[i], x[i], shape)
		}
		return in
	}
	forward := c.Forward
	c.Forward = func(to []float32, in [][]float32) error {
		if y == nil {
			return forward(to, all(in))
		}
		if err := forward(y, all(in)); err != nil {
			return err
		}
		ToChannelsLast(to, y, output)
		return nil
	}
	gradients := slices.Clone(c.Gradients)
	for g := range gradients {
		run := gradients[g].Run
		gradients[g].Run = func(d [][]float32, upstream, given []float32, in [][]float32) error {
			inner := slices.Clone(d)
			for i := range inputs {
				if d[i] != nil && dx[i] != nil {
					inner[i] = dx[i]
				}
			}
			if err := run(inner, first(upstream, dy, output), first(given, y, output), all(in)); err != nil {
				return err
			}
			for i, shape := range inputs {
				if d[i] != nil && dx[i] != nil {
					ToChannelsLast(d[i], dx[i], shape)
				}
			}
			return nil
		}
	}
	c.Gradients = gradients
	return c
}
