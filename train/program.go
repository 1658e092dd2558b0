package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// program is one compiled graph: the network for one batch size, with its loss
// and gradients if it trains.
type program struct {
	graph   *lossGraph
	labels  []int32
	model   []gorgonia.ValueGrad
	machine gorgonia.VM
	// results say by the model's places where gradients are written, nil where nobody else may.
	results []*ops.Result
	// dense are the plans that compute those of dense layers' weights, nil for others.
	dense []*kernel.Dense
	// shards says how each gradient is summed over those of the batch; nil unless all are.
	shards []*ops.Shards
}

// variable pairs a parameter with its gradient for a gorgonia.Solver.
type variable struct {
	parameter, gradient *gorgonia.Node
}

func (v variable) Value() gorgonia.Value { return v.parameter.Value() }
func (v variable) Grad() (gorgonia.Value, error) {
	if v.gradient.Value() == nil {
		return nil, fmt.Errorf("%s has no gradient yet", v.parameter.Name())
	}
	return v.gradient.Value(), nil
}

// compile prepares a graph for Gorgonia's TapeMachine.
func compile(network *builder.Network, engine *builder.Engine, variables *builder.Variables,
	config Config, key programKey, sync func(layer string) kernel.BatchSync) (*program, error) {
	graph, err := newLossGraph(network, engine, variables, config, key, sync)
	if err != nil {
		return nil, err
	}
	p := &program{graph: graph, labels: graph.labels}
	for i, gradient := range graph.Gradients {
		p.model = append(p.model, variable{graph.Trained[i], gradient})
	}
	keep := append(gorgonia.Nodes{graph.Logits, graph.Data, graph.Total}, graph.Gradients...)
	if _, err := ops.PlanMemory(graph.Expr, keep); err != nil {
		return nil, err
	}
	p.machine = gorgonia.NewTapeMachine(graph.Expr)
	for _, gradient := range graph.Gradients {
		result := ops.ResultOf(gradient)
		for i, other := range p.results {
			if result != nil && other != nil && result.Same(other) {
				result, p.results[i] = nil, nil
			}
		}
		p.results, p.dense = append(p.results, result), append(p.dense, ops.DenseOf(gradient))
		if shards := ops.ShardsOf(gradient); shards != nil {
			p.shards = append(p.shards, shards)
		}
	}
	if len(p.shards) < len(graph.Gradients) {
		p.shards = nil
	}
	return p, nil
}

// place has the next run write its gradients to the leaf's row, those that can be, or leave them to
// the trees of dense layers.
func (p *program) place(leaf *leaf, s *shards) error {
	for i, result := range p.results {
		at := &s.places[i]
		switch {
		case leaf.denses && at.tree != nil:
			if p.dense[i] == nil {
				return fmt.Errorf("the gradient of %v is no dense layer's", p.graph.Trained[i])
			}
			if err := p.dense[i].SumIn(at.tree, leaf.index); err != nil {
				return err
			}
		case result != nil:
			result.Place(leaf.node[at.first:at.end])
		}
	}
	return nil
}

// rest copies the gradients that could not be placed.
func (p *program) rest(leaf *leaf, s *shards) error {
	for i, result := range p.results {
		at := &s.places[i]
		if result != nil || leaf.denses && at.tree != nil {
			continue
		}
		value, err := p.model[i].Grad()
		if err != nil {
			return err
		}
		copy(leaf.node[at.first:at.end], value.(*tensor.Dense).Float32s())
	}
	return nil
}

// home undoes place.
func (p *program) home() {
	for i, result := range p.results {
		if result != nil {
			result.Home()
		}
		if dense := p.dense[i]; dense != nil {
			_ = dense.SumIn(nil, 0) // nothing is wrong with none
		}
	}
}

// run executes the graph once on the batch that was written into its input.
func (p *program) run() error {
	p.graph.Feed()
	p.machine.Reset()
	return p.machine.RunAll()
}

func scalarValue(node *gorgonia.Node) (float64, error) {
	value, ok := node.Value().(*gorgonia.F32)
	if !ok {
		return 0, fmt.Errorf("loss is a %T, want a float32 scalar", node.Value())
	}
	return float64(*value), nil
}
