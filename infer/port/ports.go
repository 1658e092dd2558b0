package port

import (
	"fmt"
	"slices"
	"strings"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// A Layout is how a model wants an image laid out.
type Layout int

const (
	ChannelsFirst Layout = iota // N×C×H×W
	ChannelsLast                // N×H×W×C
	Flattened                   // N×features, the features in the order C, H, W
)

// Ports are a model's image input and score output.
type Ports struct {
	Input     string
	InputType onnxpb.TensorProto_DataType // one of inputTypes
	InputDims []int                       // N first; Unknown (-1) where the model leaves it open
	ScorePort
}

// Unknown is a dimension that the model leaves open or names by a parameter.
const Unknown = -1

// InputTypes are the element types that pixels are fed as. Float16 rounds them to the
// nearest number, to the even one of two equally near.
func InputTypes() []onnxpb.TensorProto_DataType {
	return []onnxpb.TensorProto_DataType{
		onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_UINT8, onnxpb.TensorProto_FLOAT16,
		onnxpb.TensorProto_DOUBLE,
	}
}

// FixedBatch is the model's fixed batch size, Unknown when it takes any.
func (p Ports) FixedBatch() int { return p.InputDims[0] }

// Find chooses the input and the output of a model. output names the score
// output and may be empty when only one output can be it.
func Find(model *onnx.Model, output string) (Ports, error) {
	input, err := imageInput(model.Proto.GetGraph())
	if err != nil {
		return Ports{}, err
	}
	p := Ports{
		Input:     input.GetName(),
		InputType: onnxpb.TensorProto_DataType(input.GetType().GetTensorType().GetElemType()),
		InputDims: dims(input),
	}
	p.ScorePort, err = findScores(model, output)
	return p, err
}

func imageInput(graph *onnxpb.GraphProto) (*onnxpb.ValueInfoProto, error) {
	// Before IR version 4 a graph's weights were listed among its inputs.
	weights := make(map[string]bool)
	for _, initializer := range graph.GetInitializer() {
		weights[initializer.GetName()] = true
	}
	for _, initializer := range graph.GetSparseInitializer() {
		weights[initializer.GetValues().GetName()] = true
	}
	var inputs []*onnxpb.ValueInfoProto
	for _, input := range graph.GetInput() {
		if !weights[input.GetName()] {
			inputs = append(inputs, input)
		}
	}
	if len(inputs) != 1 {
		return nil, fmt.Errorf(
			"the model takes %d inputs%s: only a classifier with one image input can be run", len(inputs),
			describeAll(inputs))
	}
	input := inputs[0]
	tensor := input.GetType().GetTensorType()
	if tensor == nil {
		return nil, fmt.Errorf(
			"input %s is no tensor: export the model with one float32 tensor as its input", describe(input))
	}
	if !slices.Contains(InputTypes(), onnxpb.TensorProto_DataType(tensor.GetElemType())) {
		return nil, fmt.Errorf(
			"input %s: images are fed as float32, float16, float64 or uint8, export the model with one of these",
			describe(input))
	}
	if tensor.GetShape() == nil {
		return nil, fmt.Errorf("input %s has no shape: give it one, N×C×H×W, N×H×W×C or N×features",
			describe(input))
	}
	if rank := len(tensor.GetShape().GetDim()); rank < 2 || rank > 4 {
		return nil, fmt.Errorf(
			"input %s is no batch of images: N×C×H×W, N×H×W×C, N×H×W or N×features is wanted",
			describe(input))
	}
	if batch, ok := tensor.GetShape().
		GetDim()[0].GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue); ok && batch.DimValue == 0 {
		return nil, fmt.Errorf(
			"input %q takes batches of 0 images, which is none: export the model with an open batch dimension, or one of 1 or more",
			input.GetName())
	}
	return input, nil
}

// LayoutOf checks a batch and decides how its images go into the input of a model,
// whose file errors name.
func (p Ports) LayoutOf(batch Batch, model string) (Layout, error) {
	if err := batch.Check(); err != nil {
		return 0, err
	}
	l, err := p.Fit(batch.C, batch.H, batch.W)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", model, err)
	}
	return l, nil
}

// Fit decides how images of C×H×W pixels go into the input.
func (p Ports) Fit(c, h, w int) (Layout, error) {
	switch d := p.InputDims[1:]; len(d) {
	case 3:
		if matches(d, c, h, w) {
			return ChannelsFirst, nil
		}
		if matches(d, h, w, c) {
			return ChannelsLast, nil
		}
	case 2: // N×H×W: grey images without a channel axis
		if c == 1 && matches(d, h, w) {
			return ChannelsFirst, nil
		}
	case 1:
		if matches(d, c*h*w) {
			return Flattened, nil
		}
	}
	return 0, fmt.Errorf(
		"wrong input shape: the model's input %q is %s, the data's images are %d×%d×%d (C×H×W)",
		p.Input, FormatDims(p.InputDims), c, h, w)
}

