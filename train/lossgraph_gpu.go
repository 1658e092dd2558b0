//go:build gpu && linux && amd64

package train

import "slipway/builder"

// LossGraph is a network's graph for one batch size, with its loss, and with the
// gradients if it trains. Builds for a GPU alone have it, for the tests of package cuda,
// which compare what a device computes of it.
type LossGraph = lossGraph

// NewLossGraph lowers the network for a batch, adds the loss, and for training
// its gradients.
func NewLossGraph(network *builder.Network, engine *builder.Engine, variables *builder.Variables,
	config Config, batch int, training bool) (*LossGraph, error) {
	return lossGraphOf(network, engine, variables, config, batch, training)
}
