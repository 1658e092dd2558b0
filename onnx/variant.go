package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// Form is how a model takes images and gives scores. The zero value leaves all as
// it is.
type Form struct {
	// Batch is the number of images of each run; 0 leaves it as it is, OpenBatch open.
	Batch int
	// Softmax has the model end in Softmax: it gives probabilities.
	Softmax bool
	// Bytes has the model take pixels as uint8 0…255, N×H×W×C, and scale them itself
	// as its training record says.
	Bytes bool
	// PixelScale and PixelOffset are the pixel rule of a model without a training record,
	// as TrainingRecord has it. A scale of 0 stands for pixels that are fed as they are.
	PixelScale, PixelOffset float64
	// PixelScales and PixelOffsets are that rule for each channel, as TrainingRecord has
	// them.
	PixelScales, PixelOffsets []float64
}

// OpenBatch is the Form.Batch of a model that takes any number of images.
const OpenBatch = -1

// Names of the values that Reform makes the model's own.
const (
	bytesName         = "pixels"
	probabilitiesName = "probabilities"
)

// Reform returns the model in another form. It has one input, images N×C×H×W or N×H×W×C
// or features N×F of float32, and one output, scores N×K. The model is one that passes
// Check; it shares nothing with the new one that either may change.
func Reform(m *Model, form Form) (*Model, error) {
	result := &Model{Proto: proto.CloneOf(m.Proto), path: m.path}
	fail := func(err error) (*Model, error) { return nil, fmt.Errorf("%s: %w", m.label(), err) }
	graph := result.Proto.GetGraph()
	inputs := result.Inputs()
	if len(inputs) != 1 || len(graph.GetOutput()) != 1 {
		return fail(
			fmt.Errorf(
				"it has %d inputs and %d outputs; a model of one each can be brought into another form",
				len(inputs), len(graph.GetOutput())))
	}
	if form.Batch != 0 {
		if err := setBatch(result, form.Batch); err != nil {
			return fail(err)
		}
	}
	if form.Softmax {
		if err := addSoftmax(result); err != nil {
			return fail(err)
		}
	}
	if form.Bytes {
		if err := takeBytes(result, form); err != nil {
			return fail(err)
		}
	}
	result.path = ""
	if err := result.Check(); err != nil {
		return fail(err)
	}
	return result, nil
}

// setBatch fixes the first dimension of input and output, or opens it.
func setBatch(m *Model, batch int) error {
	if batch < OpenBatch || batch > math.MaxInt32 {
		return fmt.Errorf("a batch of %d images; it is a number from 1 on, or open", batch)
	}
	graph := m.Proto.GetGraph()
	input, err := imageInput(m)
	if err != nil {
		return err
	}
	for _, value := range []*onnxpb.ValueInfoProto{input, graph.GetOutput()[0]} {
		dims := value.GetType().GetTensorType().GetShape().GetDim()
		if len(dims) == 0 {
			return fmt.Errorf("%q has no shape, and so no batch dimension", message.Shorten(value.GetName()))
		}
		first := &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}}
		if batch > 0 {
			first.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(batch)}
		}
		dims[0] = first
	}
	// What is declared of the values between may name the old batch.
	graph.ValueInfo = nil
	return nil
}

// imageInput returns the declaration of the only input.
func imageInput(m *Model) (*onnxpb.ValueInfoProto, error) {
	name := m.Inputs()[0].Name
	for _, input := range m.Proto.GetGraph().GetInput() {
		if input.GetName() == name {
			return input, nil
		}
	}
	return nil, errors.New("it has no input")
}

// addSoftmax appends Softmax, over the classes of each image.
func addSoftmax(m *Model) error {
	graph := m.Proto.GetGraph()
	output := graph.GetOutput()[0]
	if len(output.GetType().GetTensorType().GetShape().GetDim()) != 2 {
		return fmt.Errorf("its output %q is not N×classes; Softmax is over classes",
			message.Shorten(output.GetName()))
	}
	if operator := makerOf(graph, output.GetName()).GetOpType(); operator == "Softmax" ||
		operator == "LogSoftmax" {
		return fmt.Errorf("it ends in %s already", operator)
	}
	names := namesOf(graph)
	scores, probabilities := output.GetName(), names.fresh(probabilitiesName)
	graph.Node = append(graph.Node, message.NewNode(names.fresh("softmax"), "Softmax",
		[]string{scores}, probabilities, message.NewInteger("axis", 1)))
	output.Name = proto.String(probabilities)
	return nil
}

// makerOf returns the node that makes a value, nil where none does.
func makerOf(graph *onnxpb.GraphProto, value string) *onnxpb.NodeProto {
	for _, node := range graph.GetNode() {
		if slices.Contains(node.GetOutput(), value) {
			return node
		}
	}
	return nil
}

