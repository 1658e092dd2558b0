package pretrained

import (
	"fmt"
	"slices"
	"strings"

	"slipway/builder"
	"slipway/internal/safetensors"
	"slipway/internal/torchfile"
)

// tensors are those of a weights' file, by their names in it.
type tensors []safetensors.Tensor

func readTensors(path string) (tensors, error) {
	file, err := torchfile.Read(path)
	if err != nil {
		return nil, err
	}
	return file.Tensors, nil
}

// weightsFor takes each of the network's tensors from the one that rename gives its name to. Each
// tensor of the file is taken once, but for what PyTorch's normalisations count.
func (t tensors) weightsFor(network *builder.Network, rename func(string) (string,
	error)) (builder.Weights, error) {
	byName := make(map[string]safetensors.Tensor, len(t))
	for _, tensor := range t {
		if strings.HasSuffix(tensor.Name, ".num_batches_tracked") {
			continue
		}
		name, err := rename(tensor.Name)
		if err != nil {
			return nil, err
		}
		if _, twice := byName[name]; twice {
			return nil, fmt.Errorf("two tensors are those of %s", name)
		}
		byName[name] = tensor
	}
	var weights builder.Weights
	for _, spec := range network.Tensors() {
		tensor, ok := byName[spec.Name]
		if !ok || !slices.Equal(tensor.Shape, spec.Shape) {
			return nil, fmt.Errorf("tensor %s is of the shape %v, and needed is %v", spec.Name,
				tensor.Shape, spec.Shape)
		}
		data, err := tensor.Float32s()
		if err != nil {
			return nil, err
		}
		delete(byName, spec.Name)
		weights = append(weights, builder.Tensor{Name: spec.Name, Shape: spec.Shape, Data: data})
	}
	for name := range byName {
		return nil, fmt.Errorf("tensor %s is not one of network %s", name, network.Name())
	}
	return weights, nil
}
