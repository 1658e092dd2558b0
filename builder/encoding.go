package builder

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// decoders maps a layer's Kind to what reads it from JSON. It is the list of
// layers: Kinds and the tests of both lowerings walk it.
func decoders() map[string]func(json.RawMessage) (Layer, error) {
	return map[string]func(json.RawMessage) (Layer, error){
		"Conv2D":    decodeLayer[Conv2D],
		"ReLU":      decodeLayer[ReLU],
		"MaxPool2D": decodeLayer[MaxPool2D],
		"AvgPool2D": decodeLayer[AvgPool2D],
		"Flatten":   decodeLayer[Flatten],
		"Dense":     decodeLayer[Dense],
		"Dropout":   decodeLayer[Dropout],
		"Softmax":   decodeLayer[Softmax],
	}
}

// Kinds returns the Kind of every layer there is, in the order of the
// documentation.
func Kinds() []string {
	return []string{"Conv2D", "ReLU", "MaxPool2D", "AvgPool2D", "Flatten", "Dense", "Dropout", "Softmax"}
}

func decodeLayer[L Layer](raw json.RawMessage) (Layer, error) {
	var layer L
	if len(raw) == 0 {
		return layer, nil // as in {"kind": "ReLU"}
	}
	if err := decodeStrictly(raw, &layer); err != nil {
		return nil, err
	}
	return layer, nil
}

func decodeStrictly(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

type networkJSON struct {
	Name   string      `json:"name"`
	Input  Shape       `json:"input"`
	Layers []layerJSON `json:"layers"`
}

// layerJSON is a layer. One without Layer has no fields but their defaults.
type layerJSON struct {
	Kind  string          `json:"kind"`
	Layer json.RawMessage `json:"layer"`
}

// MarshalJSON writes the network so that UnmarshalJSON gives an equal one.
func (n *Network) MarshalJSON() ([]byte, error) {
	out := networkJSON{Name: n.name, Input: n.input}
	for _, node := range n.nodes {
		raw, err := json.Marshal(named(node))
		if err != nil {
			return nil, fmt.Errorf("network %s, layer %s: %w", n.name, node.Name, err)
		}
		out.Layers = append(out.Layers, layerJSON{Kind: node.Layer.Kind(), Layer: raw})
	}
	return json.Marshal(out)
}

// named returns the node's layer with the node's name in it, so that names
// that were made up stay the same when the network is read back.
func named(node Node) Layer {
	switch l := node.Layer.(type) {
	case Conv2D:
		l.Name = node.Name
		return l
	case ReLU:
		l.Name = node.Name
		return l
	case MaxPool2D:
		l.Name = node.Name
		return l
	case AvgPool2D:
		l.Name = node.Name
		return l
	case Flatten:
		l.Name = node.Name
		return l
	case Dense:
		l.Name = node.Name
		return l
	case Dropout:
		l.Name = node.Name
		return l
	case Softmax:
		l.Name = node.Name
		return l
	}
	return node.Layer
}

// UnmarshalJSON reads what MarshalJSON wrote, and checks it as New does.
func (n *Network) UnmarshalJSON(raw []byte) error {
	var in networkJSON
	if err := decodeStrictly(raw, &in); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	decode := decoders()
	var layers []Layer
	for i, entry := range in.Layers {
		read, ok := decode[entry.Kind]
		if !ok {
			return fmt.Errorf("network %s, layer %d of %d: unknown kind %q; known are %v", in.Name, i+1, len(in.Layers), entry.Kind, Kinds())
		}
		layer, err := read(entry.Layer)
		if err != nil {
			return fmt.Errorf("network %s, layer %d of %d (%s): %w", in.Name, i+1, len(in.Layers), entry.Kind, err)
		}
		layers = append(layers, layer)
	}
	network, err := New(in.Name, in.Input, layers...)
	if err != nil {
		return err
	}
	*n = *network
	return nil
}

// ParseNetwork reads a network from JSON: one that MarshalJSON wrote, or a
// document with such a network under "network", as a run's config.json is.
func ParseNetwork(raw []byte) (*Network, error) {
	var document struct {
		Network json.RawMessage `json:"network"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if document.Network != nil {
		raw = document.Network
	}
	network := new(Network)
	if err := json.Unmarshal(raw, network); err != nil {
		return nil, err
	}
	return network, nil
}
