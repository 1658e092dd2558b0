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

// LoadedWeights is what a file of weights came to.
type LoadedWeights struct {
	Weights builder.Weights
	// Prefix is what all names in the file have before those of the network, and is left out.
	Prefix string
	// Notes are what was done with the file, a sentence each, to be told to whoever chose it.
	Notes []string
}

// ReadWeights is LoadWeights without what is to be told: the weights, and the prefix that was
// left out.
func ReadWeights(path string, network *builder.Network) (weights builder.Weights, prefix string,
	err error) {
	loaded, err := LoadWeights(path, network)
	if err != nil {
		return nil, "", err
	}
	return loaded.Weights, loaded.Prefix, nil
}

// LoadWeights reads the network's weights from any file that has them under their PyTorch names:
// a checkpoint, of which it takes the Result, a state dict saved from Python as safetensors or
// by torch.save (.pt, .pth), of which nothing is executed, or an ONNX model, whose
// initializers are taken by their names. Its beginning tells which it is, whatever its name.
//
// Other tensors in the file are an error unless the file is a checkpoint of ours, a model, or
// one of torch.save that keeps them in a container of their own, as an optimizer's state. All that
// is missing, unexpected or of another shape is named.
//
// A tensor's shape may differ from the network's by dimensions of 1, as C×1×1 does from C.
// Weights of float16 and bfloat16 are widened, and those of float64 rounded, to float32.
//
// The names of a state dict may all have a prefix that PyTorch gives them, such as
// "module.", or the names of the containers that it lies in, as in "state_dict."; it is
// left out.
func LoadWeights(path string, network *builder.Network) (*LoadedWeights, error) {
	source, err := readWeightsFile(path)
	if err != nil {
		return nil, fmt.Errorf("read weights: %w", err)
	}
	loaded := &LoadedWeights{}
	if raw, ours := source.file.Metadata[stateKey]; ours {
		// Of another program's state the weights are all that is asked for.
		result := ""
		var state checkpointState
		if err := json.Unmarshal([]byte(raw), &state); err == nil {
			result = resultPrefix(state.Config, state.Progress)
		}
		loaded.Weights, err = takeWeights(source.file, result, network)
	} else {
		var outside []safetensors.Tensor
		loaded.Prefix, outside = source.take(network)
		if err = compare(source.file, loaded.Prefix, network).
			wrong(network, !source.isModel); err == nil {
			loaded.Weights, err = takeWeights(source.file, loaded.Prefix, network)
			loaded.Notes = source.notes(path, loaded.Prefix, outside, network)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("weights %s: %w", path, err)
	}
	return loaded, nil
}

// countSuffix is that of what PyTorch's batch normalisation counts and nobody needs.
const countSuffix = ".num_batches_tracked"

// misfit is what of a file's tensors and a network's parameters does not go together.
type misfit struct {
	missing, unexpected, reshaped []string
	// head is the number of classes that the file's classifier tells apart, where that alone keeps the
	// tensors from being the network's; 0 elsewhere.
	head int
}

// HeadError says that a file's weights are those of the network with another number of classes: the
// tensors of its classifier alone have another shape, and in their first dimension alone.
type HeadError struct {
	Classes int // of the file
	Err     error
}

func (e *HeadError) Error() string { return e.Err.Error() }

func (e *HeadError) Unwrap() error { return e.Err }

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
			m.reshaped = append(m.reshaped, fmt.Sprintf("%s (%v, needed is %v)", name, shape,
				parameter.Shape))
		}
	}
	for _, tensor := range file.Tensors {
		if !known[tensor.Name] && !strings.HasSuffix(tensor.Name, countSuffix) {
			m.unexpected = append(m.unexpected,
				fmt.Sprintf("%s (%v)", tensor.Name, builder.Shape(tensor.Shape)))
		}
	}
	head, err := network.Head("")
	if err == nil && len(m.missing) == 0 && len(m.unexpected) == 0 &&
		len(m.reshaped) == len(head.Tensors) {
		m.head = otherClasses(shapes, prefix, head)
	}
	return m
}

// otherClasses is the number of classes that tensors of those shapes tell apart, where each of them
// differs from the classifier's in that; 0 elsewhere.
func otherClasses(shapes map[string]builder.Shape, prefix string, head builder.Node) int {
	classes := 0
	for i, tensor := range head.Tensors {
		shape := shapes[prefix+tensor.Name]
		if len(shape) == 0 || shape[0] == tensor.Shape[0] || i > 0 && shape[0] != classes ||
			!slices.Equal(withoutOnes(shape[1:]), withoutOnes(tensor.Shape[1:])) {
			return 0
		}
		classes = shape[0]
	}
	return classes
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
	err := fmt.Errorf("the tensors are not those of network %s; %s", network.Name(),
		strings.Join(faults, "; "))
	if m.head > 0 {
		return &HeadError{m.head, err}
	}
	return err
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
				return fmt.Errorf(
					"tensor %q holds %v at element %d; the file is damaged, or of a run that diverged",
					tensor.Name, weight, i)
			}
			if weight < 0 && notNegative[tensor.Name] {
				return fmt.Errorf(
					"tensor %q holds %v at element %d, and a variance is never below 0; the file is damaged",
					tensor.Name, weight, i)
			}
		}
	}
	return nil
}

// takeWeights collects the network's tensors from those whose names begin with
// the prefix.
func takeWeights(file *safetensors.File, prefix string, network *builder.Network) (builder.Weights,
	error) {
	if err := compare(file, prefix, network).wrong(network, false); err != nil {
		return nil, err
	}
	return takeTensors(file, prefix, network.Tensors())
}

// takeTensors collects tensors whose names begin with the prefix.
func takeTensors(file *safetensors.File, prefix string,
	specs []builder.TensorSpec) (builder.Weights, error) {
	var weights builder.Weights
	for _, parameter := range specs {
		tensor, ok := file.Tensor(prefix + parameter.Name)
		if !ok {
			return nil, fmt.Errorf("tensor %q is missing", prefix+parameter.Name)
		}
		data, err := float32s(tensor)
		if err != nil {
			return nil, err
		}
		if len(data) != parameter.Shape.Elements() {
			return nil, fmt.Errorf("tensor %q has %d values, needed are %d", prefix+parameter.Name,
				len(data), parameter.Shape.Elements())
		}
		weights = append(weights, builder.Tensor{Name: parameter.Name, Shape: parameter.Shape,
			Data: data})
	}
	return weights, nil
}

// float32s are a tensor's values, rounded where they are of float64.
func float32s(tensor safetensors.Tensor) ([]float32, error) {
	if tensor.DType != safetensors.F64 {
		return tensor.Float32s()
	}
	values, err := tensor.Float64s()
	rounded := make([]float32, len(values))
	for i, value := range values {
		rounded[i] = float32(value)
	}
	return rounded, err
}

// WriteWeights writes the weights alone, as a state dict that PyTorch loads
// with safetensors.torch.load_file.
func WriteWeights(path string, weights builder.Weights) error {
	file := &safetensors.File{Metadata: map[string]string{"format": "pt"}}
	for _, tensor := range weights {
		file.Tensors = append(file.Tensors, safetensors.NewFloat32(tensor.Name, tensor.Shape,
			tensor.Data))
	}
	if err := safetensors.Write(path, file); err != nil {
		return fmt.Errorf("write weights: %w", err)
	}
	return nil
}
