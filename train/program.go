package train

import (
	"fmt"
	"maps"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/ops"
)

// program is one compiled graph: the network for one batch size, with its loss
// and gradients if it trains.
type program struct {
	graph  *builder.Graph
	labels []int32
	// data is the mean cross-entropy of the batch, total adds the penalties.
	data, total *gorgonia.Node
	model       []gorgonia.ValueGrad
	machine     gorgonia.VM
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

// compile lowers the network for a batch, adds the loss, and for training its
// gradients.
func compile(network *builder.Network, variables *builder.Variables, config Config, batch int, training bool) (*program, error) {
	graph, err := network.Lower(variables, builder.LowerOptions{
		Batch: batch, Training: training, Seed: config.Seed,
		Keep: slices.Sorted(maps.Keys(config.ActivationPenalties)),
	})
	if err != nil {
		return nil, err
	}
	p := &program{graph: graph}
	var labels *gorgonia.Node
	labels, p.labels = ops.NewLabels(graph.Expr, batch)
	if p.data, err = ops.SoftmaxCrossEntropy(graph.Logits, labels); err != nil {
		return nil, err
	}
	if p.total, err = penalised(p.data, graph, config); err != nil {
		return nil, err
	}
	if training {
		if err := p.differentiate(); err != nil {
			return nil, err
		}
	}
	p.machine = gorgonia.NewTapeMachine(graph.Expr)
	return p, nil
}

// penalised adds the configured penalties to the loss.
func penalised(loss *gorgonia.Node, graph *builder.Graph, config Config) (*gorgonia.Node, error) {
	if !config.ParameterPenalty.IsZero() {
		term, err := ops.ParameterPenalty(config.ParameterPenalty, graph.Parameters...)
		if err != nil {
			return nil, err
		}
		if loss, err = gorgonia.Add(loss, term); err != nil {
			return nil, err
		}
	}
	for _, layer := range slices.Sorted(maps.Keys(config.ActivationPenalties)) {
		term, err := ops.ActivationPenalty(config.ActivationPenalties[layer], graph.Activations[layer])
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", layer, err)
		}
		if loss, err = gorgonia.Add(loss, term); err != nil {
			return nil, err
		}
	}
	return loss, nil
}

// differentiate adds the gradients of the total loss. It does not use
// gorgonia.Grad, whose outer gradient is a node that all graphs of a process
// share.
func (p *program) differentiate() error {
	one := gorgonia.NodeFromAny(p.graph.Expr, float32(1), gorgonia.WithName("dL/dL"))
	gradients, err := gorgonia.Backpropagate(gorgonia.Nodes{p.total}, gorgonia.Nodes{one}, p.graph.Parameters)
	if err != nil {
		return fmt.Errorf("differentiate: %w", err)
	}
	for i, parameter := range p.graph.Parameters {
		p.model = append(p.model, variable{parameter, gradients[i]})
	}
	return nil
}

// run executes the graph once on the batch that was written into its input.
func (p *program) run() error {
	p.machine.Reset()
	return p.machine.RunAll()
}

func scalarValue(node *gorgonia.Node) (float64, error) {
	value, ok := node.Value().Data().(float32)
	if !ok {
		return 0, fmt.Errorf("loss is a %T", node.Value().Data())
	}
	return float64(value), nil
}
