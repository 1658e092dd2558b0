package builder

import (
	"fmt"
	"slices"

	"slipway/internal/random"
)

// Head returns the network's classifier: the layer whose outputs are the classes' scores. It is
// the last Dense or Conv2D, behind which there are only layers without tensors, such as pooling,
// Flatten and Softmax. SqueezeNet's is a convolution before the global pooling.
//
// With a name it is that layer, which must be one such. The error says why there is none.
func (n *Network) Head(name string) (Node, error) {
	place := n.findHead()
	if name != "" {
		place = slices.IndexFunc(n.nodes, func(node Node) bool { return node.Name == name })
		if place < 0 {
			return Node{}, fmt.Errorf("network %s has no layer %q; its last layers are %s", n.name,
				name, n.lastLayers())
		}
	}
	if place < 0 {
		return Node{}, fmt.Errorf("network %s has no classifier, a Dense or Conv2D behind which "+
			"no layer has tensors; "+
			"its last layers are %s", n.name, n.lastLayers())
	}
	return n.nodes[place], n.checkHead(place)
}

// findHead goes from the output back to the last affine layer, through layers with one input and
// no tensors. It returns −1 where there is another layer in the way.
func (n *Network) findHead() int {
	for place := len(n.nodes) - 1; place >= 0; place = n.nodes[place].Inputs[0] {
		node := n.nodes[place]
		if _, ok := withUnits(node.Layer, 1); ok {
			return place
		}
		if len(node.Inputs) != 1 || len(node.Tensors) > 0 {
			return -1
		}
	}
	return -1
}

// checkHead reports why a layer's outputs are not the classes' scores.
func (n *Network) checkHead(place int) error {
	head := n.nodes[place]
	fail := func(format string, arguments ...any) error {
		return fmt.Errorf("network %s: layer %s is no classifier: %s", n.name, head.Name,
			fmt.Sprintf(format, arguments...))
	}
	if _, ok := withUnits(head.Layer, 1); !ok {
		return fail("it is %s, and a classifier is Dense, or Conv2D in one group",
			head.Layer.Kind())
	}
	behind := make([]bool, len(n.nodes))
	behind[place] = true
	for i := place + 1; i < len(n.nodes); i++ {
		node := n.nodes[i]
		if !slices.ContainsFunc(node.Inputs, func(input int) bool {
			return input >= 0 &&
				behind[input]
		}) {
			continue
		}
		behind[i] = true
		if len(node.Tensors) > 0 {
			return fail("%s (%s) behind it has tensors of its own", node.Name, node.Layer.Kind())
		}
		if node.Layer.Kind() == (Sigmoid{}).Kind() {
			return fail("%s (Sigmoid) behind it makes probabilities of what training takes for "+
				"logits; end the network before it (train -output)", node.Name)
		}
		if len(node.Inputs) != 1 {
			return fail("%s (%s) behind it takes other values, too", node.Name, node.Layer.Kind())
		}
	}
	return nil
}

// lastLayers names some layers at the end.
func (n *Network) lastLayers() string {
	text := ""
	for _, node := range n.nodes[max(0, len(n.nodes)-4):] {
		if text != "" {
			text += ", "
		}
		text += node.Name + " (" + node.Layer.Kind() + ")"
	}
	return text
}

// withUnits returns an affine layer with another number of outputs.
func withUnits(layer Layer, units int) (Layer, bool) {
	switch l := layer.(type) {
	case Dense:
		l.Units = units
		return l, true
	case Conv2D:
		l.Filters = units
		return l, l.Groups <= 1
	}
	return nil, false
}

// WithHead returns the network with a classifier of that many classes in the place of its own,
// and the classifier's name. layer names it; if it is empty it is the one that Head finds. All
// other layers, and all names, stay: CarryWeights takes over their values.
func (n *Network) WithHead(classes int, layer string) (network *Network, head string, err error) {
	node, err := n.Head(layer)
	if err != nil {
		return nil, "", err
	}
	if classes < 1 {
		return nil, "", fmt.Errorf("network %s: a classifier of %d classes; at least 1 is needed",
			n.name, classes)
	}
	network, err = n.With(func(other Node) Layer {
		if other.Name == node.Name {
			other.Layer, _ = withUnits(other.Layer, classes)
		}
		return other.Layer
	})
	if err != nil {
		return nil, "", err
	}
	got, err := network.Classes()
	if err == nil && got != classes {
		err = fmt.Errorf("network %s: with %d outputs of layer %s it has %d, one for each place "+
			"of a map; only a classifier of vectors or one before a global pooling can be "+
			"replaced", n.name, classes, node.Name, got)
	}
	return network, node.Name, err
}

// CarryWeights returns weights for the network that are those of another one, of the same names
// and shapes, but for the layers named in anew: theirs are drawn from the seed, as InitialWeights
// draws them.
func (n *Network) CarryWeights(from Weights, seed uint64, anew ...string) (Weights, error) {
	var weights Weights
	for _, node := range n.nodes {
		fresh := slices.Contains(anew, node.Name)
		for _, spec := range node.Tensors {
			if fresh {
				data := spec.draw(random.New(seed, "initial weights "+spec.Name))
				weights = append(weights, Tensor{Name: spec.Name, Shape: spec.Shape, Data: data})
				continue
			}
			tensor, ok := from.Get(spec.Name)
			if !ok {
				return nil, fmt.Errorf("network %s: tensor %q is missing", n.name, spec.Name)
			}
			weights = append(weights, tensor)
		}
	}
	return n.CheckWeights(weights.Clone())
}
