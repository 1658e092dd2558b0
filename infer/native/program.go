package native

import (
	"errors"
	"fmt"
	"slices"

	"slipway/onnx/onnxpb"
)

// step computes one node, or several as one.
type step struct {
	place   string
	inputs  []int // values, -1 where left out
	outputs []int // values, -1 where nobody wants them
	compute operation
	ends    []int // values that no later step needs
	// convolution is what computes it where it is a Conv, and normalization where it is a
	// BatchNormalization; joinsChannels says that it is a Concat of channels, multiplies that it is a
	// Mul and nothing else.
	convolution   *convolution
	normalization *batchNormalization
	joinsChannels bool
	multiplies    bool
	preActivation *preActivation
}

// program is a graph made ready to run.
type program struct {
	inputs  []Port
	outputs []string
	given   []int     // the values of the inputs, -1 where no node wants them
	results []int     // the values of outputs
	values  []*Tensor // constants; nil for what a run computes
	steps   []step
	apart   bool // each step does to an image what it does to it alone, to float32
}

// Port is an input of the graph.
type Port struct {
	Name string
	Type onnxpb.TensorProto_DataType
	// Shape has -1 where the model leaves the size open; nil where it says nothing.
	Shape []int
}

// execute runs the steps on the inputs' values, in their order. Where outputs are given, the
// results are written there, in their memory if it fits; those of a span to its place there.
func (p *program) execute(r *run, given, outputs []*Tensor, of span) ([]*Tensor, error) {
	r.headers.again()
	values := append(r.values[:0], p.values...)
	r.values = values
	for i, v := range p.given {
		if v >= 0 {
			values[v] = given[i]
		}
	}
	err := p.computeAll(r, values)
	if err == nil {
		outputs, err = p.takeResults(r, values, outputs, of)
	}
	// Memory goes back, after an error, too; after a panic the Evaluator begins anew. An input's
	// is the caller's, and it has no other here.
	for i, t := range values {
		if t != nil && p.values[i] == nil {
			r.release(t)
		}
	}
	clear(values)
	if err != nil {
		return nil, err
	}
	return outputs, nil
}

func (p *program) computeAll(r *run, values []*Tensor) error {
	for i := range p.steps {
		s := &p.steps[i]
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.step(s, values); err != nil {
			return fmt.Errorf("%s: %w", s.place, err)
		}
	}
	return nil
}

// step computes one. It keeps neither list.
func (r *run) step(s *step, values []*Tensor) error {
	in := slices.Grow(r.operands[:0], len(s.inputs))[:len(s.inputs)]
	clear(in)
	r.ending = slices.Grow(r.ends[:0], len(s.inputs))[:len(s.inputs)]
	clear(r.ending)
	r.operands, r.ends = in, r.ending
	for i, v := range s.inputs {
		if v >= 0 {
			in[i], r.ending[i] = values[v], slices.Contains(s.ends, v)
		}
	}
	out, err := s.compute(r, in)
	if err != nil {
		for _, t := range out {
			r.release(t)
		}
		return err
	}
	for i, t := range out {
		if i < len(s.outputs) && s.outputs[i] >= 0 {
			values[s.outputs[i]] = t
		} else {
			r.release(t)
		}
	}
	for i, v := range s.outputs {
		if v >= 0 && values[v] == nil {
			return fmt.Errorf("its output %d is not supported", i)
		}
	}
	for _, v := range s.ends {
		r.release(values[v])
		values[v] = nil
	}
	return nil
}

// takeResults gives the caller what it asked for.
func (p *program) takeResults(r *run, values, outputs []*Tensor, of span) (
	[]*Tensor, error,
) {
	if outputs == nil {
		outputs = make([]*Tensor, len(p.results))
	}
	for i, v := range p.results {
		if outputs[i] == nil {
			outputs[i] = &Tensor{}
		}
		if err := p.result(r, values[v], outputs[i], of); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// result copies a value, which is a span's answer, to a tensor of the caller's.
func (p *program) result(r *run, t, own *Tensor, of span) error {
	if t == nil {
		return errors.New("an output has no value")
	}
	plain, err := r.rowMajor(t)
	if err != nil {
		return err
	}
	defer r.release(plain)
	if of.images > 0 {
		return r.joint(plain, own, of)
	}
	own.Shape = append(own.Shape[:0], plain.Shape...)
	if from, ok := plain.Data.([]float32); ok {
		if to, ok := own.Data.([]float32); ok && len(to) == len(from) {
			copy(to, from)
			return nil
		}
	}
	// Counted for a moment: it is the caller's.
	bytes := plain.elements() * widthOf(plain.Type())
	if err := r.reserve(bytes, "an output"); err != nil {
		return err
	}
	defer r.unreserve(bytes)
	own.Data = makeData(plain.Type(), plain.elements())
	step := strides([]int{own.elements()})
	copyStrided(own, plain, region{shape: []int{own.elements()}, dst: step, src: step})
	return nil
}
