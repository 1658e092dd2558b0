package builder

import (
	"fmt"

	"slipway/internal/random"
)

// Tensor is a named float32 tensor in row-major order.
type Tensor struct {
	Name  string
	Shape Shape
	Data  []float32
}

// Weights holds one tensor for each of a network, learned and kept, in the order of
// Network.Tensors and in the layout of TensorSpec.Shape.
type Weights []Tensor

// Get returns the tensor of that name.
func (w Weights) Get(name string) (Tensor, bool) {
	for _, tensor := range w {
		if tensor.Name == name {
			return tensor, true
		}
	}
	return Tensor{}, false
}

// Clone returns a copy that shares no memory with w.
func (w Weights) Clone() Weights {
	clone := make(Weights, len(w))
	for i, tensor := range w {
		tensor.Shape = append(Shape(nil), tensor.Shape...)
		tensor.Data = append([]float32(nil), tensor.Data...)
		clone[i] = tensor
	}
	return clone
}

// InitialWeights draws or sets every tensor as its TensorSpec.Initial says: those of
// convolutions and dense layers uniformly from ±1/√fan_in unless they are told
// otherwise, PyTorch's default (Kaiming uniform with a = √5). The
// same seed gives the same values; each tensor has a stream of its own, so that
// adding a layer does not change the others.
func (n *Network) InitialWeights(seed uint64) Weights {
	var weights Weights
	for _, tensor := range n.Tensors() {
		data := tensor.draw(random.New(seed, "initial weights "+tensor.Name))
		weights = append(weights, Tensor{Name: tensor.Name, Shape: tensor.Shape, Data: data})
	}
	return weights
}

// CheckWeights reports the first way in which weights do not fit the network: a
// tensor missing, unknown or given twice, or one of another shape. It returns
// the tensors in the order of Network.Tensors.
func (n *Network) CheckWeights(weights Weights) (Weights, error) {
	given := make(map[string]Tensor, len(weights))
	for _, tensor := range weights {
		if _, twice := given[tensor.Name]; twice {
			return nil, fmt.Errorf("network %s: tensor %q is given twice", n.name, tensor.Name)
		}
		given[tensor.Name] = tensor
	}
	var ordered Weights
	for _, parameter := range n.Tensors() {
		tensor, ok := given[parameter.Name]
		if !ok {
			return nil, fmt.Errorf("network %s: tensor %q is missing", n.name, parameter.Name)
		}
		if tensor.Shape.String() != parameter.Shape.String() {
			return nil, fmt.Errorf("network %s: tensor %q is %v, the network needs %v", n.name, tensor.Name,
				tensor.Shape, parameter.Shape)
		}
		if len(tensor.Data) != tensor.Shape.Elements() {
			return nil, fmt.Errorf("network %s: tensor %q of shape %v holds %d values", n.name, tensor.Name,
				tensor.Shape, len(tensor.Data))
		}
		ordered = append(ordered, tensor)
		delete(given, parameter.Name)
	}
	for name := range given {
		return nil, fmt.Errorf("network %s has no tensor %q", n.name, name)
	}
	return ordered, nil
}
