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
	graph   *LossGraph
	labels  []int32
	model   []gorgonia.ValueGrad
	machine gorgonia.VM
	// results say by the model's places where gradients are written, nil where nobody else may.
	results []*ops.Result
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
func compile(network *builder.Network, engine *builder.Engine, variables *builder.Variables, config Config,
	key programKey, sync func(layer string) kernel.BatchSync) (*program, error) {
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
		p.results = append(p.results, result)
	}
	return p, nil
}

// place has the next run write its gradients to places of a row, those that can be.
func (p *program) place(row []float32, places []place) {
	for i, result := range p.results {
		if result != nil {
			result.Place(row[places[i].first:places[i].end])
		}
	}
}

// rest copies the gradients that could not be placed.
func (p *program) rest(row []float32, places []place) error {
	for i, result := range p.results {
		if result != nil {
			continue
		}
		value, err := p.model[i].Grad()
		if err != nil {
			return err
		}
		copy(row[places[i].first:places[i].end], value.(*tensor.Dense).Float32s())
	}
	return nil
}

// home undoes place.
func (p *program) home() {
	for _, result := range p.results {
		if result != nil {
			result.Home()
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
