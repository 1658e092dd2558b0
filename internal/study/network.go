package study

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"slipway/builder"
)

// experiments are the bases that need no description.
const (
	baseE1 = "e1"
	baseE2 = "e2"
)

// readNetworks reads the networks of a file: by name either a list of layers, or
// a mapping of input and layers, as docs/networks.md has them.
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

// readNetwork reads a network as builder does, with its key for a name, and MNIST's images where it
// has no input.
func readNetwork(entry pair) (*builder.Network, error) {
	value := entry.value
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	document := &yaml.Node{Kind: yaml.MappingNode, Line: value.Line, Column: value.Column}
	add := func(key string, value *yaml.Node) {
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: value.Line,
			Column: value.Column}
		document.Content = append(document.Content, name, value)
	}
	name := *entry.node
	name.Tag = "!!str"
	add("name", &name)
	hasInput := false
	if value.Kind == yaml.MappingNode {
		document.Content = append(document.Content, value.Content...)
		for i := 0; i < len(value.Content); i += 2 {
			hasInput = hasInput || value.Content[i].Value == "input"
		}
	} else {
		add("layers", value)
	}
	if !hasInput {
		input := new(yaml.Node)
		if err := input.Encode(builder.ExperimentInput()); err != nil {
			return nil, at(value, "%w", err)
		}
		add("input", input)
	}
	network := new(builder.Network)
	err := network.UnmarshalYAML(document)
	var place *builder.PlaceError
	if errors.As(err, &place) {
		return nil, &PlaceError{Line: place.Line, Err: place.Err}
	}
	if err != nil {
		return nil, at(value, "%w", err)
	}
	if _, err := network.Classes(); err != nil {
		return nil, at(value, "%w", err)
	}
	return network, nil
}

// network returns the network of a base, with dropout of the probability p if it is
// not nil.
func (f *File) network(base string, p *float64) (*builder.Network, error) {
	switch base {
	case baseE1, baseE2:
		dropout := 0.0
		if base == baseE2 {
			dropout = 0.5
		}
		if p != nil {
			dropout = *p
		}
		if dropout == 0 {
			// Without dropout the two experiments have one network.
			return builder.E1(f.classes)
		}
		return builder.E2(f.classes, dropout)
	}
	network, ok := f.Networks[base]
	if !ok {
		names := append([]string{baseE1, baseE2}, slices.Sorted(maps.Keys(f.Networks))...)
		return nil, fmt.Errorf("there is no base %q%s", base, suggest(base, names))
	}
	if p == nil {
		return network, nil
	}
	found := false
	network, err := network.With(func(node builder.Node) builder.Layer {
		switch dropout := node.Layer.(type) {
		case builder.Dropout:
			dropout.P, found = *p, true
			return dropout
		case builder.Dropout2D:
			dropout.P, found = *p, true
			return dropout
		case builder.DropPath:
			dropout.P, found = *p, true
			return dropout
		}
		return node.Layer
	})
	if err == nil && !found {
		err = fmt.Errorf(
			"network %s has no Dropout layer, of any kind, whose probability could vary; give it one", base)
	}
	return network, err
}