// Shape is the tensor's shape for n images of C×H×W in a layout that fits.
func (p Ports) Shape(l Layout, n, c, h, w int) []int64 {
	var shape []int64
	for _, size := range p.AppendShape(nil, l, Batch{N: n, C: c, H: h, W: w}) {
		shape = append(shape, int64(size))
	}
	return shape
}

// AppendShape appends the tensor's shape for a batch in a layout that fits.
func (p Ports) AppendShape(shape []int, l Layout, b Batch) []int {
	switch {
	case l == ChannelsLast:
		return append(shape, b.N, b.H, b.W, b.C)
	case l == Flattened:
		return append(shape, b.N, b.C*b.H*b.W)
	case len(p.InputDims) == 3:
		return append(shape, b.N, b.H, b.W)
	}
	return append(shape, b.N, b.C, b.H, b.W)
}

// Size returns the height and the width of the images that the input takes, 0 where it leaves
// them open or does not tell them apart; channels is their number, as Channels returns it.
func (p Ports) Size(channels int) (height, width int) {
	var size []int
	switch d := p.InputDims[1:]; {
	case len(d) == 3 && channels > 0 && d[0] == channels:
		size = d[1:]
	case len(d) == 3 && channels > 0 && d[2] == channels:
		size = d[:2]
	case len(d) == 2:
		size = d
	default:
		return 0, 0
	}
	return max(size[0], 0), max(size[1], 0)
}

// ToChannelsLast returns N×C×H×W pixels as N×H×W×C.
func ToChannelsLast(b Batch) []float32 {
	out := make([]float32, len(b.Pixels))
	toChannelsLast(out, b)
	return out
}

func toChannelsLast(out []float32, b Batch) {
	area := b.H * b.W
	for n := range b.N {
		image := b.Pixels[n*b.C*area : (n+1)*b.C*area]
		target := out[n*b.C*area : (n+1)*b.C*area]
		for c := range b.C {
			for i := range area {
				target[i*b.C+c] = image[c*area+i]
			}
		}
	}
}

func matches(dims []int, want ...int) bool {
	for i, d := range dims {
		if d != Unknown && d != want[i] {
			return false
		}
	}
	return true
}

func dims(value *onnxpb.ValueInfoProto) []int {
	var out []int
	for _, d := range value.GetType().GetTensorType().GetShape().GetDim() {
		size, ok := d.GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue)
		// Some exporters write 0 or -1 for an open dimension.
		if ok && size.DimValue > 0 && size.DimValue <= 1<<31-1 {
			out = append(out, int(size.DimValue))
		} else {
			out = append(out, Unknown)
		}
	}
	return out
}

func describe(value *onnxpb.ValueInfoProto) string {
	switch t := value.GetType(); {
	case t.GetTensorType() != nil:
		element := ElementName(onnxpb.TensorProto_DataType(t.GetTensorType().GetElemType()))
		if t.GetTensorType().GetShape() == nil {
			return fmt.Sprintf("%q (%s)", value.GetName(), element)
		}
		return fmt.Sprintf("%q (%s %s)", value.GetName(), element, FormatDims(dims(value)))
	case t.GetSequenceType() != nil:
		return fmt.Sprintf("%q (a sequence)", value.GetName())
	case t.GetMapType() != nil:
		return fmt.Sprintf("%q (a map)", value.GetName())
	}
	return fmt.Sprintf("%q", value.GetName())
}

// ElementName writes an element type as ONNX calls it.
func ElementName(t onnxpb.TensorProto_DataType) string { return strings.ToLower(t.String()) }

func describeAll(values []*onnxpb.ValueInfoProto) string {
	var b strings.Builder
	for i, value := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(" " + describe(value))
	}
	return b.String()
}

// FormatDims writes a shape such as N×1×28×28: N for an open batch dimension, ?
// for another open one.
func FormatDims(dims []int) string {
	if len(dims) == 0 {
		return "a scalar"
	}
	parts := make([]string, len(dims))
	for i, d := range dims {
		switch {
		case d != Unknown:
			parts[i] = fmt.Sprint(d)
		case i == 0:
			parts[i] = "N"
		default:
			parts[i] = "?"
		}
	}
	return strings.Join(parts, "×")
}
