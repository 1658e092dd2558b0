package train

import (
	"fmt"
	"maps"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/internal/kernel"
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
func compile(network *builder.Network, engine *builder.Engine, variables *builder.Variables, config Config, batch int, training bool) (*program, error) {
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
	kernels, native := engine.Kernels()
	if native {
		p.data, err = ops.NativeSoftmaxCrossEntropy(kernels, graph.Logits, labels)
	} else {
		p.data, err = ops.SoftmaxCrossEntropy(graph.Logits, labels)
	}
	if err != nil {
		return nil, err
	}
	cost, err := withActivationPenalties(p.data, graph, config)
	if err != nil {
		return nil, err
	}
	if native {
		err = p.finishNative(cost, config, kernels, training)
	} else {
		err = p.finishReference(cost, config, training)
	}
	if err != nil {
		return nil, err
	}
	p.machine = gorgonia.NewTapeMachine(graph.Expr)
	return p, nil
}

// withActivationPenalties adds the configured penalties on layers' outputs to
// the loss.
func withActivationPenalties(loss *gorgonia.Node, graph *builder.Graph, config Config) (*gorgonia.Node, error) {
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

// finishReference adds the penalty on the parameters to the cost and
// differentiates the whole.
func (p *program) finishReference(cost *gorgonia.Node, config Config, training bool) error {
	p.total = cost
	if !config.ParameterPenalty.IsZero() {
		term, err := ops.ParameterPenalty(config.ParameterPenalty, p.graph.Parameters...)
		if err != nil {
			return err
		}
		if p.total, err = gorgonia.Add(cost, term); err != nil {
			return err
		}
	}
	if !training {
		return nil
	}
	gradients, err := p.differentiate(p.total)
	if err != nil {
		return err
	}
	p.pair(gradients)
	return nil
}

// finishNative differentiates the cost and adds the gradient of the penalty on
// the parameters to it in place, one pass a parameter.
func (p *program) finishNative(cost *gorgonia.Node, config Config, kernels kernel.Engine, training bool) error {
	p.total = cost
	var gradients gorgonia.Nodes
	var err error
	if training {
		if gradients, err = p.differentiate(cost); err != nil {
			return err
		}
	}
	if !config.ParameterPenalty.IsZero() {
		penalty, err := ops.NewNativePenalty(kernels, config.ParameterPenalty, p.graph.Parameters...)
		if err != nil {
			return err
		}
		for i, gradient := range gradients {
			if gradients[i], err = penalty.Penalise(gradient, p.graph.Parameters[i]); err != nil {
				return err
			}
		}
		if p.total, err = gorgonia.Add(cost, penalty.Value); err != nil {
			return err
		}
	}
	p.pair(gradients)
	return nil
}

// differentiate adds the gradients of the cost. It does not use gorgonia.Grad,
// whose outer gradient is a node that all graphs of a process share.
func (p *program) differentiate(cost *gorgonia.Node) (gorgonia.Nodes, error) {
	one := gorgonia.NodeFromAny(p.graph.Expr, float32(1), gorgonia.WithName("dL/dL"))
	gradients, err := gorgonia.Backpropagate(gorgonia.Nodes{cost}, gorgonia.Nodes{one}, p.graph.Parameters)
	if err != nil {
		return nil, fmt.Errorf("differentiate: %w", err)
	}
	return gradients, nil
}

// pair gives the parameters their gradients.
func (p *program) pair(gradients gorgonia.Nodes) {
	for i, gradient := range gradients {
		p.model = append(p.model, variable{p.graph.Parameters[i], gradient})
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
