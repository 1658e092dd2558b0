package builder

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

type networkJSON struct {
	Name   string      `json:"name"`
	Input  Shape       `json:"input"`
	Layers []layerJSON `json:"layers"`
}

// layerJSON is a layer. One without Inputs takes the output of the layer before it.
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

// UnmarshalJSON reads a network in any form that ParseNetwork does, and checks it as New does. It
// knows the layers of this package alone; ParseNetwork can be told of others.
func (n *Network) UnmarshalJSON(raw []byte) error {
	network, err := ParseNetwork(raw)
	var place *PlaceError
	if errors.As(err, &place) {
		return place.Err // raw is a part of a file
	}
	if err != nil {
		return err
	}
	*n = *network
	return nil
}

// UnmarshalYAML does what UnmarshalJSON does. A PlaceError has the line in the node's file.
func (n *Network) UnmarshalYAML(node *yaml.Node) error {
	network, err := new(reading).network(node, nil)
	if err != nil {
		return err
	}
	*n = *network
	return nil
}

// ParseNetwork reads a network from JSON or YAML, as docs/networks.md describes it: one that
// MarshalJSON wrote, one written by hand, or a document with such a network under "network", as a
// run's config.json is. Extra are the kinds of layers that it may have beside those of this
// package, without settings.
//
// The error is a *PlaceError wherever the fault has a place in the document. Documents that are
// larger, deeper or have more values than any network are refused before memory is spent on them.
func ParseNetwork(raw []byte, extra ...Layer) (*Network, error) {
	root, err := parseDocument(raw)
	if err != nil {
		return nil, err
	}
	r := new(reading)
	if root.Kind == yaml.MappingNode {
		entries, err := r.mapping(root, "the file")
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.key.Value == "network" {
				root = e.value
			}
		}
	}
	return r.network(root, extra)
}
