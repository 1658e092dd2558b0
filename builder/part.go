package builder

import (
	"fmt"
	"slices"
)

// Draws reports whether the layer's output in training depends on chance, as Dropout's does. Of
// a layer that is not of this package it is taken for granted.
func (n Node) Draws() bool {
	switch n.Layer.(type) {
	case Dropout, Dropout2D, DropPath:
		return true
	}
	return !slices.Contains(Kinds(), n.Layer.Kind())
}

// outside returns, by node, whether LowerOptions.From and To leave the node out of the graph, nil
// if they are empty.
func (n *Network) outside(options LowerOptions) ([]bool, error) {
	if options.From == "" && options.To == "" {
		return nil, nil
	}
	outside := make([]bool, len(n.nodes))
	if options.To != "" {
		needed, err := n.neededFor(options.To)
		if err != nil {
			return nil, err
		}
		for i := range outside {
			outside[i] = !needed[i]
		}
	}
	if options.From != "" {
		below, err := n.neededFor(options.From)
		if err != nil {
			return nil, err
		}
		for i := range outside {
			outside[i] = outside[i] || below[i]
		}
	}
	for i, node := range n.nodes {
		if outside[i] || options.From == "" {
			continue
		}
		for _, input := range node.Inputs {
			if input < 0 || outside[input] && n.nodes[input].Name != options.From {
				return nil, fmt.Errorf("network %s: layer %s takes %s, which does not follow "+
					"from %s alone",
					n.name, node.Name, n.inputName(input), options.From)
			}
		}
	}
	return outside, nil
}

// neededFor returns, by node, whether the layer of that name needs it: itself, and what it is
// computed from.
func (n *Network) neededFor(name string) ([]bool, error) {
	needed := make([]bool, len(n.nodes))
	found := false
	for i, node := range slices.Backward(n.nodes) {
		if node.Name == name {
			needed[i], found = true, true
		}
		for _, input := range node.Inputs {
			if needed[i] && input >= 0 {
				needed[input] = true
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("network %s has no layer %q", n.name, name)
	}
	return needed, nil
}
