package native

import (
	"math"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// vectorFunctions are the operators without attributes that kernels compute of float32.
func vectorFunctions() map[string]kernel.Function {
	return map[string]kernel.Function{
		"Sigmoid": kernel.Sigmoid(), "Tanh": kernel.Tanh(), "Exp": kernel.Exponential(),
		"HardSwish": kernel.HardSwish(),
	}
}

// vectorLoop computes elements of float32, each from one, by kernels.
type vectorLoop func(e kernel.Engine, y, x []float32)

// loopOf is the loop of a function of the kernels.
func loopOf(function kernel.Function) vectorLoop {
	return func(e kernel.Engine, y, x []float32) { e.Apply(function, y, x) }
}

// vectorised makes the operation that computes float32 by a loop and other floats by f.
func vectorised(loop vectorLoop, f func(float64) float64) operation {
	others := elementwise(f, nil)
	return func(r *run, in []*Tensor) ([]*Tensor, error) {
		x, ok := in[0].Data.([]float32)
		if !ok {
			return others(r, in)
		}
		y, err := r.inPlace(in, 0)
		if err != nil {
			return nil, err
		}
		j := &r.jobs.function
		*j = functionMapping{r.engine, loop, y.Data.([]float32), x}
		return r.result(y, r.share(len(x), vectorCost, j))
	}
}

// functionMapping is a loop over elements of float32.
type functionMapping struct {
	engine   kernel.Engine
	loop     vectorLoop
	dst, src []float32
}

func (j *functionMapping) compute(_, first, last int) {
	j.loop(j.engine, j.dst[first:last], j.src[first:last])
}

// vectorCost is about how many additions an element takes then.
const vectorCost = 4

// joinedFunction is a function that several nodes say, for float32 and for other floats.
type joinedFunction struct {
	vectors kernel.Function
	other   func(x float64) float64
}

func siluFunction() joinedFunction {
	return joinedFunction{kernel.SiLU(), func(x float64) float64 { return x * sigmoid(x) }}
}

func geluFunction() joinedFunction {
	return joinedFunction{kernel.GELU(), gelu}
}

// joinActivations finds the activations that ONNX, or its older opsets, say by several nodes,
// x·σ(x) and x·Φ(x) by the error function, and has each computed by the last of them. Only what
// nothing else takes is joined.
func (c *compiler) joinActivations() {
	c.joined = make(map[*onnxpb.NodeProto]joinedFunction)
	s := activationSearch{c, c.lastUsers(), make(map[string]int)}
	for i, node := range c.nodes {
		if !c.needed[i] {
			continue
		}
		for _, output := range node.GetOutput() {
			s.maker[output] = i
		}
	}
	for i, node := range c.nodes {
		if !c.needed[i] {
			continue
		}
		switch node.GetOpType() {
		case "Sigmoid":
			s.silu(i)
		case "Erf":
			s.gelu(i)
		}
	}
}

// activationSearch looks around nodes. user has the last node that takes a value, maker the one
// that makes it.
type activationSearch struct {
	*compiler
	user, maker map[string]int
}

// silu joins a Sigmoid of x and the Mul of both.
func (s *activationSearch) silu(i int) {
	x, ok := s.single(i, "Sigmoid")
	if !ok {
		return
	}
	j, other, ok := s.next(i, "Mul")
	if ok && other == x {
		s.join(j, x, siluFunction(), i)
	}
}

// gelu joins x·(1 + erf(x/√2))·½, of which the product with ½ may be the last or of x.
func (s *activationSearch) gelu(erf int) {
	scaled, ok := s.single(erf, "Erf")
	if !ok || s.uses[scaled] != 1 {
		return
	}
	scale, ok := s.maker[scaled]
	if !ok {
		return
	}
	x, ok := s.scaledBy(scale, math.Sqrt2/2)
	if !ok {
		return
	}
	share, added, ok := s.next(erf, "Add")
	if !ok || !s.isNumber(added, 1) {
		return
	}
	product, factor, ok := s.next(share, "Mul")
	if !ok {
		return
	}
	if factor == x {
		half, number, ok := s.next(product, "Mul")
		if ok && s.isNumber(number, 0.5) {
			s.join(half, x, geluFunction(), erf, scale, share, product)
		}
		return
	}
	half, ok := s.maker[factor]
	if !ok || s.uses[factor] != 1 {
		return
	}
	if of, ok := s.scaledBy(half, 0.5); ok && of == x {
		s.join(product, x, geluFunction(), erf, scale, share, half)
	}
}

// join has the last of some nodes compute a function of x instead of them. It is called as the
// first of the others, that what follows it is not joined to a Mul.
func (s *activationSearch) join(last int, x string, f joinedFunction, others ...int) {
	joined := &onnxpb.NodeProto{
		Name: s.nodes[last].Name, OpType: s.nodes[others[0]].OpType,
		Input: []string{x}, Output: s.nodes[last].GetOutput(),
	}
	s.nodes[last], s.joined[joined] = joined, f
	for _, i := range others {
		s.needed[i] = false
	}
	// x is taken once by them all.
	s.uses[x]--
}

// valid reports whether a node is one of ONNX's own, with what its operator takes.
func (s *activationSearch) valid(i int, operator string) bool {
	node, known := s.nodes[i], s.operators[operator]
	return s.needed[i] && node.GetOpType() == operator && standard(node) && s.opset >= known.since &&
		known.check(node) == nil && len(node.GetOutput()) == 1
}

// single returns the input of a node that has one.
func (s *activationSearch) single(i int, operator string) (string, bool) {
	if !s.valid(i, operator) {
		return "", false
	}
	return s.nodes[i].GetInput()[0], true
}

// next returns the only node that takes a node's output, and its other input, where the node is of
// that operator.
func (s *activationSearch) next(i int, operator string) (j int, other string, ok bool) {
	output := s.nodes[i].GetOutput()[0]
	j, ok = s.user[output]
	if !ok || s.uses[output] != 1 || j <= i || !s.valid(j, operator) {
		return 0, "", false
	}
	inputs := s.nodes[j].GetInput()
	if inputs[0] == output {
		return j, inputs[1], true
	}
	return j, inputs[0], true
}

// scaledBy returns what a Mul or Div multiplies by a number.
func (s *activationSearch) scaledBy(i int, number float64) (string, bool) {
	switch {
	case s.valid(i, "Mul"):
		inputs := s.nodes[i].GetInput()
		if s.isNumber(inputs[1], number) {
			return inputs[0], true
		}
		return inputs[1], s.isNumber(inputs[0], number)
	case s.valid(i, "Div"):
		inputs := s.nodes[i].GetInput()
		return inputs[0], s.isNumber(inputs[1], 1/number)
	}
	return "", false
}

// isNumber reports whether a value is that number, a constant of float32, up to its rounding and
// that of its decimals.
func (s *activationSearch) isNumber(name string, number float64) bool {
	t := s.initial(name)
	if t == nil || t.elements() != 1 || len(t.Shape) > 1 {
		return false
	}
	values, ok := t.Data.([]float32)
	return ok && math.Abs(float64(values[0])-number) <= 1e-6*number
}
