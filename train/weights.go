package train

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway/builder"
	"slipway/internal/display"
	"slipway/internal/safetensors"
)

// wrappers are what PyTorch puts before the names of a module's tensors where that is a part
// of another one: DataParallel, torch.compile, and many a class of people's own.
func wrappers() []string { return []string{"module.", "_orig_mod.", "model."} }

// ReadWeights reads the network's weights from any safetensors file that has
// them under their PyTorch names: a checkpoint, of which it takes the Result, or a
// state dict saved from Python. Other tensors in the file are an error unless the
// file is a checkpoint of ours.
//
// A tensor's shape may differ from the network's by dimensions of 1, as C×1×1 does from C.
//
// The names of a state dict may all have a prefix that PyTorch gives them, such as
// "module."; it is returned, and left out.
func ReadWeights(path string, network *builder.Network) (weights builder.Weights, prefix string, err error) {
	file, err := safetensors.Read(path)
	if err != nil {
		return nil, "", fmt.Errorf("read weights: %w", err)
	}
	if raw, ours := file.Metadata[stateKey]; ours {
		// Of another program's state the weights are all that is asked for.
		result := ""
		var state checkpointState
		if err := json.Unmarshal([]byte(raw), &state); err == nil {
			result = resultPrefix(state.Config, state.Progress)
		}
		weights, err = takeWeights(file, result, network)
	} else {
		prefix = wrapperOf(file, network)
		if err = compare(file, prefix, network).wrong(network, true); err == nil {
			weights, err = takeWeights(file, prefix, network)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("weights %s: %w", path, err)
	}
	return weights, prefix, nil
}

// wrapperOf returns the prefix with which the file has most of the network's parameters,
// none where it has as many without.
func wrapperOf(file *safetensors.File, network *builder.Network) string {
	best, missing := "", len(compare(file, "", network).missing)
	tried := map[string]bool{"": true}
	for _, tensor := range file.Tensors {
		prefix := leadingWrappers(tensor.Name)
		if tried[prefix] {
			continue
		}
		tried[prefix] = true
		if m := len(compare(file, prefix, network).missing); m < missing {
			best, missing = prefix, m
		}
	}
	return best
}

func leadingWrappers(name string) string {
	rest := name
	for found := true; found; {
		found = false
		for _, wrapper := range wrappers() {
			if shorter, ok := strings.CutPrefix(rest, wrapper); ok {
				rest, found = shorter, true
			}
		}
	}
	return name[:len(name)-len(rest)]
}

// countSuffix is that of what PyTorch's batch normalisation counts and nobody needs.
const countSuffix = ".num_batches_tracked"

// misfit is what of a file's tensors and a network's parameters does not go together.
type misfit struct{ missing, unexpected, reshaped []string }

// compare compares the tensors with the network's parameters, before the names of which the
// file has a prefix.
func compare(file *safetensors.File, prefix string, network *builder.Network) misfit {
	var m misfit
	shapes := make(map[string]builder.Shape)
	for _, tensor := range file.Tensors {
		shapes[tensor.Name] = tensor.Shape
	}
	known := make(map[string]bool)
	for _, parameter := range network.Tensors() {
		name := prefix + parameter.Name
		known[name] = true
		switch shape, ok := shapes[name]; {
		case !ok:
			m.missing = append(m.missing, fmt.Sprintf("%s (%v)", name, parameter.Shape))
		case !slices.Equal(withoutOnes(shape), withoutOnes(parameter.Shape)):
			m.reshaped = append(m.reshaped, fmt.Sprintf("%s (%v, needed is %v)", name, shape, parameter.Shape))
		}
	}
	for _, tensor := range file.Tensors {
		if !known[tensor.Name] && !strings.HasSuffix(tensor.Name, countSuffix) {
			m.unexpected = append(m.unexpected, fmt.Sprintf("%s (%v)", tensor.Name, builder.Shape(tensor.Shape)))
		}
	}
	return m
}

// withoutOnes leaves out the dimensions of 1, which move no values: torchvision's ConvNeXt has
// layer_scale as C×1×1, and the network as C.
func withoutOnes(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(dimension int) bool { return dimension == 1 })
}

// wrong reports all that does not fit, what is unexpected if the file is to have nothing
// else.
func (m misfit) wrong(network *builder.Network, alone bool) error {
	if !alone {
		m.unexpected = nil
	}
	var faults []string
	for _, kind := range []struct {
		what  string
		names []string
	}{{"missing: ", m.missing}, {"unexpected: ", m.unexpected}, {"of another shape: ", m.reshaped}} {
		if len(kind.names) > 0 {
			faults = append(faults, kind.what+display.Printable(firstNames(kind.names)))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("the tensors are not those of network %s; %s", network.Name(), strings.Join(faults, "; "))
}

// firstNames lists as many names as a message has room for.
func firstNames(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// checkValues reports a weight that is no finite number, or a variance below 0: nothing is learned
// from it.
func checkValues(network *builder.Network, weights builder.Weights) error {
	notNegative := make(map[string]bool)
	for _, spec := range network.Tensors() {
		notNegative[spec.Name] = spec.NotNegative
	}
	for _, tensor := range weights {
		for i, weight := range tensor.Data {
			if !finite(float64(weight)) {
				return fmt.Errorf("tensor %q holds %v at element %d; the file is damaged, or of a run that diverged", tensor.Name, weight, i)
			}
			if weight < 0 && notNegative[tensor.Name] {
				return fmt.Errorf("tensor %q holds %v at element %d, and a variance is never below 0; the file is damaged", tensor.Name, weight, i)
			}
		}
	}
	return nil
}

// takeWeights collects the network's tensors from those whose names begin with
// the prefix.
func takeWeights(file *safetensors.File, prefix string, network *builder.Network) (builder.Weights, error) {
	if err := compare(file, prefix, network).wrong(network, false); err != nil {
		return nil, err
	}
	return takeTensors(file, prefix, network.Tensors())
}

// takeTensors collects tensors whose names begin with the prefix.
func takeTensors(file *safetensors.File, prefix string, specs []builder.TensorSpec) (builder.Weights, error) {
	var weights builder.Weights
	for _, parameter := range specs {
		tensor, ok := file.Tensor(prefix + parameter.Name)
		if !ok {
			return nil, fmt.Errorf("tensor %q is missing", prefix+parameter.Name)
		}
		data, err := tensor.Float32s()
		if err != nil {
			return nil, err
		}
		if len(data) != parameter.Shape.Elements() {
			return nil, fmt.Errorf("tensor %q has %d values, needed are %d", prefix+parameter.Name, len(data), parameter.Shape.Elements())
		}
		weights = append(weights, builder.Tensor{Name: parameter.Name, Shape: parameter.Shape, Data: data})
	}
	return weights, nil
}

// WriteWeights writes the weights alone, as a state dict that PyTorch loads
// with safetensors.torch.load_file.
func WriteWeights(path string, weights builder.Weights) error {
	file := &safetensors.File{Metadata: map[string]string{"format": "pt"}}
	for _, tensor := range weights {
		file.Tensors = append(file.Tensors, safetensors.NewFloat32(tensor.Name, tensor.Shape, tensor.Data))
	}
	if err := safetensors.Write(path, file); err != nil {
		return fmt.Errorf("write weights: %w", err)
	}
	return nil
}
