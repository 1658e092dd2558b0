package builder

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"slipway/internal/display"
)

// Network is a checked, immutable graph of layers. Make one with New or a Graph.
type Network struct {
	name  string
	input Shape
	nodes []Node
}

// Node is a layer in its place: with its name, its defaults filled in, and the
// shapes of one example before and after it.
type Node struct {
	Name  string
	Layer Layer
	// Inputs are the places, among the network's nodes, of those whose outputs the layer takes; −1 is
	// the network's input. Each comes before the node.
	Inputs []int
	// InputShapes are the inputs' shapes, and Input the first of them.
	InputShapes []Shape
	Input       Shape
	Output      Shape
	// Tensors are those that the layer learns or keeps, under their full names.
	Tensors []TensorSpec
	// WholeBatch is that of Inferred.
	WholeBatch bool
}

// With returns the network in which exchange has put other layers in the place of its own: the
// layer of each node becomes what exchange returns for it, which may be the node's. Names and
// inputs stay. The error is that of a layer that does not fit.
func (n *Network) With(exchange func(Node) Layer) (*Network, error) {
	g := NewGraph(n.name, n.input)
	g.total = len(n.nodes)
	values := make([]Value, len(n.nodes))
	for i, node := range n.nodes {
		layer := exchange(node)
		if layer == nil {
			return nil, fmt.Errorf(
				"network %s, layer %s: is to be exchanged for nil; return the node's layer to keep it", n.name,
				node.Name)
		}
		if _, err := nameOf(layer); err != nil {
			return nil, fmt.Errorf("network %s, layer %s: %w", n.name, node.Name, err)
		}
		var inputs []Value
		for _, input := range node.Inputs {
			if input == inputPlace {
				inputs = append(inputs, g.Input())
				continue
			}
			inputs = append(inputs, values[input])
		}
		values[i] = g.Join(named(layer, node.Name), inputs...)
	}
	return g.Network(values[len(values)-1])
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
		return 0, fmt.Errorf(
			"network %s ends in a %v map, not in a vector of logits; add Flatten and Dense", n.name, out)
	}
	return out[0], nil
}

// Tensors returns every tensor of the network, learned or kept, in the order of the layers.
func (n *Network) Tensors() []TensorSpec {
	var tensors []TensorSpec
	for _, node := range n.nodes {
		tensors = append(tensors, node.Tensors...)
	}
	return tensors
}

// Parameters returns every tensor that the network learns, in the order of Tensors.
func (n *Network) Parameters() []TensorSpec {
	return slices.DeleteFunc(n.Tensors(), func(t TensorSpec) bool { return t.Role != Learned })
}

// ParameterCount returns the number of values the network learns.
func (n *Network) ParameterCount() int { return count(n.Parameters()) }

func count(tensors []TensorSpec) int {
	values := 0
	for _, tensor := range tensors {
		if tensor.Role == Learned {
			values += tensor.Shape.Elements()
		}
	}
	return values
}

// WholeBatch reports whether the images of a training batch are computed together, so that it is
// not trained on in parts.
func (n *Network) WholeBatch() bool {
	return slices.ContainsFunc(n.nodes, func(node Node) bool { return node.WholeBatch })
}

// Separable reports whether the native engine can compute several shards of a batch as one, to the
// bits that each has by itself: where layers compute each image by itself, or are batch
// normalisations, and those with tensors are these, convolutions and dense layers. Batch statistics
// are then those of all shards (LowerOptions.Sync). It does not know that of a layer of one's own.
func (n *Network) Separable() bool {
	return !slices.ContainsFunc(n.nodes, func(node Node) bool {
		switch node.Layer.(type) {
		case Conv2D, Dense, BatchNorm:
			return false
		}
		_, native := node.Layer.(nativeLayer)
		return node.WholeBatch || len(node.Tensors) > 0 || !native && node.Layer.Kind() != softmaxKind
	})
}

// isChain reports whether each node takes the output of the one before, and nothing else.
func (n *Network) isChain() bool {
	for i, node := range n.nodes {
		if !slices.Equal(node.Inputs, []int{i - 1}) {
			return false
		}
	}
	return true
}

// consumers returns, by node, the places of the nodes that take its output, once for each time.
func (n *Network) consumers() [][]int {
	all := make([][]int, len(n.nodes))
	for i, node := range n.nodes {
		for _, input := range node.Inputs {
			if input >= 0 {
				all[input] = append(all[input], i)
			}
		}
	}
	return all
}

// inputName is what the node's input is called in JSON and in summaries.
func (n *Network) inputName(place int) string {
	if place < 0 {
		return inputReference
	}
	return n.nodes[place].Name
}

// String returns a summary table: layer, output shape and number of parameters, and
// of a graph what each layer takes where that is not the one before.
func (n *Network) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: input %v\n", n.name, n.input)
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	from := ""
	if !n.isChain() {
		from = "\ttakes"
	}
	fmt.Fprintf(table, "layer\ttype\toutput\tparameters%s\n", from)
	for i, node := range n.nodes {
		takes := ""
		if !slices.Equal(node.Inputs, []int{i - 1}) {
			var names []string
			for _, input := range node.Inputs {
				names = append(names, n.inputName(input))
			}
			takes = "\t" + strings.Join(names, ", ")
		}
		fmt.Fprintf(table, "%s\t%s\t%v\t%s%s\n", node.Name, describe(node.Layer), node.Output,
			display.Thousands(count(node.Tensors)), takes)
	}
	table.Flush()
	fmt.Fprintf(&text, "%s parameters\n", display.Thousands(n.ParameterCount()))
	return text.String()
}

// describe is a layer's kind with the settings that its Describe adds.
func describe(layer Layer) string {
	if d, ok := layer.(interface{ Describe() string }); ok {
		return layer.Kind() + " " + d.Describe()
	}
	return layer.Kind()
}
