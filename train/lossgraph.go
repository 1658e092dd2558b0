package train

import (
	"fmt"
	"maps"
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/internal/device"
	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// lossGraph is a network's graph for one batch size, with its loss, and with the
// gradients if it trains.
type lossGraph struct {
	device.Graph

	labels  []int32
	targets *ops.Targets   // nil of the plain cross-entropy
	kernels *kernel.Engine // nil of an engine without
}

// lossGraphOf lowers the network for a batch, adds the loss, and for training
// its gradients.
func lossGraphOf(network *builder.Network, engine *builder.Engine, variables *builder.Variables,
	config Config, batch int, training bool) (*lossGraph, error) {
	key := programKey{batch: batch, training: training}
	return newLossGraph(network, engine, variables, config, key, nil)
}

func newLossGraph(network *builder.Network, engine *builder.Engine, variables *builder.Variables,
	config Config, key programKey, sync func(layer string) kernel.BatchSync) (*lossGraph, error) {
	batch, training := key.batch, key.training
	graph, err := network.Lower(variables, builder.LowerOptions{
		Batch: batch, Training: training, Seed: config.Seed,
		Keep: slices.Sorted(maps.Keys(config.ActivationPenalties)), From: key.from, Sync: sync,
		Shards: key.shards,
	})
	if err != nil {
		return nil, err
	}
	l := &lossGraph{Graph: device.Graph{Lowered: graph}}
	for _, i := range config.trained(network) {
		l.Trained = append(l.Trained, graph.Parameters[i])
	}
	l.Labels, l.labels = ops.NewLabels(graph.Expr, batch)
	if l.Data, err = l.add(engine, config, key); err != nil {
		return nil, err
	}
	cost, err := withActivationPenalties(l.Data, graph, config)
	if err != nil {
		return nil, err
	}
	switch engine.Name() {
	case builder.EngineNative:
		err = l.finishWithPass(network, cost, config, training,
			func(parameters gorgonia.Nodes) (*ops.PenaltyPass, error) {
				return ops.NewNativePenalty(*l.kernels, ops.Penalty(config.ParameterPenalty), parameters...)
			})
	case builder.EnginePlain:
		err = l.finishWithPass(network, cost, config, training,
			func(parameters gorgonia.Nodes) (*ops.PenaltyPass, error) {
				return ops.NewPenalty(ops.Penalty(config.ParameterPenalty), parameters...)
			})
	default:
		err = l.finishReference(network, cost, config, training)
	}
	return l, err
}

// withActivationPenalties adds the configured penalties on layers' outputs to
// the loss.
func withActivationPenalties(loss *gorgonia.Node, graph *builder.Lowered,
	config Config) (*gorgonia.Node, error) {
	for _, layer := range slices.Sorted(maps.Keys(config.ActivationPenalties)) {
		term, err := ops.ActivationPenalty(ops.Penalty(config.ActivationPenalties[layer]),
			graph.Activations[layer])
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", layer, err)
		}
		if loss, err = ops.SumScalars(loss, term); err != nil {
			return nil, err
		}
	}
	return loss, nil
}

// finishReference adds the penalty on the parameters to the cost and
// differentiates the whole.
func (l *lossGraph) finishReference(network *builder.Network, cost *gorgonia.Node, config Config,
	training bool) error {
	l.Total = cost
	if penalised := l.penalised(network, config); !config.ParameterPenalty.IsZero() &&
		len(penalised) > 0 {
		term, err := ops.ParameterPenalty(ops.Penalty(config.ParameterPenalty), penalised...)
		if err != nil {
			return err
		}
		if l.Total, err = ops.SumScalars(cost, term); err != nil {
			return err
		}
	}
	if !training {
		return nil
	}
	gradients, err := l.differentiate(l.Total)
	if err != nil {
		return err
	}
	l.Gradients = gradients
	return nil
}

// finishWithPass differentiates the cost and adds the gradient of the penalty on
// the parameters to it in place, one pass a parameter.
func (l *lossGraph) finishWithPass(network *builder.Network, cost *gorgonia.Node, config Config,
	training bool, newPenalty func(gorgonia.Nodes) (*ops.PenaltyPass, error)) error {
	l.Total = cost
	var gradients gorgonia.Nodes
	var err error
	if training {
		if gradients, err = l.differentiate(cost); err != nil {
			return err
		}
	}
	if penalised := l.penalised(network, config); !config.ParameterPenalty.IsZero() &&
		len(penalised) > 0 {
		penalty, err := newPenalty(penalised)
		if err != nil {
			return err
		}
		for i, gradient := range gradients {
			if !slices.Contains(penalised, l.Trained[i]) {
				continue
			}
			if gradients[i], err = penalty.Penalise(gradient, l.Trained[i]); err != nil {
				return err
			}
		}
		if l.Total, err = ops.SumScalars(cost, penalty.Value); err != nil {
			return err
		}
	}
	l.Gradients = gradients
	return nil
}

// penalised returns the trained parameters that the penalty is of.
func (l *lossGraph) penalised(network *builder.Network, config Config) gorgonia.Nodes {
	parameters := network.Parameters()
	var nodes gorgonia.Nodes
	for _, i := range config.trained(network) {
		if !config.spares(parameters[i]) {
			nodes = append(nodes, l.Parameters[i])
		}
	}
	return nodes
}

// differentiate adds the gradients of the cost.
func (l *lossGraph) differentiate(cost *gorgonia.Node) (gorgonia.Nodes, error) {
	one := gorgonia.NodeFromAny(l.Expr, float32(1), gorgonia.WithName("dL/dL"))
	gradients, err := ops.Differentiate(cost, one, l.Trained, l.kernels)
	if err != nil {
		return nil, fmt.Errorf("differentiate: %w", err)
	}
	return gradients, nil
}
