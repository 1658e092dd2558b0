package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/ops"
)

// LowerOptions says what graph Lower makes.
type LowerOptions struct {
	// Batch is the number of examples that the graph takes, exactly.
	Batch int
	// Training adds dropout, which is absent otherwise.
	Training bool
	// Seed decides the dropout masks.
	Seed uint64
	// Keep names the layers whose outputs Graph.Activations has to hold.
	Keep []string
}

// Graph is a network lowered to a Gorgonia graph for one batch size.
type Graph struct {
	Expr *gorgonia.ExprGraph
	// Input is the batch of examples, in the engine's layout.
	Input *gorgonia.Node
	// Logits is N×K: the output of the last layer, or of the one before it if
	// the last is Softmax.
	Logits *gorgonia.Node
	// Activations are the outputs of the layers in LowerOptions.Keep, by name,
	// in the engine's layout.
	Activations map[string]*gorgonia.Node
	// Parameters are in the order of Network.Parameters and hold the values of
	// the Variables.
	Parameters gorgonia.Nodes

	images []float32
	masks  []*ops.Masks
}

// Images returns the slice that holds the input batch, N×C×H×W (or N×F),
// to write before the graph runs.
func (g *Graph) Images() []float32 { return g.images }

// SetStep chooses the training step whose dropout masks the next run draws.
func (g *Graph) SetStep(step uint64) {
	for _, masks := range g.masks {
		masks.SetStep(step)
	}
}

// Variables holds a network's parameters in an engine's layout. Every graph
// lowered with them reads and learns the same values.
type Variables struct {
	network *Network
	engine  string
	values  []*tensor.Dense
}

// NewVariables copies the weights into the engine's layout.
func NewVariables(network *Network, engine string, weights Weights) (*Variables, error) {
	if err := checkEngine(engine); err != nil {
		return nil, err
	}
	ordered, err := network.CheckWeights(weights)
	if err != nil {
		return nil, err
	}
	v := &Variables{network: network, engine: engine}
	for _, weight := range ordered {
		data := append([]float32(nil), weight.Data...)
		v.values = append(v.values, tensor.New(tensor.WithShape(weight.Shape...), tensor.WithBacking(data)))
	}
	return v, nil
}

// Weights returns a copy of the parameters in the public layout.
func (v *Variables) Weights() Weights {
	var weights Weights
	for i, parameter := range v.network.Parameters() {
		weights = append(weights, Tensor{Name: parameter.Name, Shape: parameter.Shape, Data: v.ToPublic(i, v.values[i].Float32s())})
	}
	return weights
}

// Values returns the parameters themselves, in the engine's layout.
func (v *Variables) Values() []*tensor.Dense { return v.values }

// ToPublic copies values that lie as parameter i does in the engine (its
// gradient, an optimizer's state) into the public layout.
func (v *Variables) ToPublic(i int, values []float32) []float32 {
	return append([]float32(nil), values...)
}

// FromPublic copies values in the public layout of parameter i into dst, which
// lies as parameter i does in the engine.
func (v *Variables) FromPublic(i int, dst, values []float32) {
	copy(dst, values)
}

// Lower builds the network's graph on the engine of the variables.
func (n *Network) Lower(variables *Variables, options LowerOptions) (*Graph, error) {
	if variables.network != n {
		return nil, fmt.Errorf("network %s: the variables belong to another network", n.name)
	}
	if options.Batch < 1 {
		return nil, fmt.Errorf("network %s: batch of %d; at least 1 is needed", n.name, options.Batch)
	}
	for _, name := range options.Keep {
		if _, ok := n.Node(name); !ok {
			return nil, fmt.Errorf("network %s has no layer %q", n.name, name)
		}
	}
	graph := &Graph{Expr: gorgonia.NewGraph(), Activations: make(map[string]*gorgonia.Node)}
	for i, parameter := range n.Parameters() {
		value := variables.values[i]
		graph.Parameters = append(graph.Parameters, gorgonia.NewTensor(graph.Expr, tensor.Float32, value.Dims(),
			gorgonia.WithShape(value.Shape()...), gorgonia.WithName(parameter.Name), gorgonia.WithValue(value)))
	}
	if err := n.lowerReference(graph, options); err != nil {
		return nil, fmt.Errorf("network %s, engine %s: %w", n.name, variables.engine, err)
	}
	return graph, nil
}
