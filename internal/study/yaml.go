package study

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway/internal/nearest"
)

// PlaceError is what is wrong with a study file, and where.
type PlaceError struct {
	File string
	Line int // from 1; 0 if it is not one line's
	Err  error
}

func (e *PlaceError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *PlaceError) Unwrap() error { return e.Err }

// at returns an error about the line of the node. The file's name is filled in by
// ReadFile.
func at(node *yaml.Node, format string, args ...any) error {
	return &PlaceError{Line: node.Line, Err: fmt.Errorf(format, args...)}
}

// pair is a key of a mapping with its value.
type pair struct {
	key   string
	node  *yaml.Node // of the key
	value *yaml.Node
}

// pairs returns a mapping's entries in their order.
func pairs(node *yaml.Node, what string) ([]pair, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return nil, at(node, "%s is a mapping, KEY: VALUE on each line", what)
	}
	var list []pair
	seen := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if line, twice := seen[key.Value]; twice {
			return nil, at(key, "the key %q is already on line %d", key.Value, line)
		}
		seen[key.Value] = key.Line
		list = append(list, pair{key.Value, key, node.Content[i+1]})
	}
	return list, nil
}

// fields maps the keys that a mapping may have to what reads their values.
type fields map[string]func(*yaml.Node) error

// readFields reads a mapping, and rejects keys that it may not have.
func readFields(node *yaml.Node, what string, known fields) error {
	list, err := pairs(node, what)
	if err != nil {
		return err
	}
	for _, entry := range list {
		read, ok := known[entry.key]
		if !ok {
			names := slices.Sorted(maps.Keys(known))
			return at(entry.node, "%s has no key %q%s", what, entry.key, suggest(entry.key, names))
		}
		if err := read(entry.value); err != nil {
			return err
		}
	}
	return nil
}

// suggest ends an error about a name: with those that it may have meant, or else with
// all there are.
func suggest(name string, names []string) string {
	if hint := nearest.Hint(name, names); hint != "" {
		return hint
	}
	return "; there are " + strings.Join(names, ", ")
}

// into reads a scalar or a list of scalars.
func into[T any](target *T) func(*yaml.Node) error {
	return func(node *yaml.Node) error {
		if err := node.Decode(target); err != nil {
			return at(node, "%s is not %s", describe(node), kindOf(*target))
		}
		return nil
	}
}

func kindOf(value any) string {
	switch value.(type) {
	case int:
		return "a whole number"
	case uint64, []uint64:
		return "a whole number from 0 on"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case string:
		return "a text"
	}
	return fmt.Sprintf("a %T", value)
}

// describe shows a scalar as it is written, and says what else a node is.
func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.ScalarNode:
		return fmt.Sprintf("%q", node.Value)
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	return "this"
}

// list returns the entries of a list.
func list(node *yaml.Node, what string) ([]*yaml.Node, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		return nil, at(node, "%s is a list of at least one entry, [A, B] or one \"- A\" a line", what)
	}
	return node.Content, nil
}
