package builder

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway/internal/display"
	"slipway/internal/nearest"
)

// suggest ends an error about a name with those that it may have meant, or else with all there are.
func suggest(name string, names []string) string {
	const most, longest = 60, 100
	if len(name) <= longest {
		if hint := nearest.Hint(name, names); hint != "" {
			return hint
		}
	}
	if len(names) > most {
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}

// network reads {name, input, layers}.
func (r *reading) network(node *yaml.Node, extra []Layer) (*Network, error) {
	node, err := r.resolve(node)
	if err != nil {
		return nil, err
	}
	fields, err := r.mapping(node, "a network")
	if err != nil {
		return nil, err
	}
	var name string
	var input Shape
	var layers *yaml.Node
	targets := map[string]any{"name": &name, "input": &input}
	for _, field := range fields {
		if field.key.Value == "layers" {
			layers = field.value
			continue
		}
		target, ok := targets[field.key.Value]
		if !ok {
			return nil, atf(field.key, "a network has no %s%s", quote(field.key.Value),
				suggest(field.key.Value, []string{"name", "input", "layers"}))
		}
		if err := r.into(target, field); err != nil {
			return nil, within("network", err)
		}
	}
	g := NewGraph(name, input)
	switch {
	case g.err != nil:
		return nil, at(node, g.err)
	case layers == nil:
		return nil, atf(node, "network %s has no layers; list them under layers", name)
	}
	items, err := r.items(layers, "network "+name+": layers")
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, atf(layers, "network %s has no layers", name)
	}
	if len(items) > maxLayers {
		return nil, atf(layers, "network %s has %s layers, at most %s are read", name,
			display.Thousands(len(items)), display.Thousands(maxLayers))
	}
	entries := make([]layerEntry, len(items))
	for i, item := range items {
		if entries[i], err = r.layer(item, extra); err != nil {
			what := fmt.Sprintf("network %s, layer %d of %d", name, i+1, len(items))
			if entries[i].layer != nil {
				what += " (" + entries[i].layer.Kind() + ")"
			}
			return nil, within(what, err)
		}
	}
	return wire(g, layers, entries)
}

// layerEntry is a layer of the file. Without inputs it takes the output of the one before.
type layerEntry struct {
	node   *yaml.Node
	layer  Layer
	inputs []*yaml.Node
	names  []string // of the inputs
}

// layer reads KIND, {KIND: {FIELD: VALUE}}, or {kind: KIND, layer: {FIELD: VALUE}}. Its inputs are
// beside the fields, in the last form beside the kind.
func (r *reading) layer(node *yaml.Node, extra []Layer) (layerEntry, error) {
	e := layerEntry{node: node}
	switch node.Kind {
	case yaml.ScalarNode:
		return e, e.read(r, node, nil, extra)
	case yaml.MappingNode:
	default:
		return e, atf(node, "is %s; a layer is KIND, or KIND: {FIELD: VALUE}", describeNode(node))
	}
	parts, err := r.mapping(node, "a layer")
	if err != nil {
		return e, err
	}
	kindAt := slices.IndexFunc(parts, func(part entry) bool { return part.key.Value == "kind" })
	if kindAt < 0 {
		if len(parts) != 1 {
			return e, atf(node,
				"is %d kinds; a layer is KIND, or KIND: {FIELD: VALUE}, its fields further to the right than its kind",
				len(parts))
		}
		return e, e.read(r, parts[0].key, parts[0].value, extra)
	}
	var fields *yaml.Node
	for _, part := range parts {
		switch part.key.Value {
		case "kind":
			node = part.value
		case "layer":
			fields = part.value
		case "inputs":
			if err := e.take(r, part.value); err != nil {
				return e, err
			}
		default:
			return e, atf(part.key, "has no %s beside its kind%s", quote(part.key.Value),
				suggest(part.key.Value, []string{"kind", "layer", "inputs"}))
		}
	}
	return e, e.read(r, node, fields, extra)
}

// read reads a layer of that kind with those fields, which may be nil or null.
func (e *layerEntry) read(r *reading, kind, fields *yaml.Node, extra []Layer) error {
	known, err := kindOf(kind, extra)
	if err != nil {
		return err
	}
	value := reflect.New(reflect.Indirect(reflect.ValueOf(known)).Type())
	pointer := reflect.TypeOf(known).Kind() == reflect.Pointer
	e.layer = known
	if fields != nil && fields.ShortTag() != "!!null" {
		entries, err := r.mapping(fields, known.Kind())
		if err != nil {
			return err
		}
		names := fieldNames(value.Type().Elem())
		for _, field := range entries {
			if at := slices.IndexFunc(names, func(name string) bool {
				return strings.EqualFold(name, field.key.Value)
			}); at >= 0 {
				if err := r.into(value.Interface(),
					entry{&yaml.Node{Value: names[at]}, field.value}); err != nil {
					return err
				}
				continue
			}
			if field.key.Value == "inputs" {
				if err := e.take(r, field.value); err != nil {
					return err
				}
				continue
			}
			return atf(field.key, "has no field %s%s", quote(field.key.Value),
				suggest(field.key.Value, append(names, "inputs")))
		}
	}
	if !pointer {
		value = value.Elem()
	}
	e.layer = value.Interface().(Layer)
	return nil
}

