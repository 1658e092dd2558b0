package native

import (
	"fmt"
	"slices"
	"strings"

	"slipway/internal/onnxgraph"
	"slipway/onnx/onnxpb"
)

// node is a node of the graph as the maker of its operation sees it.
type node struct {
	proto *onnxpb.NodeProto
	opset int64
	// uses counts, by name, who takes a value.
	uses map[string]int
	// constants has the inputs that are the same in every run, nil for the others.
	constants []*Tensor
	// relu and pool are nodes that follow this one and nothing else, and so may be
	// computed with it; nil where there are none.
	relu, pool *node
	// finish is what follows a Conv or a BatchNormalization element by element, and addend
	// whether the fourth input is added to a Conv before.
	finish finish
	addend bool
	// joins says that a BatchNormalization's first input is what those from the sixth on join.
	joins bool
	// dequantize is the DequantizeLinear that follows a QuantizeLinear and is computed
	// with it, nil where there is none. Its constants are those of its own inputs.
	dequantize *node
	// bias is, where an Add is computed with a MatMul, what it adds.
	bias *Tensor
	// convolution is what a Conv was made, and normalization what a BatchNormalization was;
	// joinsChannels says whether a Concat is of channels, multiplies whether it is a Mul alone.
	convolution   *convolution
	normalization *batchNormalization
	joinsChannels bool
	multiplies    bool
	direct        bool // as in Options
}

// has reports whether input i is given.
func (n *node) has(i int) bool { return i < len(n.proto.GetInput()) && n.proto.GetInput()[i] != "" }

// gives reports whether output i is wanted: exporters also name outputs that no node
// and no output of the graph takes.
func (n *node) gives(i int) bool {
	return i < len(n.proto.GetOutput()) && n.proto.GetOutput()[i] != "" &&
		n.uses[n.proto.GetOutput()[i]] > 0
}

// constant returns input i if it is given and the same in every run.
func (n *node) constant(i int) *Tensor {
	if i < len(n.constants) {
		return n.constants[i]
	}
	return nil
}

func (n *node) attribute(name string) *onnxpb.AttributeProto {
	for _, a := range n.proto.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

func (n *node) integer(name string, otherwise int64) int64 {
	if a := n.attribute(name); a != nil {
		return a.GetI()
	}
	return otherwise
}

func (n *node) number(name string, otherwise float32) float32 {
	if a := n.attribute(name); a != nil {
		return a.GetF()
	}
	return otherwise
}

func (n *node) text(name, otherwise string) string {
	if a := n.attribute(name); a != nil && len(a.GetS()) > 0 {
		return string(a.GetS())
	}
	return otherwise
}

// list returns an attribute's numbers; given is false if it is absent.
func (n *node) list(name string) (values []int64, given bool) {
	a := n.attribute(name)
	return a.GetInts(), a != nil
}

// only refuses an attribute with another value than those that are implemented.
func (n *node) only(name string, otherwise int64, allowed ...int64) error {
	if v := n.integer(name, otherwise); !slices.Contains(allowed, v) {
		return fmt.Errorf("attribute %s = %d is not supported, only %v", name, v, allowed)
	}
	return nil
}

// describe names a node for an error: its place, operator and name.
func describe(index int, proto *onnxpb.NodeProto) string {
	operator := proto.GetOpType()
	if domain := onnxgraph.Domain(proto.GetDomain()); domain != "" {
		operator = domain + "." + operator
	}
	if proto.GetName() == "" {
		return fmt.Sprintf("node %d (%s)", index, shorten(operator))
	}
	return fmt.Sprintf("node %d (%s %q)", index, shorten(operator), shorten(proto.GetName()))
}

// shorten keeps an error readable when a name is a megabyte long or would move
// the terminal's cursor.
func shorten(text string) string {
	const longest = 80
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '�'
		}
		return r
	}, text)
}

// axisOf returns an axis of so many dimensions, counted from the end if negative.
func axisOf(axis int64, rank int) (int, error) {
	if axis < int64(-rank) || axis >= int64(rank) {
		return 0, fmt.Errorf("axis %d is outside of the %d dimensions", axis, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

// axesOf returns which of the dimensions are meant; none may be meant twice.
func axesOf(axes []int64, rank int) ([]bool, error) {
	meant := make([]bool, rank)
	for _, a := range axes {
		axis, err := axisOf(a, rank)
		if err != nil {
			return nil, err
		}
		if meant[axis] {
			return nil, fmt.Errorf("axes %v name dimension %d twice", axes, axis)
		}
		meant[axis] = true
	}
	return meant, nil
}
