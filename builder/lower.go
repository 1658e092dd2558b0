package builder

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
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
	// From names a layer whose output the graph takes instead of images, N times as it lies in the
	// engine: Lowered.Images holds it. All that follows must be computed from it alone.
	From string
	// To names a layer that the graph ends in, instead of the last one: Lowered.Logits is its output,
	// in the engine's layout.
	To string
	// Sync, unless nil, gives for a layer what makes of the statistics of a training batch those of
	// a larger one of which the graph computes a part. Of all layers with WholeBatch BatchNorm
	// alone asks for it.
	Sync func(layer string) kernel.BatchSync
	// Shards, where they are several, are equal shares of a training batch, one behind the other, over
	// which the gradients of learned tensors are summed: on the native engine, of networks that are
	// Separable. Their number is a power of two.
	Shards int
}

// Lowered is a network lowered to a Gorgonia graph for one batch size.
type Lowered struct {
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
	// the Variables. Those of layers that LowerOptions.From and To leave out are nil.
	Parameters gorgonia.Nodes
	// Statistics are what layers keep beside, in the order of Network.Tensors; those that are left out
	// are nil.
	Statistics gorgonia.Nodes
	// BF16 is how many convolutions have passes that multiply bfloat16 (Engine.MultiplyBF16).
	BF16 int

	images  []float32
	feed    func() // nil where Input holds the images themselves
	masks   []*ops.Masks
	updates []func()
}

// Images returns the slice that holds the input batch, N×C×H×W (or N×F), to write before Feed; with
// LowerOptions.From what that layer gives.
func (g *Lowered) Images() []float32 { return g.images }

// Feed brings the images into Input. Call it before each run.
func (g *Lowered) Feed() {
	if g.feed != nil {
		g.feed()
	}
}

// SetStep chooses the training step whose dropout masks the next run draws, and
// which image of that step's batch is the graph's first: 0 unless the graph takes a
// part of it.
func (g *Lowered) SetStep(step uint64, image int) {
	for _, masks := range g.masks {
		masks.SetStep(step, image)
	}
}

// Update brings the statistics that layers keep up to date with the last run, a training step that
// is done.
func (g *Lowered) Update() {
	for _, update := range g.updates {
		update()
	}
}

// Variables holds a network's tensors in an engine's layout. Every graph
// lowered with them reads and learns the same values.
type Variables struct {
	network      *Network
	engine       *Engine
	arrangements []arrangement
	values       []*tensor.Dense
	learned      []int
}

// NewVariables copies the weights into the engine's layout.
func NewVariables(network *Network, engine *Engine, weights Weights) (*Variables, error) {
	ordered, err := network.CheckWeights(weights)
	if err != nil {
		return nil, err
	}
	v := &Variables{network: network, engine: engine, arrangements: network.arrangements(engine.name)}
	for i, spec := range network.Tensors() {
		data := make([]float32, len(ordered[i].Data))
		v.FromPublic(i, data, ordered[i].Data)
		v.values = append(v.values, tensor.New(tensor.WithShape(v.arrangements[i].shape...),
			tensor.WithBacking(data)))
		if spec.Role == Learned {
			v.learned = append(v.learned, i)
		}
	}
	return v, nil
}

// Weights returns a copy of the tensors in the public layout.
func (v *Variables) Weights() Weights {
	var weights Weights
	for i, spec := range v.network.Tensors() {
		weights = append(weights, Tensor{Name: spec.Name, Shape: spec.Shape,
			Data: v.ToPublic(i, v.values[i].Float32s())})
	}
	return weights
}

// Values returns the tensors themselves, in the order of Network.Tensors and in the engine's
// layout.
func (v *Variables) Values() []*tensor.Dense { return v.values }

// Learned returns the places, in the order of Network.Tensors, of those of Network.Parameters.
func (v *Variables) Learned() []int { return v.learned }

// FiltersLast reports whether tensor i lies in the engine with its first dimension, that of the
// filters, last.
func (v *Variables) FiltersLast(i int) bool { return v.arrangements[i].filtersLast }

// ToPublic copies values that lie as tensor i does in the engine (its
// gradient, an optimizer's state) into the public layout.
func (v *Variables) ToPublic(i int, values []float32) []float32 {
	public := make([]float32, len(values))
	at := v.arrangements[i].at
	if at == nil {
		copy(public, values)
		return public
	}
	for j, value := range values {
		public[at(j)] = value
	}
	return public
}

// FromPublic copies values in the public layout of tensor i into dst, which
// lies as tensor i does in the engine.
func (v *Variables) FromPublic(i int, dst, values []float32) {
	at := v.arrangements[i].at
	if at == nil {
		copy(dst, values)
		return
	}
	for j := range dst {
		dst[j] = values[at(j)]
	}
}

// Lower builds the network's graph on the engine of the variables.
func (n *Network) Lower(variables *Variables, options LowerOptions) (*Lowered, error) {
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
	outside, err := n.outside(options)
	if err != nil {
		return nil, err
	}
	l := newLowering(n, variables, options, outside)
	if err := l.lower(); err != nil {
		return nil, fmt.Errorf("network %s, engine %s: %w", n.name, variables.engine.name, err)
	}
	if l.kernels.BF16 != nil {
		l.graph.BF16 = l.kernels.BF16.Plans()
	}
	return l.graph, nil
}
