package native

import (
	"slices"

	"slipway/internal/onnxgraph"
	"slipway/onnx/onnxpb"
)

// fusion says what becomes of a node: computed by a later one, or computing those
// before it, too.
type fusion struct {
	absorbed bool
	// Of the last node of a group, the group: Conv [Add] [Relu, Clip or HardSwish] [MaxPool],
	// [Concat] BatchNormalization [Relu or Clip], Gemm or MatMul [Add] [Relu], an arithmetic
	// operator [Relu], or QuantizeLinear DequantizeLinear.
	head, add, relu, pool, dequantize *onnxpb.NodeProto
	// joined is the Concat before a BatchNormalization, which is the head then.
	joined *onnxpb.NodeProto
	// finish is what the Relu, Clip or HardSwish of a Conv or BatchNormalization does; of other
	// operators, relu is.
	finish finish
	// addend is the name of what is added to a Conv, empty for nothing.
	addend string
}

// fuse finds groups of nodes that are computed as one: each one's output is used
// by the next and by nothing else.
func (c *compiler) fuse() []fusion {
	fusions := make([]fusion, len(c.nodes))
	all := make(map[string][]int)
	for i, proto := range c.nodes {
		if c.needed[i] {
			for _, input := range proto.GetInput() {
				if input != "" && !slices.Contains(all[input], i) {
					all[input] = append(all[input], i)
				}
			}
		}
	}
	users := func(value string) []int { return all[value] }
	// only returns the only user of a node's output.
	only := func(i int) (int, bool) {
		proto := c.nodes[i]
		if len(proto.GetOutput()) != 1 || c.uses[proto.GetOutput()[0]] != 1 {
			return 0, false
		}
		if by := users(proto.GetOutput()[0]); len(by) == 1 {
			return by[0], true
		}
		return 0, false
	}
	// next returns it if it is of that operator.
	next := func(i int, operator string) (int, bool) {
		j, ok := only(i)
		return j, ok && c.nodes[j].GetOpType() == operator && standard(c.nodes[j])
	}
	taken := make([]bool, len(c.nodes)) // by the group of another head
	for i, proto := range c.nodes {
		if !c.needed[i] || !standard(proto) || fusions[i].absorbed || taken[i] {
			continue
		}
		group, last := fusion{head: proto, finish: noFinish()}, i
		absorb := func(j int) {
			fusions[last].absorbed = true
			last = j
		}
		switch proto.GetOpType() {
		case "Conv":
			if j, ok := next(last, "Add"); ok && j > i && !taken[j] {
				if addend := c.addendOf(c.nodes[j], proto); addend != "" {
					absorb(j)
					taken[j], group.addend = true, addend
				}
			}
			if j, ok := only(last); ok {
				if f, ok := c.finishOf(c.nodes[j]); ok &&
					c.nodes[j].GetInput()[0] == c.nodes[last].GetOutput()[0] {
					absorb(j)
					group.finish = f
				}
			} else if len(c.nodes[last].GetOutput()) == 1 {
				if f, sigmoid, product, ok := c.gateOf(c.nodes[last].GetOutput()[0], users); ok {
					fusions[sigmoid].absorbed = true
					absorb(product)
					taken[product], group.finish = true, f
				}
			}
			if j, ok := next(last, "MaxPool"); ok && len(c.nodes[j].GetOutput()) == 1 {
				absorb(j)
				group.pool = c.nodes[j]
			}
		case "Concat":
			j, ok := next(last, "BatchNormalization")
			if !ok || !c.joins(proto, c.nodes[j]) {
				break
			}
			absorb(j)
			taken[j] = true
			group.head, group.joined = c.nodes[j], proto
			fallthrough
		case "BatchNormalization":
			if j, ok := only(last); ok && len(c.nodes[last].GetOutput()) == 1 {
				if f, ok := c.finishOf(c.nodes[j]); ok && f.gate == nil &&
					c.nodes[j].GetInput()[0] == c.nodes[last].GetOutput()[0] {
					absorb(j)
					group.finish = f
				}
			}
		case "MatMul":
			if j, ok := next(last, "Add"); ok && len(proto.GetInput()) == 2 &&
				c.addsVector(c.nodes[j], proto) {
				absorb(j)
				group.add = c.nodes[j]
			}
			if j, ok := next(last, "Relu"); ok {
				absorb(j)
				group.relu = c.nodes[j]
			}
		case "Gemm", "Add", "Sub", "Mul", "Div", "Pow":
			if j, ok := next(last, "Relu"); ok {
				absorb(j)
				group.relu = c.nodes[j]
			}
		case "QuantizeLinear":
			if j, ok := next(last, "DequantizeLinear"); ok && c.oneScale(proto) && c.oneScale(c.nodes[j]) {
				absorb(j)
				group.dequantize = c.nodes[j]
			}
		}
		if last != i {
			fusions[last] = group
		}
	}
	return fusions
}

