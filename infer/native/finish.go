package native

import (
	"math"

	"slipway/internal/kernel"
	"slipway/onnx/onnxpb"
)

// finish is what is done with the results of a node, element by element, while they are stored:
// what a Relu, a Clip or a HardSwish behind it says.
type finish struct {
	low, high float32 // NaN does not bound
	gate      *kernel.Gate
}

func noFinish() finish {
	nan := float32(math.NaN())
	return finish{low: nan, high: nan}
}

// none reports whether nothing is done.
func (f finish) none() bool { return f.low != f.low && f.high != f.high && f.gate == nil }

// rectifies reports whether it is what Relu does.
func (f finish) rectifies() bool { return f.low == 0 && f.high != f.high && f.gate == nil }

// fromBelow reports whether it bounds from below at most.
func (f finish) fromBelow() bool { return f.high != f.high && f.gate == nil }

func (f finish) kernel() kernel.Finish {
	return kernel.Finish{Low: f.low, High: f.high, Gate: f.gate}
}

// apply does it in place, to a tensor of float32.
func (f finish) apply(r *run, y *Tensor) error {
	if f.none() {
		return nil
	}
	data, err := floats32(y, "result")
	if err != nil {
		return err
	}
	var gate kernel.GateTable
	if f.gate != nil {
		gate = r.gateTable(*f.gate)
	}
	j := &r.jobs.bound
	*j = finishing{finish: f, engine: r.engine, data: data, gate: gate}
	return r.share(len(data), 1, j)
}

// gateTable returns a gate's table, which is made once.
func (r *run) gateTable(gate kernel.Gate) kernel.GateTable {
	table, ok := r.gates[gate]
	if !ok {
		if r.gates == nil {
			r.gates = make(map[kernel.Gate]kernel.GateTable)
		}
		table = r.engine.GateTable(gate)
		r.gates[gate] = table
	}
	return table
}

// finishing does it to some elements.
type finishing struct {
	finish
	engine kernel.Engine
	data   []float32
	gate   kernel.GateTable
}

func (j *finishing) compute(_, first, last int) {
	part := j.data[first:last]
	if j.low == j.low || j.high == j.high {
		j.engine.Clamp(part, part, 1, 0, j.low, j.high)
	}
	if j.gate != nil {
		j.engine.Gate(part, part, j.gate)
	}
}

// finishOf returns what a node does where it is Relu, Clip between constants, or HardSwish.
func (c *compiler) finishOf(proto *onnxpb.NodeProto) (finish, bool) {
	f := noFinish()
	known, ok := c.operators[proto.GetOpType()]
	if !ok || !standard(proto) || c.opset < known.since || known.check(proto) != nil {
		return f, false
	}
	n := &node{proto: proto, opset: c.opset, uses: c.uses}
	switch proto.GetOpType() {
	case "Relu":
		f.low = 0
		return f, true
	case "HardSwish":
		f.gate = &kernel.Gate{Slope: 1. / 6, Offset: 0.5}
		return f, true
	case "Clip":
		return c.clipOf(n)
	}
	return f, false
}

// clipOf returns the bounds of a Clip, and false where they are no constants of float32.
func (c *compiler) clipOf(n *node) (finish, bool) {
	f := noFinish()
	if _, err := makeClip(n); err != nil {
		return f, false
	}
	for i, to := range []*float32{&f.low, &f.high} {
		if n.opset < 11 {
			*to = n.number([]string{"min", "max"}[i], *to)
			continue
		}
		if !n.has(i + 1) {
			continue
		}
		bound := c.initial(n.proto.GetInput()[i+1])
		if bound == nil || bound.elements() != 1 {
			return f, false
		}
		values, ok := bound.Data.([]float32)
		if !ok || values[0] != values[0] {
			return f, false
		}
		*to = values[0]
	}
	// Of bounds in the wrong order Clip takes the upper one, as the loops do.
	return f, true
}

// gateOf returns, where a HardSigmoid and a Mul are all that takes a node's output, and the one
// multiplies it by the other, what they do, and both nodes.
func (c *compiler) gateOf(output string, users func(string) []int) (f finish, sigmoid, product int,
	ok bool) {
	f = noFinish()
	if c.uses[output] != 2 {
		return f, 0, 0, false
	}
	both := users(output)
	if len(both) != 2 {
		return f, 0, 0, false
	}
	sigmoid, product = both[0], both[1]
	s, p := c.nodes[sigmoid], c.nodes[product]
	if s.GetOpType() != "HardSigmoid" || p.GetOpType() != "Mul" || !standard(s) || !standard(p) ||
		len(s.GetOutput()) != 1 || c.uses[s.GetOutput()[0]] != 1 || len(p.GetInput()) != 2 ||
		len(p.GetOutput()) != 1 ||
		p.GetInput()[0] != s.GetOutput()[0] && p.GetInput()[1] != s.GetOutput()[0] {
		return f, 0, 0, false
	}
	for _, proto := range []*onnxpb.NodeProto{s, p} {
		if known := c.operators[proto.GetOpType()]; c.opset < known.since || known.check(proto) != nil {
			return f, 0, 0, false
		}
	}
	n := &node{proto: s, opset: c.opset, uses: c.uses}
	f.gate = &kernel.Gate{Slope: n.number("alpha", 0.2), Offset: n.number("beta", 0.5)}
	return f, sigmoid, product, true
}
