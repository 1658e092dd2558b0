package convert

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"slipway/builder"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

var namePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// layerPattern is what the builder takes as a layer's name.
var layerPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// reservedName is what the builder calls a network's input, and no layer but in a chain.
const reservedName = "input"

// maxName bounds the names of layers.
const maxName = 80

// networkName makes a network's name of a graph's.
func networkName(graph string) string {
	name := strings.Map(func(c rune) rune {
		if namePattern.MatchString("a" + string(c)) {
			return c
		}
		return '_'
	}, message.Shorten(graph))
	if !namePattern.MatchString(name) {
		return "network"
	}
	return name
}

// namesOf lists what an item of the node may be called, the best first: as the
// layer that it was exported from, if the model is of FromNetwork; or as the module
// that PyTorch's exporters name.
func (r *raising) namesOf(node *onnxpb.NodeProto, it item) []string {
	if r.own {
		return []string{r.owners[r.index]}
	}
	var names []string
	path := modulePath(node)
	if path == "" {
		return nil
	}
	if len(it.inputs) > 1 || it.operation == affineOperation {
		// What joins is written in a module that has others: layer1.0 + "add".
		return append(names, path+"."+strings.ToLower(node.GetOpType()))
	}
	return append(names, path)
}

// weightNames puts the name of a tensor without ".weight", as PyTorch has it, or
// what ending is, before the names of the node.
func (r *raising) weightNames(tensor, ending string) []string {
	names := r.namesOf(r.current, item{})
	if stem, ok := strings.CutSuffix(tensor, "."+ending); ok && !r.own {
		return append([]string{stem}, names...)
	}
	return names
}

// scopesKey is where PyTorch's current exporter keeps the modules that a node is of.
const scopesKey = "pkg.torch.onnx.name_scopes"

// modulePath is the module that a node is of, with dots: from the name
// /layer1/layer1.0/relu/Relu, or from the scopes [”, 'layer1', 'layer1.0.relu', 'relu'].
func modulePath(node *onnxpb.NodeProto) string {
	for _, property := range node.GetMetadataProps() {
		if property.GetKey() != scopesKey {
			continue
		}
		scopes := strings.Split(strings.Trim(property.GetValue(), "[]"), ", ")
		if len(scopes) > 1 {
			return strings.Trim(scopes[len(scopes)-2], `'"`)
		}
	}
	parts := strings.Split(node.GetName(), "/")
	if len(parts) < 3 || parts[0] != "" {
		if len(parts) > 1 { // as tf2onnx has it: model/conv1/Conv2D
			return strings.Join(parts[:len(parts)-1], ".")
		}
		return ""
	}
	path, last := "", ""
	for _, part := range parts[1 : len(parts)-1] {
		switch {
		case path == "":
			path = part
		case strings.HasPrefix(part, last+"."):
			path = strings.TrimSuffix(path, last) + part
		default:
			path += "." + part
		}
		last = part
	}
	return path
}

// isParameter reports whether a tensor's name is one of a PyTorch state dict, such
// as features.1.0.layer_scale.
func isParameterName(name string) bool {
	return parameterPattern.MatchString(name)
}

var parameterPattern = regexp.MustCompile(
	`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*\.[A-Za-z_][A-Za-z0-9_]*$`)

// chooseNames gives each item that is used a name of its own, empty where the
// builder is to make one up.
func (r *raising) chooseNames(uses []int) []string {
	chosen, taken := make([]string, len(r.items)), map[string]bool{reservedName: !r.isChain(uses)}
	again := make(map[string]int)
	for i, it := range r.items {
		if uses[i] == 0 {
			continue
		}
		first := ""
		for _, name := range it.names {
			if len(name) > maxName || !layerPattern.MatchString(name) {
				continue
			}
			if first == "" {
				first = name
			}
			if !taken[name] {
				chosen[i] = name
				break
			}
		}
		// A module that is used again, such as a residual block's one relu.
		for chosen[i] == "" && first != "" {
			again[first]++
			if name := fmt.Sprintf("%s_%d", first, again[first]); !taken[name] {
				chosen[i] = name
			}
		}
		taken[chosen[i]] = true
	}
	return chosen
}

// isChain reports whether each item that is used takes the one before it alone.
func (r *raising) isChain(uses []int) bool {
	last := inputPlace
	for i, it := range r.items {
		if uses[i] == 0 {
			continue
		}
		if len(it.inputs) != 1 || it.inputs[0] != last {
			return false
		}
		last = i
	}
	return true
}

// withName returns the layer with that name.
func withName(layer builder.Layer, name string) (builder.Layer, error) {
	named := reflect.New(reflect.TypeOf(layer)).Elem()
	named.Set(reflect.ValueOf(layer))
	field := named.FieldByName("Name")
	if field.Kind() != reflect.String {
		return nil, fmt.Errorf("the layer %s has no name", layer.Kind())
	}
	field.SetString(name)
	return named.Interface().(builder.Layer), nil
}
