package builder

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Graph wires layers to a network that is more than a chain:
//
//	g := builder.NewGraph("tiny", builder.Shape{3, 32, 32})
//	x := g.Then(g.Input(), builder.Conv2D{Filters: 16, Kernel: builder.Square(3), Padding: builder.Square(1)})
//	y := g.Then(x, builder.BatchNorm{}, builder.ReLU{})
//	x = g.Join(builder.Add{}, x, y)
//	network, err := g.Network(g.Then(x, builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dense{Units: 10}))
//
// The first mistake sticks: what is called after it does nothing, and Network returns it, with the
// layer's name and place. A graph belongs to one goroutine.
type Graph struct {
	name   string
	input  Shape
	nodes  []Node
	scope  string
	counts map[string]int
	taken  map[string]bool
	err    error
	// reserved are names of layers to come, and total their number, where these are known.
	reserved map[string]bool
	total    int
}

// Value is what a layer of a graph gives, or its input.
type Value struct {
	graph *Graph
	at    int // the node, or inputPlace
}

// inputPlace is the place of the network's input among its nodes.
const inputPlace = -1

// inputReference is what JSON calls the network's input.
const inputReference = "input"

// networkPattern keeps a network's name usable as a file's.
var networkPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// layerPattern keeps layers' names usable in a PyTorch state dict, whose dots separate modules, and
// as ONNX value names.
var layerPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// NewGraph begins a network of that name whose input is, for one example, C×H×W or F.
func NewGraph(name string, input Shape) *Graph {
	g := &Graph{name: name, input: slices.Clone(input), counts: make(map[string]int),
		taken: make(map[string]bool), reserved: make(map[string]bool)}
	switch {
	case !networkPattern.MatchString(name):
		g.err = fmt.Errorf("network name %q: use a letter, then letters, digits, _ or -", name)
	case len(input) != 1 && len(input) != 3:
		g.err = fmt.Errorf(
			"network %s: input shape %v has %d dimensions; use C×H×W or a number of features", name, input,
			len(input))
	default:
		if err := input.checkPositive(); err != nil {
			g.err = fmt.Errorf("network %s: input: %w", name, err)
		}
	}
	return g
}

// Input returns the network's input.
func (g *Graph) Input() Value { return Value{g, inputPlace} }

// Shape returns the shape of a value, for one example; after a mistake it may be nil.
func (g *Graph) Shape(v Value) Shape {
	if v.graph != g || g.err != nil && v.at >= len(g.nodes) {
		return nil
	}
	if v.at == inputPlace {
		return slices.Clone(g.input)
	}
	return slices.Clone(g.nodes[v.at].Output)
}

// Scope puts name and a dot before the names of the layers that follow, until the function that it
// returns is called. Scopes nest: within "layer1" and "0" the layer "conv1" is "layer1.0.conv1".
func (g *Graph) Scope(name string) (leave func()) {
	before := g.scope
	g.scope += name + "."
	return func() { g.scope = before }
}

// Then appends the layers to the value, one after the other.
func (g *Graph) Then(x Value, layers ...Layer) Value {
	for _, layer := range layers {
		x = g.Join(layer, x)
	}
	return x
}

// Join appends a layer that takes the values, in this order.
func (g *Graph) Join(layer Layer, values ...Value) Value {
	if g.err != nil {
		return Value{g, inputPlace}
	}
	if err := g.join(layer, values); err != nil {
		place := fmt.Sprint(len(g.nodes) + 1)
		if g.total > 0 {
			place += fmt.Sprintf(" of %d", g.total)
		}
		g.err = fmt.Errorf("network %s, layer %s: %w", g.name, place, err)
		return Value{g, inputPlace}
	}
	return Value{g, len(g.nodes) - 1}
}

