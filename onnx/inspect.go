package onnx

import (
	"sort"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// Report describes a model.
type Report struct {
	Path            string
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
	// Parameters is the number of values in the main graph's initializers, and
	// ParameterBytes what they take in the file.
	Parameters     int64
	ParameterBytes int64
	// MultiplyAdds is the number of multiplications with an addition in
	// convolutions and matrix products, for one example (free dimensions count
	// as 1). MultiplyAddsPartial is true if a shape was not known, so that it is
	// a lower bound.
	MultiplyAdds        int64
	MultiplyAddsPartial bool
	Metadata            []MetadataEntry // sorted by key
	// Bytes is the length of the encoded model, ExternalBytes what Read loaded
	// beside it.
	Bytes         int64
	ExternalBytes int64
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

// NodeReport describes a node of the main graph.
type NodeReport struct {
	Name         string
	Operator     string // with its domain in front, unless it is ONNX's own
	Inputs       []Value
	Outputs      []Value
	Parameters   int64 // values in those initializers that no node before it uses
	MultiplyAdds int64
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
	}
	if report.Bytes == 0 {
		report.Bytes = int64(proto.Size(m.Proto))
	}
	for _, set := range m.Proto.GetOpsetImport() {
		domain := set.GetDomain()
		if domain == "" {
			domain = "ai.onnx"
		}
		report.Opsets = append(report.Opsets, Opset{domain, set.GetVersion()})
	}
	for _, entry := range m.Proto.GetMetadataProps() {
		report.Metadata = append(report.Metadata, MetadataEntry{entry.GetKey(), entry.GetValue()})
	}
	sort.SliceStable(report.Metadata, func(i, j int) bool { return report.Metadata[i].Key < report.Metadata[j].Key })

	found, err := analyze(m.Proto)
	if err != nil {
		report.Problem = err.Error()
	}
	report.addNodes(graph, found)
	return report
}

func (r *Report) addNodes(graph *onnxpb.GraphProto, found *analysis) {
	unused := make(map[string]int64)
	for _, tensor := range graph.GetInitializer() {
		elements, err := elementsOf(tensor.GetDims())
		if err != nil {
			continue // Problem says so
		}
		bytes, err := byteLength(tensor)
		if err != nil {
			bytes = 0
		}
		r.Parameters += elements
		r.ParameterBytes += bytes
		unused[tensor.GetName()] = elements
	}
	for i, node := range graph.GetNode() {
		line := NodeReport{Name: node.GetName(), Operator: node.GetOpType(), Checked: r.Problem == "" && !found.unchecked[i]}
		if domain := canonicalDomain(node.GetDomain()); domain != "" {
			line.Operator = domain + "." + line.Operator
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
		adds, known := multiplyAdds(node, line)
		line.MultiplyAdds = adds
		r.MultiplyAdds = saturatingAdd(r.MultiplyAdds, adds)
		r.MultiplyAddsPartial = r.MultiplyAddsPartial || !known
		r.Nodes = append(r.Nodes, line)
	}
}

// multiplyAdds counts for one example. known is false where a shape that is
// needed is not.
func multiplyAdds(node *onnxpb.NodeProto, line NodeReport) (count int64, known bool) {
	var perOutput []Dim
	switch line.Operator {
	case "Conv":
		if len(line.Inputs) < 2 || !line.Inputs[1].HasShape || len(line.Inputs[1].Dims) < 2 {
			return 0, false
		}
		perOutput = line.Inputs[1].Dims[1:]
	case "Gemm", "MatMul":
		if len(line.Inputs) < 2 || !line.Inputs[0].HasShape || len(line.Inputs[0].Dims) == 0 {
			return 0, false
		}
		dims := line.Inputs[0].Dims
		inner := dims[len(dims)-1]
		if attribute := findAttribute(node, "transA"); attribute.GetI() != 0 {
			inner = dims[0]
		}
		perOutput = []Dim{inner}
	default:
		return 0, true
	}
	if len(line.Outputs) == 0 || !line.Outputs[0].HasShape {
		return 0, false
	}
	count = 1
	for _, dim := range append(append([]Dim(nil), line.Outputs[0].Dims...), perOutput...) {
		if dim.Known() {
			count = saturatingMultiply(count, dim.Size)
		}
	}
	return count, true
}

const saturated = int64(1) << 62

func saturatingAdd(a, b int64) int64 { return min(saturated, a+b) }

func saturatingMultiply(a, b int64) int64 {
	if b > 0 && a > saturated/b {
		return saturated
	}
	return a * b
}
