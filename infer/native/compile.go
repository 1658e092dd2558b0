package native

import (
	"fmt"
	"slices"

	"slipway/internal/onnxgraph"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// compiler makes a program.
type compiler struct {
	*program
	run       *run
	opset     int64
	operators map[string]operator
	names     map[string]int
	nodes     []*onnxpb.NodeProto
	uses      map[string]int // by nodes that are needed, and by outputs
	needed    []bool
	joined    map[*onnxpb.NodeProto]joinedFunction // see joinActivations
	direct    bool                                 // as in Options
}

func compile(model *onnx.Model, options Options, r *run) (*program, error) {
	graph := model.Proto.GetGraph()
	c := &compiler{
		program: new(program), run: r, opset: model.Opset(""),
		operators: operators(), names: make(map[string]int), nodes: graph.GetNode(),
		uses: make(map[string]int), direct: options.Direct,
	}
	if err := c.choose(graph, options.Outputs); err != nil {
		return nil, err
	}
	for _, input := range model.Inputs() {
		value := -1 // Still an input that a caller must give.
		if c.uses[input.Name] > 0 {
			value = c.define(input.Name, nil)
		}
		c.given = append(c.given, value)
		c.inputs = append(c.inputs, portOf(input))
	}
	if err := c.initializers(graph); err != nil {
		return nil, err
	}
	if err := c.settle(); err != nil {
		return nil, err
	}
	c.foldNormalizations()
	c.joinActivations()
	merged := c.fuse()
	for i, proto := range c.nodes {
		if !c.needed[i] || merged[i].absorbed {
			continue
		}
		place := describe(i, proto)
		if head := merged[i].head; head != nil {
			place = describe(slices.Index(c.nodes, head), head)
		}
		if err := c.node(place, proto, merged[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
	}
	for _, name := range c.outputs {
		c.results = append(c.results, c.names[name])
	}
	c.chain()
	c.excite()
	c.branch()
	c.preactivate()
	c.border()
	c.ends()
	c.apart = c.separable()
	return c.program, nil
}

// choose finds the outputs and the nodes that they need.
func (c *compiler) choose(graph *onnxpb.GraphProto, outputs []string) error {
	if len(outputs) == 0 {
		for _, output := range graph.GetOutput() {
			outputs = append(outputs, output.GetName())
		}
	}
	for _, name := range outputs {
		if !slices.ContainsFunc(graph.GetOutput(), func(o *onnxpb.ValueInfoProto) bool {
			return o.GetName() == name
		}) {
			return fmt.Errorf("the graph has no output %q", shorten(name))
		}
		c.uses[name]++
	}
	c.outputs = outputs
	c.needed = make([]bool, len(c.nodes))
	for i := len(c.nodes) - 1; i >= 0; i-- {
		for _, output := range c.nodes[i].GetOutput() {
			c.needed[i] = c.needed[i] || output != "" && c.uses[output] > 0
		}
		if !c.needed[i] {
			continue
		}
		for _, input := range c.nodes[i].GetInput() {
			if input != "" {
				c.uses[input]++
			}
		}
	}
	return nil
}

func portOf(value onnx.Value) Port {
	p := Port{Name: value.Name, Type: value.Type}
	if value.HasShape {
		p.Shape = []int{}
		for _, d := range value.Dims {
			p.Shape = append(p.Shape, int(d.Size))
		}
	}
	return p
}

func (c *compiler) initializers(graph *onnxpb.GraphProto) error {
	for _, sparse := range graph.GetSparseInitializer() {
		if name := sparse.GetValues().GetName(); c.uses[name] > 0 {
			return fmt.Errorf("the initializer %q is sparse, which is not supported; export it dense",
				shorten(name))
		}
	}
	for _, proto := range graph.GetInitializer() {
		if c.uses[proto.GetName()] == 0 {
			continue
		}
		tensor, err := tensorOf(proto)
		if err != nil {
			return fmt.Errorf("the initializer %q: %w", shorten(proto.GetName()), err)
		}
		c.define(proto.GetName(), tensor)
	}
	return nil
}

func (c *compiler) define(name string, constant *Tensor) int {
	if i, ok := c.names[name]; ok {
		return i
	}
	c.values = append(c.values, constant)
	c.names[name] = len(c.values) - 1
	return len(c.values) - 1
}

// newNode makes a node ready for its operator's maker and checks what holds for
// every operator. Where it joins, its first input is never made.
func (c *compiler) newNode(proto *onnxpb.NodeProto, joins bool) (*node, operator, error) {
	if domain := onnxgraph.Domain(proto.GetDomain()); domain != "" {
		return nil, operator{}, fmt.Errorf("operators of the domain %q are not supported",
			shorten(domain))
	}
	known, ok := c.operators[proto.GetOpType()]
	if f, isJoined := c.joined[proto]; isJoined {
		known = operator{since: known.since, minInputs: 1, maxInputs: 1,
			make: func(*node) (operation, error) { return vectorised(loopOf(f.vectors), f.other), nil }}
	}
	switch {
	case !ok:
		return nil, operator{}, fmt.Errorf("the operator is not supported")
	case c.opset < known.since:
		return nil, operator{}, fmt.Errorf(
			"the operator is supported from opset %d on, the model's is %d", known.since, c.opset)
	}
	if err := known.check(proto); err != nil {
		return nil, operator{}, err
	}
	n := &node{proto: proto, opset: c.opset, uses: c.uses, finish: noFinish(), direct: c.direct}
	for k, name := range proto.GetInput() {
		var constant *Tensor
		if name != "" && !(joins && k == 0) {
			i, ok := c.names[name]
			if !ok {
				return nil, operator{}, fmt.Errorf("its input %q is not made before it", shorten(name))
			}
			constant = c.values[i]
		}
		n.constants = append(n.constants, constant)
	}
	return n, known, nil
}

// node makes a step of a node, or of the group that ends with it.
func (c *compiler) node(place string, proto *onnxpb.NodeProto, group fusion) error {
	// The first node's inputs, the last node's outputs.
	s, first := step{place: place}, proto
	prepare := func() (*node, operator, error) { return c.newNode(proto, false) }
	if group.head != nil {
		first = group.head
		prepare = func() (*node, operator, error) { return c.fused(group) }
	}
	n, known, err := prepare()
	if err != nil {
		return err
	}
	if s.compute, err = known.make(n); err != nil {
		return err
	}
	s.convolution, s.normalization, s.joinsChannels = n.convolution, n.normalization, n.joinsChannels
	s.multiplies = n.multiplies
	inputs := first.GetInput()
	if group.joined != nil {
		inputs = slices.Concat([]string{""}, inputs[1:], group.joined.GetInput())
	}
	for _, name := range inputs {
		i := -1
		if name != "" {
			var ok bool
			if i, ok = c.names[name]; !ok {
				return fmt.Errorf("its input %q is not made before it", shorten(name))
			}
		}
		s.inputs = append(s.inputs, i)
	}
	if group.addend != "" {
		for len(s.inputs) < addendInput {
			s.inputs = append(s.inputs, -1)
		}
		i, ok := c.names[group.addend]
		if !ok {
			return fmt.Errorf("its input %q is not made before it", shorten(group.addend))
		}
		s.inputs = append(s.inputs, i)
	}
	if c.constant(s.inputs) {
		return c.fold(s, proto)
	}
	for _, name := range proto.GetOutput() {
		i := -1
		if name != "" && c.uses[name] > 0 {
			i = c.define(name, nil)
		}
		s.outputs = append(s.outputs, i)
	}
	c.steps = append(c.steps, s)
	return nil
}

func (c *compiler) constant(inputs []int) bool {
	for _, i := range inputs {
		if i >= 0 && c.values[i] == nil {
			return false
		}
	}
	return true
}

// settle computes the nodes Constant, and Identity of what is constant, before nodes are joined:
// what they give is to the others as an initializer.
func (c *compiler) settle() error {
	for i, proto := range c.nodes {
		if !c.needed[i] || !standard(proto) {
			continue
		}
		switch proto.GetOpType() {
		case "Constant":
		case "Identity":
			if inputs := proto.GetInput(); len(inputs) != 1 || c.initial(inputs[0]) == nil {
				continue
			}
		default:
			continue
		}
		place := describe(i, proto)
		if err := c.node(place, proto, fusion{}); err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
		c.needed[i] = false
	}
	return nil
}

// fold computes a step whose inputs are the same in every run.
func (c *compiler) fold(s step, proto *onnxpb.NodeProto) error {
	in := make([]*Tensor, len(s.inputs))
	for i, v := range s.inputs {
		if v >= 0 {
			in[i] = c.values[v]
		}
	}
	out, err := s.compute(c.run, in)
	if err != nil {
		return fmt.Errorf("computed once, as it depends on no input: %w", err)
	}
	for i, name := range proto.GetOutput() {
		if name == "" || c.uses[name] == 0 {
			continue
		}
		if i >= len(out) || out[i] == nil {
			return fmt.Errorf("its output %d is not supported", i)
		}
		plain, err := c.run.rowMajor(out[i])
		if err != nil {
			return err
		}
		// A constant of its own: never released, its memory counted as used.
		constant := &Tensor{Shape: plain.Shape, Data: plain.Data}
		c.define(name, constant)
	}
	return nil
}

// ends notes after which step each value is no longer needed.
func (c *compiler) ends() {
	last := make(map[int]int)
	for i, s := range c.steps {
		for _, v := range slices.Concat(s.inputs, s.outputs) {
			if v >= 0 && c.values[v] == nil {
				last[v] = i
			}
		}
	}
	for _, v := range c.results {
		delete(last, v)
	}
	for v, i := range last {
		c.steps[i].ends = append(c.steps[i].ends, v)
	}
	for i := range c.steps {
		slices.Sort(c.steps[i].ends)
	}
}