func standard(proto *onnxpb.NodeProto) bool {
	return onnxgraph.Domain(proto.GetDomain()) == ""
}

// addsVector reports whether an Add adds to a product by a matrix of the model an
// initializer with one value for each column, both float32: only that product adds.
func (c *compiler) addsVector(add, product *onnxpb.NodeProto) bool {
	matrix, bias := c.initial(product.GetInput()[1]), c.initial(biasOf(add, product.GetOutput()[0]))
	return matrix != nil && bias != nil && matrix.Type() == onnxpb.TensorProto_FLOAT &&
		bias.Type() == onnxpb.TensorProto_FLOAT &&
		len(matrix.Shape) == 2 && len(bias.Shape) == 1 && matrix.Shape[1] == bias.Shape[0]
}

// addendOf returns what an Add adds to a Conv's output, and "" where it may not be computed with
// it.
func (c *compiler) addendOf(add, conv *onnxpb.NodeProto) string {
	if known := c.operators["Add"]; c.opset < known.since || known.check(add) != nil ||
		len(add.GetInput()) != 2 {
		return ""
	}
	other := biasOf(add, conv.GetOutput()[0])
	if c.initial(other) != nil {
		return "" // of another shape as a rule
	}
	return other
}

// joins reports whether a BatchNormalization may read what a Concat of channels joins from where it
// lies.
func (c *compiler) joins(concat, normalization *onnxpb.NodeProto) bool {
	known := c.operators["Concat"]
	if c.opset < known.since || known.check(concat) != nil ||
		len(normalization.GetInput()) != joinedInputs ||
		normalization.GetInput()[0] != concat.GetOutput()[0] {
		return false
	}
	for _, name := range concat.GetInput() {
		if name == "" || c.initial(name) != nil {
			return false
		}
	}
	n := &node{proto: concat}
	return n.integer("axis", 0) == 1
}

// oneScale reports whether a QuantizeLinear or DequantizeLinear has a single scale and
// a zero point, both initializers.
func (c *compiler) oneScale(proto *onnxpb.NodeProto) bool {
	inputs := proto.GetInput()
	if len(inputs) != 3 || inputs[0] == "" {
		return false
	}
	scale, zeroPoint := c.initial(inputs[1]), c.initial(inputs[2])
	return scale != nil && zeroPoint != nil && scale.elements() == 1 && zeroPoint.elements() == 1
}

func (c *compiler) initial(name string) *Tensor {
	if i, ok := c.names[name]; ok {
		return c.values[i]
	}
	return nil
}

func biasOf(add *onnxpb.NodeProto, product string) string {
	for _, input := range add.GetInput() {
		if input != product {
			return input
		}
	}
	return ""
}

// fused makes the first node of a group ready, with those that follow.
func (c *compiler) fused(group fusion) (*node, operator, error) {
	n, known, err := c.newNode(group.head, group.joined != nil)
	if err != nil {
		return nil, operator{}, err
	}
	n.finish, n.addend, n.joins = group.finish, group.addend != "", group.joined != nil
	if group.add != nil {
		n.bias = c.values[c.names[biasOf(group.add, group.head.GetOutput()[0])]]
	}
	for _, follower := range []struct {
		proto *onnxpb.NodeProto
		to    **node
	}{{group.relu, &n.relu}, {group.pool, &n.pool}, {group.dequantize, &n.dequantize}} {
		if follower.proto == nil {
			continue
		}
		operator, ok := c.operators[follower.proto.GetOpType()]
		if !ok {
			continue
		}
		if err := operator.check(follower.proto); err != nil {
			return nil, operator, err
		}
		*follower.to = &node{proto: follower.proto, opset: c.opset, uses: c.uses}
		for _, name := range follower.proto.GetInput() {
			(*follower.to).constants = append((*follower.to).constants, c.initial(name))
		}
	}
	return n, known, nil
}
