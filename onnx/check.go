package onnx

import (
	"errors"
	"fmt"

	"slipway/internal/onnxgraph"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

const (
	minIRVersion = 3  // the first with opset_import
	maxIRVersion = 13 // of the definition in package onnxpb
	// maxOpset is the newest version of ONNX's own operators in that release.
	maxOpset = 27
)

// Check reports the first way in which the model is invalid, with its place and
// a remedy: versions outside IR 3…13 and opset 1…27, dangling, duplicate or
// unsorted names, cycles, tensors that contradict themselves, recursive
// functions, attributes of a wrong type or out of range, and shapes that
// contradict each other. It is at least as strict as ONNX's own checker where it
// knows an operator. A model that
// passes holds no attribute value known to end a runtime's process, and no sizes
// that make a node fill more than 2^28 elements.
func (m *Model) Check() error {
	if m == nil || m.Proto == nil {
		return errors.New("check: there is no model")
	}
	if m.left != nil {
		return fmt.Errorf("check %s: %w", m.label(), errLeft)
	}
	if _, err := analyze(m.Proto); err != nil {
		return fmt.Errorf("%s: %w", m.label(), err)
	}
	return nil
}

// analysis is what a walk over the model found out.
type analysis struct {
	// values has the main graph's values by name, as far as they are known.
	values map[string]Value
	// unchecked has, for nodes of the main graph that only the general rules
	// were applied to, their index.
	unchecked map[int]bool
}

// analyze checks the model and infers the shapes of its main graph. On an error
// the analysis has what was known until then.
func analyze(model *onnxpb.ModelProto) (*analysis, error) {
	result := &analysis{values: make(map[string]Value), unchecked: make(map[int]bool)}
	if err := checkHeader(model); err != nil {
		return result, err
	}
	opsets, err := importsOf(model.GetOpsetImport())
	if err != nil {
		return result, err
	}
	err = eachTensor(model, func(place string, tensor *onnxpb.TensorProto) error {
		if len(tensor.GetDims()) > message.MaxRank {
			return fmt.Errorf("%s, tensor %q: it has %d dimensions; at most %d are allowed", place,
				message.Shorten(tensor.GetName()), len(tensor.GetDims()), message.MaxRank)
		}
		if err := message.CheckTensor(tensor); err != nil {
			return fmt.Errorf("%s, tensor %q: %w", place, message.Shorten(tensor.GetName()), err)
		}
		return nil
	})
	if err != nil {
		return result, err
	}
	operators := knownOperators()
	functions, err := checkFunctions(model, operators)
	if err != nil {
		return result, err
	}
	c := &checker{opsets: opsets, operators: operators, functions: functions, result: result}
	if err := c.graph("", model.GetGraph(), nil); err != nil {
		return result, err
	}
	return result, functions.checkExpansion(model.GetGraph())
}

func checkHeader(model *onnxpb.ModelProto) error {
	switch version := model.GetIrVersion(); {
	case model.IrVersion == nil:
		return errors.New("it has no ir_version; it is not an ONNX model or damaged")
	case version < minIRVersion:
		return fmt.Errorf(
			"its IR version is %d; at least %d is needed (export it again with a newer tool)", version,
			minIRVersion)
	case version > maxIRVersion:
		return fmt.Errorf(
			"its IR version is %d, newer than %d, the newest that this program reads (export it with an older opset)",
			version, maxIRVersion)
	}
	keys := make(map[string]bool)
	for _, entry := range model.GetMetadataProps() {
		if keys[entry.GetKey()] {
			return fmt.Errorf("the metadata key %q is given twice", message.Shorten(entry.GetKey()))
		}
		keys[entry.GetKey()] = true
	}
	if model.GetGraph() == nil {
		return errors.New("it holds no graph")
	}
	if len(model.GetGraph().GetOutput()) == 0 {
		return errors.New("its graph has no output; there is nothing to compute")
	}
	return nil
}

// importsOf returns the version of each domain. A domain may be named twice where the
// version is the same.
func importsOf(imports []*onnxpb.OperatorSetIdProto) (map[string]int64, error) {
	opsets := make(map[string]int64)
	for _, set := range imports {
		domain := onnxgraph.Domain(set.GetDomain())
		// The same line twice says nothing new: some converters write it so.
		if before, twice := opsets[domain]; twice && before != set.GetVersion() {
			return nil, fmt.Errorf(
				"opset_import names the domain %q twice, with the versions %d and %d; keep the one that the nodes are of",
				message.Shorten(domain), before, set.GetVersion())
		}
		if set.GetVersion() < 1 {
			return nil, fmt.Errorf("opset_import: version %d of the domain %q; versions begin at 1",
				set.GetVersion(), message.Shorten(domain))
		}
		if domain == "" && set.GetVersion() > maxOpset {
			return nil, fmt.Errorf(
				"its opset is %d, newer than %d, the newest that this program knows (export it with opset 13)",
				set.GetVersion(), maxOpset)
		}
		opsets[domain] = set.GetVersion()
	}
	if len(opsets) == 0 {
		return nil, errors.New(
			"it imports no opset; opset_import must name the versions of the operators it uses")
	}
	return opsets, nil
}

// scope holds the names that a node may use: those of its own graph so far, and
// of the graphs around it.
type scope struct {
	outer     *scope
	values    map[string]Value
	constants map[string]*onnxpb.TensorProto
}

func newScope(outer *scope) *scope {
	return &scope{outer: outer, values: make(map[string]Value),
		constants: make(map[string]*onnxpb.TensorProto)}
}

func (s *scope) value(name string) (Value, bool) {
	for ; s != nil; s = s.outer {
		if value, ok := s.values[name]; ok {
			return value, true
		}
	}
	return Value{}, false
}

func (s *scope) constant(name string) *onnxpb.TensorProto {
	for ; s != nil; s = s.outer {
		if _, ok := s.values[name]; ok {
			return s.constants[name]
		}
	}
	return nil
}

// define adds a name, which must be new in its graph.
func (s *scope) define(value Value, what string) error {
	if value.Name == "" {
		return fmt.Errorf("%s has no name", what)
	}
	if _, taken := s.values[value.Name]; taken {
		return fmt.Errorf(
			"%s is called %q, but something before it is called so too; names in a graph are unique", what,
			message.Shorten(value.Name))
	}
	s.values[value.Name] = value
	return nil
}

type checker struct {
	opsets     map[string]int64
	operators  map[string]operator
	functions  *functionTable
	result     *analysis
	inFunction bool    // attributes may refer to the function's
	filled     float64 // elements that nodes make by sizes in the file, of no input
}

// graph checks a graph; place is empty for the main one, else it ends in ", ".
func (c *checker) graph(place string, graph *onnxpb.GraphProto, outer *scope) error {
	names := newScope(outer)
	if outer == nil && !c.inFunction {
		names.values = c.result.values
	}
	inputs := make(map[string]bool)
	for i, info := range graph.GetInput() {
		value, err := checkValue(info)
		if err == nil {
			err = names.define(value, fmt.Sprintf("input %d", i))
		}
		if err != nil {
			return fmt.Errorf("%sgraph input %q: %w", place, message.Shorten(info.GetName()), err)
		}
		inputs[info.GetName()] = true
	}
	if err := defineInitializers(graph, names, inputs); err != nil {
		return fmt.Errorf("%s%w", place, err)
	}
	declared, err := declaredValues(graph)
	if err != nil {
		return fmt.Errorf("%s%w", place, err)
	}
	if err := c.nodes(place, graph.GetNode(), names, declared); err != nil {
		return err
	}
	outputs := make(map[string]bool)
	for _, info := range graph.GetOutput() {
		name := info.GetName()
		if outputs[name] {
			return fmt.Errorf("%sgraph output %q is given twice; outputs are unique", place,
				message.Shorten(name))
		}
		outputs[name] = true
		made, ok := names.value(name)
		if !ok {
			return fmt.Errorf("%sgraph output %q is made by no node; name a value that one makes", place,
				message.Shorten(name))
		}
		if _, err := merge(made, declared[name]); err != nil {
			return fmt.Errorf("%sgraph output %q: %w", place, message.Shorten(name), err)
		}
	}
	return nil
}

func defineInitializers(graph *onnxpb.GraphProto, names *scope, inputs map[string]bool) error {
	seen := make(map[string]bool)
	define := func(value Value) error {
		if value.Name == "" {
			return errors.New("an initializer has no name; nothing can refer to it")
		}
		if seen[value.Name] {
			return fmt.Errorf("the initializer %q is given twice; names are unique",
				message.Shorten(value.Name))
		}
		seen[value.Name] = true
		if inputs[value.Name] {
			// The initializer is the input's default.
			merged, err := merge(names.values[value.Name], value)
			if err != nil {
				return fmt.Errorf("the initializer %q of an input: %w", message.Shorten(value.Name), err)
			}
			names.values[value.Name] = merged
			return nil
		}
		return names.define(value, "an initializer")
	}
	for _, tensor := range graph.GetInitializer() {
		if err := define(tensorValue(tensor)); err != nil {
			return err
		}
		if !inputs[tensor.GetName()] {
			names.constants[tensor.GetName()] = tensor
		}
	}
	for _, sparse := range graph.GetSparseInitializer() {
		values := sparse.GetValues()
		if values == nil || sparse.GetIndices() == nil {
			return errors.New("a sparse initializer lacks its values or its indices")
		}
		if _, err := message.Elements(sparse.GetDims()); err != nil ||
			len(sparse.GetDims()) > message.MaxRank {
			return fmt.Errorf("the sparse initializer %q has the shape %s, which is not one",
				message.Shorten(values.GetName()), message.Shorten(fmt.Sprint(sparse.GetDims())))
		}
		value := tensorValue(values)
		value.Dims = fixedDims(sparse.GetDims())
		if err := define(value); err != nil {
			return err
		}
	}
	return nil
}

func tensorValue(tensor *onnxpb.TensorProto) Value {
	return Value{
		Name:     tensor.GetName(),
		Type:     onnxpb.TensorProto_DataType(tensor.GetDataType()),
		Dims:     fixedDims(tensor.GetDims()),
		HasShape: true,
	}
}

func fixedDims(sizes []int64) []Dim {
	dims := make([]Dim, len(sizes))
	for i, size := range sizes {
		dims[i] = fixed(size)
	}
	return dims
}

// declaredValues returns what value_info and the outputs say.
func declaredValues(graph *onnxpb.GraphProto) (map[string]Value, error) {
	declared := make(map[string]Value)
	for _, list := range [][]*onnxpb.ValueInfoProto{graph.GetValueInfo(), graph.GetOutput()} {
		for _, info := range list {
			value, err := checkValue(info)
			if err != nil {
				return nil, fmt.Errorf("the declaration of %q: %w", message.Shorten(info.GetName()), err)
			}
			if before, ok := declared[value.Name]; ok {
				if value, err = merge(before, value); err != nil {
					return nil, fmt.Errorf("the two declarations of %q: %w", message.Shorten(info.GetName()), err)
				}
			}
			declared[value.Name] = value
		}
	}
	return declared, nil
}

func checkValue(info *onnxpb.ValueInfoProto) (Value, error) {
	if info.GetName() == "" {
		return Value{}, errors.New("it has no name")
	}
	tensor := info.GetType().GetTensorType()
	if tensor == nil {
		return Value{Name: info.GetName()}, nil
	}
	if number := tensor.GetElemType(); number != 0 &&
		!message.IsElementType(onnxpb.TensorProto_DataType(number)) {
		return Value{}, fmt.Errorf("its element type is %s", message.TypeLabel(number))
	}
	dims := tensor.GetShape().GetDim()
	if len(dims) > message.MaxRank {
		return Value{}, fmt.Errorf("it has %d dimensions; at most %d are allowed", len(dims),
			message.MaxRank)
	}
	for i, dim := range dims {
		if size, ok := dim.GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue); ok &&
			(size.DimValue < -1 || size.DimValue > message.MaxElements) {
			return Value{}, fmt.Errorf(
				"its dimension %d is %d; use a number from 0 to 2^40, or a name where it is free", i,
				size.DimValue)
		}
	}
	return valueOf(info), nil
}

// merge joins two statements about one value; they may not contradict each other.
func merge(a, b Value) (Value, error) {
	if a.Type == onnxpb.TensorProto_UNDEFINED {
		a.Type = b.Type
	} else if b.Type != onnxpb.TensorProto_UNDEFINED && a.Type != b.Type {
		return a, fmt.Errorf("it is declared as %v but computed as %v", b, a)
	}
	if !b.HasShape {
		return a, nil
	}
	if !a.HasShape {
		a.HasShape, a.Dims = true, b.Dims
		return a, nil
	}
	if len(a.Dims) != len(b.Dims) {
		return a, fmt.Errorf("it is declared as %v but computed as %v, of another number of dimensions",
			b, a)
	}
	var dims []Dim
	for i, dim := range a.Dims {
		if dim.Known() && b.Dims[i].Known() && dim.Size != b.Dims[i].Size {
			return a, fmt.Errorf("it is declared as %v but computed as %v", b, a)
		}
		if !dim.Known() && (b.Dims[i].Known() || dim.Name == "") {
			if dims == nil {
				dims = append([]Dim(nil), a.Dims...)
			}
			dims[i] = b.Dims[i]
		}
	}
	if dims != nil {
		a.Dims = dims
	}
	return a, nil
}
