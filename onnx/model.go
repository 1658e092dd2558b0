package onnx

import (
	"slices"

	"slipway/internal/onnxgraph"
	"slipway/onnx/onnxpb"
)

// Model is an ONNX model. Its tensors are all inside it: Read loads external
// data.
type Model struct {
	// Proto is the message itself. Whoever changes it should run Check.
	Proto *onnxpb.ModelProto

	path          string // the file it was read from, empty if none
	content       []byte // the bytes that it was decoded from, in which its large tensors lie; nil if none do
	fileBytes     int64
	externalBytes int64
	notes         []string
	left          *File // in which Open has left the weights
	opened        *File // left, and also once Load has brought them
}

// Notes says what Read or Decode changed to make the model what its file means, such
// as the order of its nodes; none as a rule.
func (m *Model) Notes() []string { return slices.Clone(m.notes) }

// Path returns the file that the model was read from, empty if it was not.
func (m *Model) Path() string { return m.path }

// label is what errors begin with.
func (m *Model) label() string {
	if m.path != "" {
		return m.path
	}
	return "model"
}

// GraphName returns the name of the main graph.
func (m *Model) GraphName() string { return m.Proto.GetGraph().GetName() }

// IRVersion returns the version of the file format, 7 or 8 for models of FromNetwork.
func (m *Model) IRVersion() int64 { return m.Proto.GetIrVersion() }

// Opset returns the version of the domain's operators that the model imports, 0
// if it imports none. The ONNX operators' domain is "".
func (m *Model) Opset(domain string) int64 {
	for _, set := range m.Proto.GetOpsetImport() {
		if onnxgraph.Domain(set.GetDomain()) == onnxgraph.Domain(domain) {
			return set.GetVersion()
		}
	}
	return 0
}

// Producer returns the name and the version of the program that made the model.
func (m *Model) Producer() (name, version string) {
	return m.Proto.GetProducerName(), m.Proto.GetProducerVersion()
}

// Inputs returns the values that a run must be given: the graph's inputs without
// those that have an initializer as their default.
func (m *Model) Inputs() []Value {
	graph := m.Proto.GetGraph()
	defaults := make(map[string]bool)
	for _, tensor := range graph.GetInitializer() {
		defaults[tensor.GetName()] = true
	}
	for _, tensor := range graph.GetSparseInitializer() {
		defaults[tensor.GetValues().GetName()] = true
	}
	var values []Value
	for _, info := range graph.GetInput() {
		if !defaults[info.GetName()] {
			values = append(values, valueOf(info))
		}
	}
	return values
}

// Outputs returns the values that a run gives.
func (m *Model) Outputs() []Value {
	var values []Value
	for _, info := range m.Proto.GetGraph().GetOutput() {
		values = append(values, valueOf(info))
	}
	return values
}

// Initializer returns the main graph's dense initializer of that name.
func (m *Model) Initializer(name string) (*onnxpb.TensorProto, bool) {
	for _, tensor := range m.Proto.GetGraph().GetInitializer() {
		if tensor.GetName() == name {
			return tensor, true
		}
	}
	return nil, false
}
