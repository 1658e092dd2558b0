package onnx

import (
	"cmp"
	"slices"
	"sort"

	"google.golang.org/protobuf/proto"

	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// Report describes a model.
type Report struct {
	Path            string
	DocString       string
	IRVersion       int64
	Opsets          []Opset
	Producer        string
	ProducerVersion string
	ModelVersion    int64
	GraphName       string
	Inputs          []Value
	Outputs         []Value
	Nodes           []NodeReport
	Functions       int // model-local functions
	// Initializers are the main graph's, by element type, the type with the most
	// bytes first.
	Initializers []InitializerReport
	// Parameters is the number of numbers in the main graph's initializers and in
	// the tensors of its Constant nodes, and ParameterBytes what they take in the
	// file. Tensors of int64, bool and string are left out: they are shapes, axes
	// and labels.
	Parameters     int64
	ParameterBytes int64
	// Batch is the first dimension of the first input, -1 where it is free or
	// there is none.
	Batch int64
	// MultiplyAdds is the number of multiplications with an addition in
	// convolutions and matrix products, for one example where the batch is free,
	// else for one run. A convolution has output elements × channels of a group ×
	// kernel elements of them, a product output elements × inner dimension.
	// Products with the zeros of a padding count; biases, activations, pooling
	// and normalisation do not. MultiplyAddsPartial is true where a shape was not
	// known, or an operator that is not counted here has multiplications of its
	// own, so that it is a lower bound.
	MultiplyAdds        int64
	MultiplyAddsPartial bool
	Metadata            []MetadataEntry // sorted by key
	// Bytes is the length of the encoded model, ExternalBytes what Read loaded
	// beside it.
	Bytes         int64
	ExternalBytes int64
	// Notes are the model's: what was changed while it was read.
	Notes []string
	// Problem is what Check says, empty if the model passes.
	Problem string
}

// Opset is a domain of operators and the version of it that a model imports.
type Opset struct {
	Domain  string // "ai.onnx" for ONNX's own
	Version int64
}

// MetadataEntry is one of a model's metadata_props.
type MetadataEntry struct{ Key, Value string }

// InitializerReport sums up the initializers of one element type.
type InitializerReport struct {
	Type     string // as ONNX calls it: float, int8
	Tensors  int
	Elements int64
	Bytes    int64 // 0 for strings
}

// NodeReport describes a node of the main graph.
type NodeReport struct {
	Name         string
	Operator     string // with its domain in front, unless it is ONNX's own
	Attributes   []AttributeReport
	Inputs       []Value
	Outputs      []Value
	Parameters   int64 // of its Constant or those initializers that no node before it uses; counted as in Report
	MultiplyAdds int64 // counted as in Report
	// Checked is false where Check holds the node only against the rules for
	// every operator.
	Checked bool
}

// Inspect describes a model, valid or not.
func Inspect(m *Model) Report {
	if m == nil || m.Proto == nil {
		return Report{Problem: "there is no model"}
	}
	graph := m.Proto.GetGraph()
	report := Report{
		Path:            m.path,
		DocString:       m.Proto.GetDocString(),
		Batch:           -1,
		IRVersion:       m.Proto.GetIrVersion(),
		Producer:        m.Proto.GetProducerName(),
		ProducerVersion: m.Proto.GetProducerVersion(),
		ModelVersion:    m.Proto.GetModelVersion(),
		GraphName:       graph.GetName(),
		Inputs:          m.Inputs(),
		Outputs:         m.Outputs(),
		Functions:       len(m.Proto.GetFunctions()),
		Bytes:           m.fileBytes,
		ExternalBytes:   m.externalBytes,
		Notes:           m.Notes(),
	}
	if inputs := report.Inputs; len(inputs) > 0 && inputs[0].HasShape && len(inputs[0].Dims) > 0 {
		report.Batch = inputs[0].Dims[0].Size
	}
	if report.Bytes == 0 {
		report.Bytes = int64(proto.Size(m.Proto))
	}
	opsets := make(map[Opset]bool)
	for _, set := range m.Proto.GetOpsetImport() {
		domain := set.GetDomain()
		if domain == "" {
			domain = "ai.onnx"
		}
		if opset := (Opset{domain, set.GetVersion()}); !opsets[opset] {
			opsets[opset] = true
			report.Opsets = append(report.Opsets, opset)
		}
	}
	for _, entry := range m.Proto.GetMetadataProps() {
		report.Metadata = append(report.Metadata, MetadataEntry{entry.GetKey(), entry.GetValue()})
	}
	sort.SliceStable(report.Metadata, func(i, j int) bool {
		return report.Metadata[i].Key < report.Metadata[j].Key
	})

	found, err := analyze(m.Proto)
	if err != nil {
		report.Problem = err.Error()
	}
	report.addNodes(graph, found)
	return report
}

// isParameter tells numbers that a network may have learned from shapes, axes
// and labels. int32 is what biases are quantised to.
func isParameter(elementType int32) bool {
	switch onnxpb.TensorProto_DataType(elementType) {
	case onnxpb.TensorProto_INT64, onnxpb.TensorProto_BOOL, onnxpb.TensorProto_STRING:
		return false
	}
	return true
}

// addParameters counts a tensor and returns its number of parameters.
func (r *Report) addParameters(tensor *onnxpb.TensorProto) int64 {
	elements, err := message.Elements(tensor.GetDims())
	if err != nil || !isParameter(tensor.GetDataType()) {
		return 0 // Problem says so
	}
	if bytes, err := message.ByteLength(tensor); err == nil {
		r.ParameterBytes += bytes
	}
	r.Parameters += elements
	return elements
}

// addInitializers counts the main graph's initializers and returns the parameters
// of each, by name.
func (r *Report) addInitializers(graph *onnxpb.GraphProto) map[string]int64 {
	parameters := make(map[string]int64)
	types := make(map[string]*InitializerReport)
	for _, tensor := range graph.GetInitializer() {
		name := message.TypeLabel(tensor.GetDataType())
		line := types[name]
		if line == nil {
			line = &InitializerReport{Type: name}
			types[name] = line
		}
		line.Tensors++
		if elements, err := message.Elements(tensor.GetDims()); err == nil {
			line.Elements += elements
		}
		if bytes, err := message.ByteLength(tensor); err == nil {
			line.Bytes += bytes
		}
		parameters[tensor.GetName()] = r.addParameters(tensor)
	}
	for _, line := range types {
		r.Initializers = append(r.Initializers, *line)
	}
	slices.SortFunc(r.Initializers, func(a, b InitializerReport) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
	return parameters
}

func (r *Report) addNodes(graph *onnxpb.GraphProto, found *analysis) {
	unused := r.addInitializers(graph)
	for i, node := range graph.GetNode() {
		line := NodeReport{Name: node.GetName(), Operator: node.GetOpType(), Checked: r.Problem == "" &&
			!found.unchecked[i]}
		if domain := onnxgraph.Domain(node.GetDomain()); domain != "" {
			line.Operator = domain + "." + line.Operator
		}
		for _, attribute := range node.GetAttribute() {
			line.Attributes = append(line.Attributes,
				AttributeReport{attribute.GetName(), attributeText(attribute)})
		}
		for _, name := range node.GetInput() {
			value := found.values[name]
			value.Name = name
			line.Inputs = append(line.Inputs, value)
			line.Parameters += unused[name]
			delete(unused, name)
		}
		for _, name := range node.GetOutput() {
			value := found.values[name]
			value.Name = name
			line.Outputs = append(line.Outputs, value)
		}
		if line.Operator == "Constant" {
			if tensor := constantOf(node); tensor != nil {
				line.Parameters = r.addParameters(tensor)
			}
		}
		adds, known := multiplyAdds(node, line)
		line.MultiplyAdds = adds
		r.MultiplyAdds = saturatingAdd(r.MultiplyAdds, adds)
		r.MultiplyAddsPartial = r.MultiplyAddsPartial || !known
		r.Nodes = append(r.Nodes, line)
	}
}