// take reads the names of the values that the layer takes.
func (e *layerEntry) take(r *reading, node *yaml.Node) error {
	items, err := r.items(node, "inputs")
	if err != nil {
		return err
	}
	if e.inputs != nil {
		return atf(node, "has inputs beside its kind and among its fields; give them once")
	}
	if len(items) == 0 {
		return atf(node, "inputs: none are named; leave them out to take the output of the layer before")
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" {
			return atf(item, "inputs: %s is no layer's name", describeNode(item))
		}
		e.names = append(e.names, item.Value)
	}
	e.inputs = items
	return nil
}

// kindOf returns the layer of that kind, without settings.
func kindOf(node *yaml.Node, extra []Layer) (Layer, error) {
	if node.Kind != yaml.ScalarNode {
		return nil, atf(node, "has %s for its kind; give one such as Conv2D", describeNode(node))
	}
	var names []string
	var near Layer
	for _, known := range append(Registered(), extra...) {
		if known == nil {
			continue
		}
		if known.Kind() == node.Value {
			return known, nil
		}
		if near == nil && strings.EqualFold(known.Kind(), node.Value) {
			near = known
		}
		names = append(names, known.Kind())
	}
	if near != nil {
		return near, nil
	}
	return nil, atf(node, "there is no layer %s%s", quote(node.Value), suggest(node.Value, names))
}

// fieldNames returns what JSON calls the fields of a struct.
func fieldNames(layer reflect.Type) []string {
	var names []string
	if layer.Kind() != reflect.Struct {
		return nil
	}
	for _, field := range reflect.VisibleFields(layer) {
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported() || tag == "-" || field.Anonymous && tag == "":
		case tag != "":
			names = append(names, tag)
		default:
			names = append(names, field.Name)
		}
	}
	return names
}

// into reads a value into the target: a pointer to a struct, whose field has the entry's key, or to
// the value itself.
func (r *reading) into(target any, field entry) error {
	name := field.key.Value
	if field.value.ShortTag() == "!!null" {
		return atf(field.value, "%s has no value", name)
	}
	plain, err := r.plain(field.value, 0)
	if err != nil {
		return within(name, err)
	}
	value := plain
	if reflect.TypeOf(target).Elem().Kind() == reflect.Struct {
		value = map[string]any{name: plain}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return atf(field.value, "%s: %w", name, err)
	}
	err = json.Unmarshal(raw, target)
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return at(field.value, err)
	}
	if _, number := plain.(json.Number); number && kind.Type.Kind() == reflect.String {
		return atf(field.value, "%s: %s is a number; put it in quotes: \"%s\"", name, field.value.Value,
			field.value.Value)
	}
	given := describeNode(field.value)
	if field.value.Kind != yaml.ScalarNode && kind.Value != "array" && kind.Value != "object" {
		given = "its entry, a " + kind.Value + "," // encoding/json does not say which
	}
	return atf(field.value, "%s: %s is not %s", name, given, describeType(kind.Type))
}

func describeType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number in range"
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	if t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 {
		return "a whole number in range"
	}
	return "what belongs here (" + t.String() + ")"
}

// wire makes the network of its layers.
func wire(g *Graph, list *yaml.Node, entries []layerEntry) (*Network, error) {
	layers := make([]Layer, len(entries))
	for i, e := range entries {
		layers[i] = e.layer
	}
	g.expect(layers)
	x := g.Input()
	values := map[string]Value{inputReference: x}
	names := []string{inputReference}
	for i, e := range entries {
		takes := []Value{x}
		if e.inputs != nil {
			takes = nil
		}
		for k, name := range e.names {
			value, ok := values[name]
			if !ok {
				return nil, atf(e.inputs[k],
					"network %s, layer %d of %d (%s) takes %s, and no layer before it is called so%s",
					g.name, i+1, len(entries), e.layer.Kind(), quote(name), suggest(name, names))
			}
			takes = append(takes, value)
		}
		if x = g.Join(e.layer, takes...); g.err != nil {
			return nil, at(e.node, g.err)
		}
		name := g.nodes[x.at].Name
		values[name], names = x, append(names, name)
	}
	network, err := g.Network(x)
	return network, at(list, err)
}
