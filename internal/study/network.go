package study

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway/builder"
)

// experiments are the bases that need no description.
const (
	baseE1 = "e1"
	baseE2 = "e2"
)

// readNetworks reads the networks of a file: by name either a list of layers, or
// a mapping of input and layers.
func (f *File) readNetworks(node *yaml.Node) error {
	entries, err := pairs(node, "networks")
	if err != nil {
		return err
	}
	f.Networks = make(map[string]*builder.Network)
	for _, entry := range entries {
		if entry.key == baseE1 || entry.key == baseE2 {
			return at(entry.node, "the network %q is the experiment's; give yours another name", entry.key)
		}
		network, err := readNetwork(entry)
		if err != nil {
			return err
		}
		f.Networks[entry.key] = network
	}
	return nil
}

func readNetwork(entry pair) (*builder.Network, error) {
	input, layers := []int(builder.ExperimentInput()), entry.value
	if entry.value.Kind == yaml.MappingNode {
		layers = nil
		err := readFields(entry.value, "network "+entry.key, fields{
			"input":  into(&input),
			"layers": func(node *yaml.Node) error { layers = node; return nil },
		})
		if err != nil {
			return nil, err
		}
		if layers == nil {
			return nil, at(entry.value, "network %s has no layers", entry.key)
		}
	}
	nodes, err := list(layers, "network "+entry.key)
	if err != nil {
		return nil, err
	}
	type layerJSON struct {
		Kind  string         `json:"kind"`
		Layer map[string]any `json:"layer"`
	}
	document := struct {
		Name   string      `json:"name"`
		Input  []int       `json:"input"`
		Layers []layerJSON `json:"layers"`
	}{entry.key, input, nil}
	for _, node := range nodes {
		kind, layer, err := readLayer(node)
		if err != nil {
			return nil, err
		}
		document.Layers = append(document.Layers, layerJSON{kind, layer})
		// The network so far is built, so that an error has the layer's line.
		raw, err := json.Marshal(document)
		if err != nil {
			return nil, at(node, "%w", err)
		}
		if _, err := builder.ParseNetwork(raw); err != nil {
			return nil, at(node, "%w", err)
		}
	}
	raw, err := json.Marshal(document)
	if err != nil {
		return nil, at(layers, "%w", err)
	}
	network, err := builder.ParseNetwork(raw)
	if err != nil {
		return nil, at(layers, "%w", err)
	}
	if _, err := network.Classes(); err != nil {
		return nil, at(layers, "%w", err)
	}
	return network, nil
}

// readLayer reads KIND, or KIND: {FIELD: VALUE}. A size may be one number or
// [height, width].
func readLayer(node *yaml.Node) (kind string, layer map[string]any, err error) {
	layer = make(map[string]any)
	name := node
	if node.Kind == yaml.MappingNode {
		entries, err := pairs(node, "a layer")
		if err != nil {
			return "", nil, err
		}
		if len(entries) != 1 {
			return "", nil, at(node, "a layer is KIND, or KIND: {FIELD: VALUE}; this has %d kinds", len(entries))
		}
		name = entries[0].node
		inner, err := pairs(entries[0].value, "layer "+name.Value)
		if err != nil {
			return "", nil, err
		}
		for _, field := range inner {
			if layer[field.key], err = layerField(field); err != nil {
				return "", nil, err
			}
		}
	}
	for _, kind := range builder.Kinds() {
		if strings.EqualFold(kind, name.Value) {
			return kind, layer, nil
		}
	}
	return "", nil, at(node, "there is no layer %s%s", describe(name), suggest(name.Value, builder.Kinds()))
}

func layerField(field pair) (any, error) {
	v, err := plain(field.value)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"kernel", "stride", "padding"}, field.key) {
		return v, nil
	}
	switch v := v.(type) {
	case float64:
		return map[string]any{"height": v, "width": v}, nil
	case []any:
		if len(v) == 2 {
			return map[string]any{"height": v[0], "width": v[1]}, nil
		}
	}
	return nil, at(field.value, "%s is one number or [HEIGHT, WIDTH]", field.key)
}

// network returns the network of a base, with dropout of that probability if it is
// not nil.
func (f *File) network(base string, dropout *float64) (*builder.Network, error) {
	switch base {
	case baseE1, baseE2:
		p := 0.0
		if base == baseE2 {
			p = 0.5
		}
		if dropout != nil {
			p = *dropout
		}
		if p == 0 {
			// Without dropout the two experiments have one network.
			return builder.E1(f.classes)
		}
		return builder.E2(f.classes, p)
	}
	network, ok := f.Networks[base]
	if !ok {
		names := append([]string{baseE1, baseE2}, slices.Sorted(maps.Keys(f.Networks))...)
		return nil, fmt.Errorf("there is no base %q%s", base, suggest(base, names))
	}
	if dropout == nil {
		return network, nil
	}
	var layers []builder.Layer
	found := false
	for _, node := range network.Nodes() {
		layer := node.Layer
		if drop, ok := layer.(builder.Dropout); ok {
			found = true
			drop.Name, drop.P = node.Name, *dropout
			layer = drop
		}
		layers = append(layers, layer)
	}
	if !found {
		return nil, fmt.Errorf("network %s has no Dropout layer whose probability could vary; give it one", base)
	}
	return builder.New(network.Name(), network.Input(), layers...)
}