func (g *Graph) join(layer Layer, values []Value) error {
	if layer == nil {
		return errNil
	}
	name, err := nameOf(layer)
	if err != nil {
		return err
	}
	if name == "" {
		name = g.freeName(prefixOf(layer))
	} else {
		name = g.scope + name
	}
	switch {
	case !layerPattern.MatchString(name):
		return fmt.Errorf("(%s) name %q: use letters, digits, _ and -, with single dots between them",
			layer.Kind(), name)
	case g.taken[name]:
		return fmt.Errorf("the name %q is taken; layer names are unique", name)
	}
	node := Node{Name: name}
	for _, value := range values {
		if value.graph != g || value.at >= len(g.nodes) {
			return fmt.Errorf("(%s %s) takes a value of another graph", layer.Kind(), name)
		}
		if value.at >= 0 && g.nodes[value.at].Layer.Kind() == softmaxKind {
			return fmt.Errorf("(%s %s) follows %s, and Softmax may only come last", layer.Kind(), name,
				g.nodes[value.at].Name)
		}
		node.Inputs = append(node.Inputs, value.at)
		node.InputShapes = append(node.InputShapes, g.Shape(value))
	}
	if len(values) == 0 {
		return fmt.Errorf("(%s %s) takes no value", layer.Kind(), name)
	}
	inferred, err := layer.Infer(node.InputShapes)
	if err != nil {
		return fmt.Errorf("(%s %s) %w", layer.Kind(), name, err)
	}
	if err := inferred.Output.checkPositive(); err != nil {
		return fmt.Errorf("(%s %s) output: %w", layer.Kind(), name, err)
	}
	if inferred.Layer == nil {
		return fmt.Errorf("(%s %s) Infer gives no layer", layer.Kind(), name)
	}
	for _, tensor := range inferred.Tensors {
		if err := tensor.Shape.checkPositive(); err != nil {
			return fmt.Errorf("(%s %s) %s: %w", layer.Kind(), name, tensor.Name, err)
		}
		tensor.Name = name + "." + tensor.Name
		node.Tensors = append(node.Tensors, tensor)
	}
	node.Layer = named(inferred.Layer, name)
	node.Input, node.Output, node.WholeBatch = node.InputShapes[0], inferred.Output,
		inferred.WholeBatch
	g.nodes = append(g.nodes, node)
	g.taken[name] = true
	return nil
}

// freeName makes up a name: the prefix and the first number that is free in the scope.
func (g *Graph) freeName(prefix string) string {
	for {
		g.counts[g.scope+prefix]++
		if free := fmt.Sprintf("%s%s%d", g.scope, prefix, g.counts[g.scope+prefix]); !g.taken[free] &&
			!g.reserved[free] {
			return free
		}
	}
}

// Reserve says what layers to come will be called: no name that is made up before them is one of
// these. Within a Scope names are those without it.
func (g *Graph) Reserve(names ...string) {
	for _, name := range names {
		g.reserved[g.scope+name] = true
	}
}

// expect says which layers will be joined: no made-up name is that of one to come.
func (g *Graph) expect(layers []Layer) {
	g.total = len(layers)
	for _, layer := range layers {
		if layer == nil {
			continue
		}
		if given, err := nameOf(layer); err == nil {
			g.reserved[given] = true
		}
	}
}

// Network returns the network that ends in the value, or the first mistake. Every layer must have
// a part in it.
func (g *Graph) Network(output Value) (*Network, error) {
	if g.err != nil {
		return nil, g.err
	}
	fail := func(format string, arguments ...any) (*Network, error) {
		return nil, fmt.Errorf("network "+g.name+": "+format, arguments...)
	}
	if output.graph != g {
		return fail("its output is a value of another graph")
	}
	if output.at == inputPlace {
		return nil, fmt.Errorf("network %s has no layers", g.name)
	}
	used := make([]bool, len(g.nodes))
	used[output.at] = true
	for i := len(g.nodes) - 1; i >= 0; i-- {
		if !used[i] {
			continue
		}
		for _, input := range g.nodes[i].Inputs {
			if input >= 0 {
				used[input] = true
			}
		}
	}
	var unused []string
	for i, node := range g.nodes {
		if !used[i] {
			unused = append(unused, node.Name)
		}
	}
	if len(unused) > 0 {
		return fail("nothing that leads to its output, %s, takes the output of %s",
			g.nodes[output.at].Name, strings.Join(unused, ", "))
	}
	network := &Network{name: g.name, input: slices.Clone(g.input), nodes: slices.Clone(g.nodes)}
	if !network.isChain() {
		for _, node := range network.nodes {
			if node.Name == inputReference {
				return fail("a layer of a network that is not a chain may not be called %q, which is its input",
					inputReference)
			}
		}
	}
	names := make(map[string]bool)
	for _, tensor := range network.Tensors() {
		if names[tensor.Name] {
			return fail("two layers have a tensor %s", tensor.Name)
		}
		names[tensor.Name] = true
	}
	return network, nil
}

// New checks that each layer accepts the shape that the layer before it gives, and returns the
// network of this chain. input is the shape of one example: C×H×W or F. The error names the layer
// and its place.
func New(name string, input Shape, layers ...Layer) (*Network, error) {
	g := NewGraph(name, input)
	if g.err == nil && len(layers) == 0 {
		return nil, fmt.Errorf("network %s has no layers", name)
	}
	g.expect(layers)
	return g.Network(g.Then(g.Input(), layers...))
}
