package native

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// foldNormalizations computes each BatchNormalization that follows a Conv, and nothing else does,
// with it, as onnx.FoldNormalization does in a file, where weight, bias and the four tensors are
// the model's own. What is not a plain case is left to the operators, and so to their errors.
func (c *compiler) foldNormalizations() {
	c.nodes = slices.Clone(c.nodes)
	user := c.lastUsers()
	for i, conv := range c.nodes {
		if !c.needed[i] || conv.GetOpType() != "Conv" || !standard(conv) ||
			len(conv.GetOutput()) != 1 || c.uses[conv.GetOutput()[0]] != 1 {
			continue
		}
		j, ok := user[conv.GetOutput()[0]]
		if !ok || j <= i || c.nodes[j].GetOpType() != "BatchNormalization" || !standard(c.nodes[j]) ||
			c.nodes[j].GetInput()[0] != conv.GetOutput()[0] {
			continue
		}
		weight, bias, ok := c.folded(conv, c.nodes[j])
		if !ok {
			continue
		}
		joined := proto.Clone(conv).(*onnxpb.NodeProto)
		joined.Input = []string{
			conv.GetInput()[0],
			c.own(fmt.Sprintf("folded weight %d", i), weight), c.own(fmt.Sprintf("folded bias %d", i), bias),
		}
		joined.Output = []string{c.nodes[j].GetOutput()[0]}
		c.nodes[i], c.needed[j] = joined, false
	}
}

// lastUsers returns, by value, the last node that is needed and takes it.
func (c *compiler) lastUsers() map[string]int {
	users := make(map[string]int)
	for i, node := range c.nodes {
		if !c.needed[i] {
			continue
		}
		for _, input := range node.GetInput() {
			users[input] = i
		}
	}
	return users
}

// own defines a constant under a name that the model has not, which it returns.
func (c *compiler) own(name string, constant *Tensor) string {
	for c.uses[name] > 0 {
		name += "'"
	}
	c.uses[name] = 1
	c.define(name, constant)
	return name
}

// folded returns the weight and the bias of a Conv with the BatchNormalization behind it.
func (c *compiler) folded(conv, normalization *onnxpb.NodeProto) (weight, bias *Tensor, ok bool) {
	known := c.operators["BatchNormalization"]
	if c.opset < known.since || known.check(normalization) != nil ||
		c.operators["Conv"].check(conv) != nil {
		return nil, nil, false
	}
	n := &node{proto: normalization, opset: c.opset, uses: c.uses}
	if _, err := makeBatchNormalization(n); err != nil {
		return nil, nil, false
	}
	values := func(name string) []float32 {
		t := c.initial(name)
		if t == nil {
			return nil
		}
		data, _ := t.Data.([]float32)
		return data
	}
	w := c.initial(conv.GetInput()[1])
	from := values(conv.GetInput()[1])
	if from == nil || len(w.Shape) < 3 || w.Shape[0] == 0 {
		return nil, nil, false
	}
	filters := w.Shape[0]
	summand := make([]float32, filters)
	if len(conv.GetInput()) > 2 && conv.GetInput()[2] != "" {
		summand = values(conv.GetInput()[2])
	}
	parameters := [][]float32{summand}
	for _, name := range normalization.GetInput()[1:] {
		parameters = append(parameters, values(name))
	}
	for _, p := range parameters {
		if len(p) != filters {
			return nil, nil, false
		}
	}
	if c.run.reserve(4*(len(from)+filters), "a convolution's weight") != nil {
		return nil, nil, false
	}
	foldedWeight, foldedBias := onnx.FoldedConv(from, parameters[0], parameters[1], parameters[2],
		parameters[3], parameters[4], float64(n.number("epsilon", 1e-5)))
	return &Tensor{Shape: slices.Clone(w.Shape), Data: foldedWeight}, &Tensor{Shape: []int{filters},
		Data: foldedBias}, true
}
