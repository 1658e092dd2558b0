package builder

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"slipway/internal/kernel"
)

// Layer is one layer of a network: Conv2D, BatchNorm, Add, or one of the user's own. Registered
// lists those of this package.
//
// A layer is a struct whose fields are its settings, written to JSON as encoding/json does. One
// field is Name, a string: the layer's name in its network, made up if it is empty. A layer is a
// value: no method changes it. What it computes for a batch is a Computation, which may keep state.
//
// A layer outside of this package implements this interface, and Exporter if it is to be written
// as ONNX; the package's second example is one. It runs on each engine, by its Computation.
type Layer interface {
	// Kind is the layer's type name, such as "Conv2D": what a network's JSON calls it.
	Kind() string
	// Infer says what the layer makes of inputs of these shapes, each of one example: at least
	// one. The error says what is wrong, without the layer's name.
	Infer(inputs []Shape) (Inferred, error)
	// Compute returns what computes the layer at one place of one graph.
	Compute(call Call) (Computation, error)
}

// Inferred is what a layer makes of inputs of given shapes.
type Inferred struct {
	// Layer is the layer with its defaults filled in.
	Layer Layer
	// Output is the shape of its output, of one example.
	Output Shape
	// Tensors are those that it learns or keeps. Their names are without the layer's.
	Tensors []TensorSpec
	// WholeBatch says that the layer computes the images of a training batch together, as batch
	// normalisation does: such a batch is not trained on in parts.
	WholeBatch bool
}

// Role says what a tensor is to the training.
type Role int

const (
	// Learned tensors are the optimizer's: weights and biases.
	Learned Role = iota
	// Statistic tensors are kept by the layer itself, as running means are. They are stored
	// and exported, and no gradient changes them.
	Statistic
)

// TensorSpec is one tensor of a layer, without its values.
type TensorSpec struct {
	// Name is the layer's name and the tensor's, as in a PyTorch state dict: "conv1.weight",
	// "bn1.running_mean".
	Name string
	// Shape is O×I×KH×KW for a convolution's weight, Out×In for a dense layer's, and one number for
	// what there is of each channel, or feature.
	Shape Shape
	Role  Role
	// FanIn is the number of inputs that each output of the layer sums over, and FanOut the number of
	// outputs that each input goes into, where weights are drawn by them. As PyTorch counts, the
	// latter are those of all filters, also of a convolution in groups.
	FanIn, FanOut int
	// Initial is how the values are drawn or set. Empty is PyTorch's default of convolutions and
	// dense layers: uniform within ±1/√FanIn.
	Initial Initial
	// Plain says that weight decay and penalties leave the tensor out where they are asked to: of
	// biases and of what normalisation scales and shifts with.
	Plain bool
	// NotNegative says that no value is below 0, of a variance.
	NotNegative bool
}

// Call is where a layer computes: one place in one graph, for batches of one size.
type Call struct {
	// Batch is the number of examples.
	Batch int
	// Inputs and Output are shapes of one example. In memory an image is C×H×W, and a batch
	// the examples one after the other.
	Inputs []Shape
	Output Shape
	// Tensors are the layer's.
	Tensors []TensorSpec
	// Training tells a training step from evaluation.
	Training bool
	// Random draws for a layer that needs chance; nil in evaluation.
	Random Random

	sync kernel.BatchSync // nil unless the batch is a part of one
}

// Random draws numbers that depend on the run's seed, the layer's name, the step and the place of
// an image in the step's batch alone, so that a run that goes on draws those of an unbroken one.
type Random interface {
	// Fill writes as many factors for each of so many images as factors holds: 0 with
	// probability p, 1/(1−p) otherwise.
	Fill(factors []float32, images int, p float64)
}

// Computation computes a layer for one batch after the other.
type Computation struct {
	// Forward writes every value of the output y. in holds the values of the inputs, then those of
	// the tensors.
	Forward func(y []float32, in [][]float32) error
	// Backward writes every value of the gradients d by what in holds, given dy, that of the output
	// of the last Forward. d[i] is nil where nobody asks for it. A layer that cannot be trained
	// through has none.
	Backward func(d [][]float32, dy, y []float32, in [][]float32) error
	// Update brings statistics up to date, once the step of the last Forward is done. tensors are
	// the layer's, to be written. It is nil of layers without, and in evaluation.
	Update func(tensors [][]float32)
}

// Exporter is a layer that can be written as ONNX operators.
type Exporter interface {
	// Export adds the operators that compute the layer in evaluation and returns the name of
	// the value that they give.
	Export(e *Export) (string, error)
}

// single returns the shape of the one input that a layer takes.
func single(inputs []Shape) (Shape, error) {
	if len(inputs) != 1 {
		return nil, fmt.Errorf("takes one input, not %d", len(inputs))
	}
	return inputs[0], nil
}

// image returns the shape of the one feature map that a layer takes.
func image(inputs []Shape) (Shape, error) {
	in, err := single(inputs)
	if err == nil && len(in) != 3 {
		err = needsImage(in)
	}
	return in, err
}

func needsImage(in Shape) error {
	return fmt.Errorf("takes a C×H×W feature map, not %v", in)
}

// unchanged is what a layer infers that learns nothing and gives the shape it takes.
func unchanged(layer Layer, inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	return Inferred{Layer: layer, Output: in}, err
}

// nameOf returns the name that the user gave the layer, empty if none.
func nameOf(layer Layer) (string, error) {
	field := reflect.Indirect(reflect.ValueOf(layer))
	if field.Kind() != reflect.Struct {
		return "", fmt.Errorf("(%s) is a %T; a layer is a struct", layer.Kind(), layer)
	}
	if field = field.FieldByName("Name"); field.Kind() != reflect.String {
		return "", fmt.Errorf("(%s) has no field Name, a string", layer.Kind())
	}
	return field.String(), nil
}

// named returns the layer with that name.
func named(layer Layer, name string) Layer {
	value := reflect.ValueOf(layer)
	copied := reflect.New(reflect.Indirect(value).Type())
	copied.Elem().Set(reflect.Indirect(value))
	copied.Elem().FieldByName("Name").SetString(name)
	if value.Kind() == reflect.Pointer {
		return copied.Interface().(Layer)
	}
	return copied.Elem().Interface().(Layer)
}

// prefixed is a layer whose made-up names do not begin with its kind.
type prefixed interface{ prefix() string }

func prefixOf(layer Layer) string {
	if p, ok := layer.(prefixed); ok {
		return p.prefix()
	}
	return strings.ToLower(layer.Kind())
}

var errNil = errors.New("is nil")
