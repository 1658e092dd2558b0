package builder

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"

	"slipway/internal/display"
)

// Network is a checked, immutable sequence of layers. Make one with New.
type Network struct {
	name  string
	input Shape
	nodes []Node
}

// Node is a layer in its place: with its name, its defaults filled in, and the
// shapes of one example before and after it.
type Node struct {
	Name       string
	Layer      Layer
	Input      Shape
	Output     Shape
	Parameters []Parameter
}

// namePattern keeps names usable as file names, ONNX value names and keys of a
// PyTorch state dict (where a dot separates the layer from its tensor).
var namePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// New checks that each layer accepts the shape that the layer before it gives,
// and returns the network. input is the shape of one example: C×H×W or F. The
// error names the layer and its place.
func New(name string, input Shape, layers ...Layer) (*Network, error) {
	if !namePattern.MatchString(name) {
		return nil, fmt.Errorf("network name %q: use a letter, then letters, digits, _ or -", name)
	}
	if len(input) != 1 && len(input) != 3 {
		return nil, fmt.Errorf("network %s: input shape %v has %d dimensions; use C×H×W or a number of features", name, input, len(input))
	}
	if err := input.checkPositive(); err != nil {
		return nil, fmt.Errorf("network %s: input: %w", name, err)
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("network %s has no layers", name)
	}
	network := &Network{name: name, input: append(Shape(nil), input...)}
	taken := make(map[string]bool)
	for _, layer := range layers {
		if layer != nil && layer.given() != "" {
			taken[layer.given()] = true
		}
	}
	counts := make(map[string]int)
	seen := make(map[string]bool)
	shape := network.input
	for i, layer := range layers {
		node, err := place(layer, shape, func(prefix string) string {
			for {
				counts[prefix]++
				if free := fmt.Sprintf("%s%d", prefix, counts[prefix]); !taken[free] {
					return free
				}
			}
		})
		if err != nil {
			return nil, fmt.Errorf("network %s, layer %d of %d: %w", name, i+1, len(layers), err)
		}
		if seen[node.Name] {
			return nil, fmt.Errorf("network %s, layer %d of %d: the name %q is taken; layer names are unique", name, i+1, len(layers), node.Name)
		}
		if _, isSoftmax := node.Layer.(Softmax); isSoftmax && i != len(layers)-1 {
			return nil, fmt.Errorf("network %s, layer %d of %d (%s): Softmax may only come last", name, i+1, len(layers), node.Name)
		}
		seen[node.Name] = true
		network.nodes = append(network.nodes, node)
		shape = node.Output
	}
	return network, nil
}

func place(layer Layer, in Shape, freeName func(prefix string) string) (Node, error) {
	if layer == nil {
		return Node{}, errors.New("is nil")
	}
	name := layer.given()
	if name == "" {
		name = freeName(layer.prefix())
	}
	if !namePattern.MatchString(name) {
		return Node{}, fmt.Errorf("(%s) name %q: use a letter, then letters, digits, _ or -", layer.Kind(), name)
	}
	resolved, out, parameters, err := layer.resolve(in)
	if err != nil {
		return Node{}, fmt.Errorf("(%s %s) %w", layer.Kind(), name, err)
	}
	if err := out.checkPositive(); err != nil {
		return Node{}, fmt.Errorf("(%s %s) output: %w", layer.Kind(), name, err)
	}
	for i := range parameters {
		parameters[i].Name = name + "." + parameters[i].Name
	}
	return Node{Name: name, Layer: resolved, Input: in, Output: out, Parameters: parameters}, nil
}

// Name returns the network's name.
func (n *Network) Name() string { return n.name }

// Input returns the shape of one example.
func (n *Network) Input() Shape { return append(Shape(nil), n.input...) }

// Output returns the shape of the last layer's output for one example.
func (n *Network) Output() Shape {
	return append(Shape(nil), n.nodes[len(n.nodes)-1].Output...)
}

// Nodes returns the layers in order.
func (n *Network) Nodes() []Node { return append([]Node(nil), n.nodes...) }

// Node returns the layer of that name.
func (n *Network) Node(name string) (Node, bool) {
	for _, node := range n.nodes {
		if node.Name == name {
			return node, true
		}
	}
	return Node{}, false
}

// Classes returns the number of logits. It is an error if the network does not
// end in a vector.
func (n *Network) Classes() (int, error) {
	out := n.Output()
	if len(out) != 1 {
		return 0, fmt.Errorf("network %s ends in a %v map, not in a vector of logits; add Flatten and Dense", n.name, out)
	}
	return out[0], nil
}

// Parameters returns every tensor the network learns, in the order of the
// layers.
func (n *Network) Parameters() []Parameter {
	var parameters []Parameter
	for _, node := range n.nodes {
		parameters = append(parameters, node.Parameters...)
	}
	return parameters
}

// ParameterCount returns the number of values the network learns.
func (n *Network) ParameterCount() int {
	count := 0
	for _, parameter := range n.Parameters() {
		count += parameter.Shape.Elements()
	}
	return count
}

// String returns a summary table: layer, output shape and number of parameters.
func (n *Network) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: input %v\n", n.name, n.input)
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "layer\ttype\toutput\tparameters")
	for _, node := range n.nodes {
		count := 0
		for _, parameter := range node.Parameters {
			count += parameter.Shape.Elements()
		}
		fmt.Fprintf(table, "%s\t%s\t%v\t%s\n", node.Name, describe(node.Layer), node.Output, display.Thousands(count))
	}
	table.Flush()
	fmt.Fprintf(&text, "%s parameters\n", display.Thousands(n.ParameterCount()))
	return text.String()
}

func describe(layer Layer) string {
	window := func(kernel, stride, padding, defaultStride Size) string {
		text := fmt.Sprintf("%s %v", layer.Kind(), kernel)
		if stride != defaultStride {
			text += fmt.Sprintf(" stride %v", stride)
		}
		if !padding.isZero() {
			text += fmt.Sprintf(" padding %v", padding)
		}
		return text
	}
	switch l := layer.(type) {
	case Conv2D:
		return window(l.Kernel, l.Stride, l.Padding, Square(1))
	case MaxPool2D:
		return window(l.Kernel, l.Stride, l.Padding, l.Kernel)
	case AvgPool2D:
		return window(l.Kernel, l.Stride, l.Padding, l.Kernel)
	case Dropout:
		return fmt.Sprintf("Dropout p=%v", l.P)
	}
	return layer.Kind()
}
