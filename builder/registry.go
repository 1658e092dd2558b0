package builder

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

// Network returns the network of the layer alone on its inputs: each after the first is the
// network's input through a convolution or a dense layer, and the layer's output is flattened.
func (c Case) Network(name string) (*Network, error) {
	g := NewGraph(name, c.Inputs[0])
	values := []Value{g.Input()}
	for _, shape := range c.Inputs[1:] {
		switch {
		case len(shape) == 1:
			values = append(values, g.Then(g.Input(), Flatten{}, Dense{Units: shape[0]}))
		case shape[1] == 1 && shape[2] == 1:
			values = append(values, g.Then(g.Input(), GlobalAvgPool{}, Conv2D{Filters: shape[0], Kernel: Square(1)}))
		default:
			values = append(values, g.Then(g.Input(), Conv2D{Filters: shape[0], Kernel: Square(3), Padding: Square(1)}))
		}
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
