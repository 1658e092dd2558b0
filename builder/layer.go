package builder

import "fmt"

// Layer is one layer of a network: Conv2D, ReLU, MaxPool2D, AvgPool2D, Flatten,
// Dense, Dropout or Softmax. The set is closed, so that every lowering can be
// complete; Kinds lists it.
type Layer interface {
	// Kind is the layer's type name, such as "Conv2D".
	Kind() string

	// resolve returns the layer with its defaults filled in, the shape of its
	// output for one example of shape in, and the tensors it learns.
	resolve(in Shape) (resolved Layer, out Shape, parameters []Parameter, err error)
	// given is the name that the user gave, empty if none.
	given() string
	// prefix begins the name of a layer that was given none.
	prefix() string
}

// Parameter is one tensor that a layer learns.
type Parameter struct {
	// Name is the layer's name and the tensor's role, as in a PyTorch state
	// dict: "conv1.weight", "conv1.bias".
	Name string `json:"name"`
	// Shape is O×I×KH×KW for a convolution's weight, Out×In for a dense
	// layer's, and O or Out for a bias.
	Shape Shape
	// FanIn is the number of inputs that each output of the layer sums over.
	FanIn int
}

// Conv2D is a two-dimensional convolution (cross-correlation, as in PyTorch's
// Conv2d and ONNX's Conv) with a bias. It takes C×H×W and gives
// Filters×H'×W' with H' = ⌊(H + 2·padding − kernel) / stride⌋ + 1.
type Conv2D struct {
	Name    string `json:"name"`    // conv1, conv2, … if empty
	Filters int    `json:"filters"` // number of output channels, at least 1
	Kernel  Size   `json:"kernel"`  // at least 1×1
	Stride  Size   `json:"stride"`  // 1×1 if zero
	Padding Size   `json:"padding"` // zeros added on each side
}

// Kind implements Layer.
func (Conv2D) Kind() string     { return "Conv2D" }
func (l Conv2D) given() string  { return l.Name }
func (l Conv2D) prefix() string { return "conv" }

func (l Conv2D) resolve(in Shape) (Layer, Shape, []Parameter, error) {
	if len(in) != 3 {
		return nil, nil, nil, needsImage(in)
	}
	if l.Filters < 1 {
		return nil, nil, nil, fmt.Errorf("%d filters; at least 1 is needed", l.Filters)
	}
	if l.Stride.isZero() {
		l.Stride = Square(1)
	}
	out, err := windowed(Size{in[1], in[2]}, l.Kernel, l.Stride, l.Padding)
	if err != nil {
		return nil, nil, nil, err
	}
	weight := Shape{l.Filters, in[0], l.Kernel.Height, l.Kernel.Width}
	if err := weight.checkPositive(); err != nil {
		return nil, nil, nil, fmt.Errorf("weight: %w", err)
	}
	fanIn := in[0] * l.Kernel.Height * l.Kernel.Width
	return l, Shape{l.Filters, out.Height, out.Width}, []Parameter{
		{Name: "weight", Shape: weight, FanIn: fanIn},
		{Name: "bias", Shape: Shape{l.Filters}, FanIn: fanIn},
	}, nil
}

// ReLU is the rectifier max(x, 0), element by element, on any shape. NaN stays
// NaN.
type ReLU struct {
	Name string `json:"name"` // relu1, relu2, … if empty
}

// Kind implements Layer.
func (ReLU) Kind() string     { return "ReLU" }
func (l ReLU) given() string  { return l.Name }
func (l ReLU) prefix() string { return "relu" }

func (l ReLU) resolve(in Shape) (Layer, Shape, []Parameter, error) { return l, in, nil, nil }

// MaxPool2D takes the largest value of each window. Padding counts as −∞ and
// must be at most half the kernel; of equal values the first in reading order
// receives the gradient, as in PyTorch.
type MaxPool2D struct {
	Name    string `json:"name"`    // pool1, pool2, … if empty
	Kernel  Size   `json:"kernel"`  // at least 1×1
	Stride  Size   `json:"stride"`  // the kernel if zero
	Padding Size   `json:"padding"` // at most half the kernel
}

// Kind implements Layer.
func (MaxPool2D) Kind() string     { return "MaxPool2D" }
func (l MaxPool2D) given() string  { return l.Name }
func (l MaxPool2D) prefix() string { return "pool" }

func (l MaxPool2D) resolve(in Shape) (Layer, Shape, []Parameter, error) {
	out, err := resolvePool(in, l.Kernel, &l.Stride, l.Padding)
	return l, out, nil, err
}

// AvgPool2D takes the mean of each window. Padding counts as zeros that are
// part of the mean (PyTorch's default, ONNX's count_include_pad = 1), and must
// be at most half the kernel.
type AvgPool2D struct {
	Name    string `json:"name"`    // pool1, pool2, … if empty
	Kernel  Size   `json:"kernel"`  // at least 1×1
	Stride  Size   `json:"stride"`  // the kernel if zero
	Padding Size   `json:"padding"` // at most half the kernel
}

