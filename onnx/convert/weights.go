package convert

import (
	"fmt"

	"slipway/builder"
	"slipway/onnx"
)

// WeightsFor reads the network's weights back out of a model whose initializers
// are called and shaped as the builder's parameters are: one that FromNetwork
// made, or a PyTorch export that kept the names. Other initializers are ignored.
func WeightsFor(network *builder.Network, m *onnx.Model) (builder.Weights, error) {
	if network == nil || m == nil || m.Proto == nil {
		return nil, fmt.Errorf("weights: there is no network or no model")
	}
	var weights builder.Weights
	for _, parameter := range network.Tensors() {
		tensor, ok := m.Initializer(parameter.Name)
		if !ok {
			return nil, fmt.Errorf(
				"%s: it has no initializer %q, which the network %s needs; is it the model of another network?",
				label(m), parameter.Name, network.Name())
		}
		data, err := onnx.Floats(tensor)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", label(m), err)
		}
		shape := make(builder.Shape, len(tensor.GetDims()))
		for i, dim := range tensor.GetDims() {
			shape[i] = int(dim)
		}
		weights = append(weights, builder.Tensor{Name: parameter.Name, Shape: shape, Data: data})
	}
	weights, err := network.CheckWeights(weights)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", label(m), err)
	}
	return weights, nil
}
