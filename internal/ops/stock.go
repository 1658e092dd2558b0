package ops

import "gorgonia.org/gorgonia"

// Stock applies stock operators of Gorgonia's, which build puts together, to the inputs, with the
// gradients that Gorgonia's own differentiation has of them. What it computes is closed off from
// the rest of the graph by views on both sides: gorgonia.Backpropagate goes on behind the nodes
// that it is asked for, unless these have no gradient, and adds up by its stock Add where a value
// is used twice, as none here is.
func Stock(build func(inputs gorgonia.Nodes) (*gorgonia.Node, error),
	inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	entries := make(gorgonia.Nodes, len(inputs))
	for i, input := range inputs {
		var err error
		if entries[i], err = reshape("StockInput", input, input.Shape().Clone(), nil); err != nil {
			return nil, err
		}
		entry := entries[i].Op().(*operator)
		entry.differentiable = []bool{false}
		entry.gradient = func(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node, []bool) (gorgonia.Nodes,
			error) {
			return gorgonia.Nodes{nil}, nil
		}
	}
	y, err := build(entries)
	if err != nil {
		return nil, err
	}
	handed, err := reshape("StockOutput", y, y.Shape().Clone(), nil)
	if err != nil {
		return nil, err
	}
	op := handed.Op().(*operator)
	op.nodes = inputs
	op.differentiable = allTrue(len(inputs))
	op.gradient = func(_ gorgonia.Nodes, _, grad *gorgonia.Node, wanted []bool) (gorgonia.Nodes,
		error) {
		var of gorgonia.Nodes
		for i, entry := range entries {
			if wanted[i] {
				of = append(of, entry)
			}
		}
		found, err := gorgonia.Backpropagate(gorgonia.Nodes{y}, gorgonia.Nodes{grad}, of)
		if err != nil {
			return nil, err
		}
		gradients := make(gorgonia.Nodes, len(inputs))
		for i := range inputs {
			if wanted[i] {
				gradients[i], found = found[0], found[1:]
			}
		}
		return gradients, nil
	}
	return handed, nil
}