// takeBytes puts before the graph what makes of bytes what it took so far: Cast, the
// pixel formula, Transpose. The formula is computed as the data set's reader does,
// so that the same bytes give the same bits.
func takeBytes(m *Model, form Form) error {
	graph := m.Proto.GetGraph()
	input, err := imageInput(m)
	if err != nil {
		return err
	}
	image := input.GetName()
	tensor := input.GetType().GetTensorType()
	dims := tensor.GetShape().GetDim()
	if onnxpb.TensorProto_DataType(tensor.GetElemType()) != onnxpb.TensorProto_FLOAT ||
		len(dims) != 4 && len(dims) != 2 {
		return fmt.Errorf(
			"its input is %v; images N×C×H×W or N×H×W×C or features N×F of float32 can be replaced by bytes",
			m.Inputs()[0])
	}
	record, recorded, err := m.TrainingRecord()
	if err != nil {
		return err
	}
	if !recorded {
		scales, offsets := pixelTransform(form.PixelScale, form.PixelOffset, form.PixelScales,
			form.PixelOffsets)
		if err := record.SetPixelTransform(scales, offsets); err != nil {
			return err
		}
	}
	transposed := len(dims) == 4 && !channelsLast(dims)
	names := namesOf(graph)
	current := names.fresh(bytesName)
	b := prefix{graph: graph, names: names, current: current, last: image, wanted: 1}
	formula, err := pixelFormula(record, dims)
	if err != nil {
		return err
	}
	b.wanted += len(formula)
	if transposed {
		b.wanted++
	}
	b.add("Cast", "", nil, message.NewInteger("to", int64(onnxpb.TensorProto_FLOAT)))
	for _, step := range formula {
		b.add(step.operator, step.name, step.values)
	}
	if transposed {
		b.add("Transpose", "", nil, message.NewIntegers("perm", 0, 3, 1, 2))
		tensor.Shape.Dim = []*onnxpb.TensorShapeProto_Dimension{dims[0], dims[2], dims[3], dims[1]}
	}
	graph.Node = append(b.nodes, graph.Node...)
	input.Name = proto.String(current)
	tensor.ElemType = proto.Int32(int32(onnxpb.TensorProto_UINT8))
	if !recorded {
		return nil
	}
	// What is fed now are the pixels as they are.
	record.setPixelTransform([]float64{1}, []float64{0})
	return m.SetTrainingRecord(record)
}

// channelsLast reports whether the dimensions of an input are N×H×W×C: its last one is a
// number of channels that images have, and its second is none.
func channelsLast(dims []*onnxpb.TensorShapeProto_Dimension) bool {
	channels := func(i int) bool { c := dims[i].GetDimValue(); return c >= 1 && c <= 4 }
	return channels(3) && !channels(1)
}

// prefix is nodes that are put before a graph, one behind the other.
type prefix struct {
	graph   *onnxpb.GraphProto
	names   names
	nodes   []*onnxpb.NodeProto
	current string // what the nodes so far give
	last    string // what the last of the wanted nodes gives
	wanted  int
}

// add appends a node whose second input, where it has a name, is a constant: a scalar, or a
// vector along the last axis.
func (p *prefix) add(operator, constant string, values []float32,
	attributes ...*onnxpb.AttributeProto) {
	inputs := []string{p.current}
	if constant != "" {
		name := p.names.fresh(constant)
		var dims []int64
		if len(values) > 1 {
			dims = []int64{int64(len(values))}
		}
		p.graph.Initializer = append(p.graph.Initializer, rawTensor(name, onnxpb.TensorProto_FLOAT, dims,
			rawFloats(values...)))
		inputs = append(inputs, name)
	}
	name := p.names.fresh(bytesName + "." + nodeSuffix(operator))
	output := p.last
	if len(p.nodes)+1 < p.wanted {
		output = p.names.fresh(name + ".output")
	}
	p.nodes = append(p.nodes, message.NewNode(name, operator, inputs, output, attributes...))
	p.current = output
}

func nodeSuffix(operator string) string {
	return map[string]string{"Cast": "cast", "Div": "divide", "Sub": "subtract",
		"Transpose": "transpose"}[operator]
}

// VariantRecord says of which model a variant was made, and how. It is kept in the
// metadata, beside the training record.
type VariantRecord struct {
	// Variant names the precision and the form, such as "int8, batch 1".
	Variant string
	// SourceSHA256 is that of the model's file that the variant answers like, in hex.
	SourceSHA256 string
	// Calibration says what the ranges of an int8 model are from, empty for others.
	Calibration string
}

const (
	keyVariant     = "slipway.variant"
	keyVariantOf   = "slipway.variant_of"
	keyCalibration = "slipway.calibration"
)

// VariantRecord returns the record; ok is false if the model is no variant.
func (m *Model) VariantRecord() (record VariantRecord, ok bool) {
	metadata := m.Metadata()
	record = VariantRecord{metadata[keyVariant], metadata[keyVariantOf], metadata[keyCalibration]}
	return record, record.Variant != ""
}

// SetVariantRecord writes the record into the metadata. Other metadata stays.
func (m *Model) SetVariantRecord(record VariantRecord) error {
	metadata := m.Metadata()
	metadata[keyVariant], metadata[keyVariantOf] = record.Variant, record.SourceSHA256
	delete(metadata, keyCalibration)
	if record.Calibration != "" {
		metadata[keyCalibration] = record.Calibration
	}
	return m.SetMetadata(metadata)
}