// Kind implements Layer.
func (AvgPool2D) Kind() string     { return "AvgPool2D" }
func (l AvgPool2D) given() string  { return l.Name }
func (l AvgPool2D) prefix() string { return "pool" }

func (l AvgPool2D) resolve(in Shape) (Layer, Shape, []Parameter, error) {
	out, err := resolvePool(in, l.Kernel, &l.Stride, l.Padding)
	return l, out, nil, err
}

func resolvePool(in Shape, kernel Size, stride *Size, padding Size) (Shape, error) {
	if len(in) != 3 {
		return nil, needsImage(in)
	}
	if stride.isZero() {
		*stride = kernel
	}
	out, err := windowed(Size{in[1], in[2]}, kernel, *stride, padding)
	if err != nil {
		return nil, err
	}
	if 2*padding.Height > kernel.Height || 2*padding.Width > kernel.Width {
		return nil, fmt.Errorf("padding %v is more than half the kernel %v, so that a window could lie in the padding alone", padding, kernel)
	}
	return Shape{in[0], out.Height, out.Width}, nil
}

// Flatten makes a vector of features of a C×H×W map, channel by channel and
// row by row (ONNX Flatten, axis 1).
type Flatten struct {
	Name string `json:"name"` // flatten1, … if empty
}

// Kind implements Layer.
func (Flatten) Kind() string     { return "Flatten" }
func (l Flatten) given() string  { return l.Name }
func (l Flatten) prefix() string { return "flatten" }

func (l Flatten) resolve(in Shape) (Layer, Shape, []Parameter, error) {
	return l, Shape{in.Elements()}, nil, nil
}

// Dense is the affine map y = x·Wᵀ + b on a vector of features (PyTorch's
// Linear, ONNX's Gemm with transB = 1).
type Dense struct {
	Name  string `json:"name"`  // fc1, fc2, … if empty
	Units int    `json:"units"` // number of output features, at least 1
}

// Kind implements Layer.
func (Dense) Kind() string     { return "Dense" }
func (l Dense) given() string  { return l.Name }
func (l Dense) prefix() string { return "fc" }

func (l Dense) resolve(in Shape) (Layer, Shape, []Parameter, error) {
	if len(in) != 1 {
		return nil, nil, nil, fmt.Errorf("takes a vector of features, not %v; put Flatten before it", in)
	}
	if l.Units < 1 {
		return nil, nil, nil, fmt.Errorf("%d units; at least 1 is needed", l.Units)
	}
	weight := Shape{l.Units, in[0]}
	if err := weight.checkPositive(); err != nil {
		return nil, nil, nil, fmt.Errorf("weight: %w", err)
	}
	return l, Shape{l.Units}, []Parameter{
		{Name: "weight", Shape: weight, FanIn: in[0]},
		{Name: "bias", Shape: Shape{l.Units}, FanIn: in[0]},
	}, nil
}

// Dropout zeroes each value with probability P while training and multiplies
// the others by 1/(1−P) (Srivastava et al., JMLR 15, 2014, in the inverted form
// that PyTorch uses). When evaluating, and in an exported graph, it is absent.
type Dropout struct {
	Name string  `json:"name"` // dropout1, … if empty
	P    float64 `json:"p"`    // probability of being zeroed, 0 ≤ P < 1
}

// Kind implements Layer.
func (Dropout) Kind() string     { return "Dropout" }
func (l Dropout) given() string  { return l.Name }
func (l Dropout) prefix() string { return "dropout" }

func (l Dropout) resolve(in Shape) (Layer, Shape, []Parameter, error) {
	if !(l.P >= 0 && l.P < 1) {
		return nil, nil, nil, fmt.Errorf("probability %v is outside 0 ≤ p < 1", l.P)
	}
	return l, in, nil, nil
}

// Softmax turns a vector of logits into probabilities, exp(xᵢ) / Σ exp(xⱼ). It
// may only come last. Training skips it: the cross-entropy is computed from the
// logits, which is stable where the logarithm of a probability is not.
type Softmax struct {
	Name string `json:"name"` // softmax1, … if empty
}

// Kind implements Layer.
func (Softmax) Kind() string     { return "Softmax" }
func (l Softmax) given() string  { return l.Name }
func (l Softmax) prefix() string { return "softmax" }

func (l Softmax) resolve(in Shape) (Layer, Shape, []Parameter, error) {
	if len(in) != 1 {
		return nil, nil, nil, fmt.Errorf("takes a vector of logits, not %v; put Flatten before it", in)
	}
	return l, in, nil, nil
}

func needsImage(in Shape) error {
	return fmt.Errorf("takes a C×H×W feature map, not %v", in)
}
