package builder

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// Registered returns every kind of layer that this package has, without settings, in the order of
// the documentation. Decoding, and the tests of every engine and of the ONNX export, walk it.
func Registered() []Layer {
	return []Layer{
		Conv2D{},
		ReLU{},
		MaxPool2D{},
		AvgPool2D{},
		Flatten{},
		Dense{},
		Dropout{},
		Softmax{},
		Add{},
		BatchNorm{},
		GlobalAvgPool{},
		LeakyReLU{},
		PReLU{},
		ReLU6{},
		ELU{},
		SELU{},
		Sigmoid{},
		Tanh{},
		SiLU{},
		HardSigmoid{},
		HardSwish{},
		GELU{},
		Softplus{},
		Identity{},
		Mul{},
		Concat{},
		Pad{},
		GlobalMaxPool{},
		AdaptiveAvgPool{},
		Scale{},
		DropPath{},
		Dropout2D{},
		GroupNorm{},
		LayerNorm{},
	}
}

// Kinds returns the Kind of every layer of Registered.
func Kinds() []string {
	var kinds []string
	for _, layer := range Registered() {
		kinds = append(kinds, layer.Kind())
	}
	return kinds
}

// Case is a layer with settings that differ from their defaults, and inputs that it takes.
type Case struct {
	Layer  Layer
	Inputs []Shape
}

// String names the case by its layer, its settings that are not zero, and its inputs:
// GroupNorm{"groups":2} of 4×3×5.
func (c Case) String() string {
	raw, err := json.Marshal(c.Layer)
	if err != nil {
		return fmt.Sprintf("%s: %v", c.Layer.Kind(), err)
	}
	var settings map[string]any
	if err := json.Unmarshal(raw, &settings); err != nil {
		return fmt.Sprintf("%s: %v", c.Layer.Kind(), err)
	}
	maps.DeleteFunc(settings, func(_ string, value any) bool { return isZero(value) })
	text := c.Layer.Kind()
	if len(settings) > 0 {
		// The keys of a map are written in order.
		if raw, err = json.Marshal(settings); err == nil {
			text += string(raw)
		}
	}
	var inputs []string
	for _, shape := range c.Inputs {
		inputs = append(inputs, shape.String())
	}
	return text + " of " + strings.Join(inputs, ", ")
}

// isZero reports whether a value of JSON is empty, or an object of nothing else.
func isZero(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for _, field := range value {
			if !isZero(field) {
				return false
			}
		}
		return true
	case string:
		return value == ""
	case float64:
		return value == 0
	case bool:
		return !value
	}
	return value == nil
}

// Network returns the network of the layer alone on its inputs: the largest is the network's own,
// the others are made of it by a convolution or a dense layer, and the layer's output is flattened.
func (c Case) Network(name string) (*Network, error) {
	largest := 0
	for i, shape := range c.Inputs {
		if shape.Elements() > c.Inputs[largest].Elements() {
			largest = i
		}
	}
	g := NewGraph(name, c.Inputs[largest])
	var values []Value
	for i, shape := range c.Inputs {
		value := g.Input()
		switch {
		case i == largest:
		case len(shape) == 1:
			value = g.Then(value, Flatten{}, Dense{Units: shape[0]})
		case perChannel(shape):
			value = g.Then(value, GlobalAvgPool{}, Conv2D{Filters: shape[0], Kernel: Square(1)})
		default:
			value = g.Then(value, Conv2D{Filters: shape[0], Kernel: Square(3), Padding: Square(1)})
		}
		values = append(values, value)
	}
	return g.Network(g.Then(g.Join(c.Layer, values...), Flatten{}))
}

// Cases returns cases of every layer of this package, in the order of Registered: what tests of
// engines, formats and drawings walk, so that no layer is forgotten.
func Cases() []Case {
	var all []Case
	for _, layer := range Registered() {
		if l, ok := layer.(interface{ cases() []Case }); ok {
			all = append(all, l.cases()...)
		}
	}
	return all
}
