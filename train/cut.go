package train

import (
	"fmt"
	"slices"

	"slipway/builder"
)

// cut returns the layer below which nothing changes while the configuration holds: its output is
// the same for an image in every step, and all above it is computed from that alone. It is empty
// where there is none, or one below which nothing was learned, or one of more values than an image,
// with the reason.
//
// A layer changes where it has a parameter that is trained, draws by chance, or takes the batch's
// own statistics, and where it follows from one that changes.
func (c Config) cut(network *builder.Network) (layer, why string) {
	nodes := network.Nodes()
	changing := make([]string, len(nodes)) // by node: why it changes, empty if it does not
	names := make(map[string]bool)
	parameters := network.Parameters()
	for _, i := range c.trained(network) {
		names[parameters[i].Name] = true
	}
	first, learned := "", false // whether a layer with tensors does not change
	for i, node := range nodes {
		changing[i] = c.changes(node, names)
		if changing[i] != "" && first == "" {
			first = changing[i]
		}
		for _, input := range node.Inputs {
			if input >= 0 && changing[i] == "" {
				changing[i] = changing[input]
			}
		}
		learned = learned || changing[i] == "" && len(node.Tensors) > 0
	}
	boundary := -1
	for i, node := range nodes {
		if changing[i] == "" {
			continue
		}
		for _, input := range node.Inputs {
			switch {
			case input < 0:
				return "", first
			case changing[input] != "" || input == boundary:
			case boundary < 0:
				boundary = input
			default:
				return "", fmt.Sprintf("%s, and takes more than one value from below", first)
			}
		}
	}
	if boundary < 0 {
		return "", "nothing is trained"
	}
	if !learned {
		return "", first // there is little to compute below
	}
	if nodes[boundary].Output.Elements() > network.Input().Elements() {
		return "", fmt.Sprintf("%s, and %s below it gives more values than an image has", first,
			nodes[boundary].Name)
	}
	return nodes[boundary].Name, first
}

// changes says why a layer's own output changes from step to step, empty if it does not.
func (c Config) changes(node builder.Node, trained map[string]bool) string {
	isTrained := func(t builder.TensorSpec) bool { return trained[t.Name] }
	switch {
	case slices.ContainsFunc(node.Tensors, isTrained):
		return node.Name + " is trained"
	case node.WholeBatch:
		return node.Name + " takes each batch's own statistics, which are not frozen"
	case node.Draws():
		return node.Name + " draws by chance in each step"
	case !c.ActivationPenalties[node.Name].IsZero():
		return node.Name + "'s output is penalised"
	}
	return ""
}

// FreezeStatistics returns the network in which batch normalisation keeps its running statistics,
// and normalises with them in training, too (BatchNorm.Frozen; PyTorch's eval mode of the
// module): of the layers whose name, or one of whose tensors', matches a pattern. Patterns are
// those of Config.Freeze, head names the head as FineTune.Head does. Frozen parameters alone do
// not do that, as in PyTorch, where requires_grad_(False) leaves the statistics of a network in
// train mode to its batches.
func FreezeStatistics(
	network *builder.Network, patterns []string, head string,
) (*builder.Network, error) {
	c := Config{FineTune: FineTune{Head: head}}
	frozen := make(map[string]bool)
	for _, text := range patterns {
		selected, err := c.selector(network, text)
		if err != nil {
			return nil, fmt.Errorf("freeze statistics of %s: %w", text, err)
		}
		found := false
		for _, node := range network.Nodes() {
			if _, ok := node.Layer.(builder.BatchNorm); !ok {
				continue
			}
			for _, tensor := range node.Tensors {
				if selected(tensor.Name) {
					frozen[node.Name], found = true, true
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("freeze statistics: network %s has no BatchNorm that is "+
				"called %q", network.Name(), text)
		}
	}
	return network.With(func(node builder.Node) builder.Layer {
		if normalisation, ok := node.Layer.(builder.BatchNorm); ok && frozen[node.Name] {
			normalisation.Frozen = true
			return normalisation
		}
		return node.Layer
	})
}
