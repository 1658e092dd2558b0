package builder

import (
	"encoding/json"
	"fmt"
	"slices"
)

type networkJSON struct {
	Name   string      `json:"name"`
	Input  Shape       `json:"input"`
	Layers []layerJSON `json:"layers"`
}

// layerJSON is a layer. One without Layer has no fields but their defaults; one without Inputs
// takes the output of the layer before it.
type layerJSON struct {
	Kind   string          `json:"kind"`
	Layer  json.RawMessage `json:"layer"`
	Inputs []string        `json:"inputs,omitempty"`
}

// MarshalJSON writes the network so that UnmarshalJSON gives an equal one.
func (n *Network) MarshalJSON() ([]byte, error) {
	out := networkJSON{Name: n.name, Input: n.input}
	for i, node := range n.nodes {
		raw, err := json.Marshal(node.Layer)
		if err != nil {
			return nil, fmt.Errorf("network %s, layer %s: %w", n.name, node.Name, err)
		}
		layer := layerJSON{Kind: node.Layer.Kind(), Layer: raw}
		if !slices.Equal(node.Inputs, []int{i - 1}) {
			for _, input := range node.Inputs {
				layer.Inputs = append(layer.Inputs, n.inputName(input))
			}
		}
		out.Layers = append(out.Layers, layer)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote, and checks it as New does. It knows the layers of
// this package alone; ParseNetwork can be told of others.
func (n *Network) UnmarshalJSON(raw []byte) error {
	network, err := decodeNetwork(raw, nil)
	if err != nil {
		return err
	}
	*n = *network
	return nil
}

func decodeNetwork(raw []byte, extra []Layer) (*Network, error) {
	var in networkJSON
	if err := decodeStrictly(raw, &in); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	layers := make([]Layer, len(in.Layers))
	for i, entry := range in.Layers {
		fail := func(err error) (*Network, error) {
			return nil, fmt.Errorf("network %s, layer %d of %d%s: %w", in.Name, i+1, len(in.Layers), parenthesised(entry.Kind), err)
		}
		var err error
		if layers[i], err = decodeLayer(entry.Kind, entry.Layer, extra); err != nil {
			return fail(err)
		}
	}
	return wire(in, layers)
}

func parenthesised(kind string) string {
	if !slices.Contains(Kinds(), kind) {
		return ""
	}
	return " (" + kind + ")"
}

// wire makes the network of its decoded layers.
func wire(in networkJSON, layers []Layer) (*Network, error) {
	g := NewGraph(in.Name, in.Input)
	g.expect(layers)
	values := map[string]Value{inputReference: g.Input()}
	x := g.Input()
	for i, layer := range layers {
		takes := []Value{x}
		if names := in.Layers[i].Inputs; len(names) > 0 {
			takes = nil
			for _, name := range names {
				value, ok := values[name]
				if !ok && g.err == nil {
					return nil, fmt.Errorf("network %s, layer %d of %d (%s) takes %q, and no layer before it is called so; the network's input is %q",
						in.Name, i+1, len(layers), layer.Kind(), name, inputReference)
				}
				takes = append(takes, value)
			}
		}
		if x = g.Join(layer, takes...); g.err == nil {
			values[g.nodes[x.at].Name] = x
		}
	}
	return g.Network(x)
}

// ParseNetwork reads a network from JSON: one that MarshalJSON wrote, or a
// document with such a network under "network", as a run's config.json is.
// extra are the kinds of layers that it may have beside those of this package, without settings.
func ParseNetwork(raw []byte, extra ...Layer) (*Network, error) {
	var document struct {
		Network json.RawMessage `json:"network"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if document.Network != nil {
		raw = document.Network
	}
	return decodeNetwork(raw, extra)
}
