package native_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/native"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// operatorCase is one use of an operator.
type operatorCase struct {
	operator   string
	opset      int64
	attributes []*onnxpb.AttributeProto
	inputs     []*native.Tensor // fed
	constants  []*native.Tensor // initializers, the inputs after those
	// bools says which inputs are made bools, and castOut that the output is of bools
	// or small integers: both go through Cast.
	bools   []int
	castOut bool
	// flat makes the output a vector: the binding knows no scalars. For the same
	// reason no scalar is fed.
	flat bool
	// unused says that the input is not the operator's: the binding runs no model
	// without one.
	unused  bool
	outputs int
}

func value(name string, t onnxpb.TensorProto_DataType, shape []int) *onnxpb.ValueInfoProto {
	tensor := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(t))}
	if shape != nil || t != onnxpb.TensorProto_FLOAT {
		tensor.Shape = &onnxpb.TensorShapeProto{}
		for _, d := range shape {
			tensor.Shape.Dim = append(tensor.Shape.Dim,
				&onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}})
		}
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}}}
}

func nodeOf(operator string, inputs, outputs []string,
	attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: proto.String(operator), Input: inputs, Output: outputs,
		Attribute: attributes}
}

// untyped is an output of which only the name is declared.
func untyped(name string) *onnxpb.ValueInfoProto {
	return &onnxpb.ValueInfoProto{Name: proto.String(name)}
}

func modelOf(opset int64, graph *onnxpb.GraphProto) *onnx.Model {
	graph.Name = proto.String("test")
	return &onnx.Model{Proto: &onnxpb.ModelProto{IrVersion: proto.Int64(8), Graph: graph,
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""),
			Version: proto.Int64(opset)}}}}
}

func protoOf(t testing.TB, name string, tensor *native.Tensor) *onnxpb.TensorProto {
	t.Helper()
	p := &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(tensor.Type()))}
	for _, d := range tensor.Shape {
		p.Dims = append(p.Dims, int64(d))
	}
	switch data := tensor.Data.(type) {
	case []float32:
		p.FloatData = data
	case []float64:
		p.DoubleData = data
	case []int64:
		p.Int64Data = data
	case []int8:
		p.Int32Data = widened(data)
	case []uint8:
		p.Int32Data = widened(data)
	case []int32:
		p.Int32Data = data
	case []onnx.Float16:
		p.Int32Data = widened(data)
	default:
		t.Fatalf("%T is not for initializers here", data)
	}
	return p
}

func widened[T ~int8 | ~uint8 | ~uint16](values []T) []int32 {
	wide := make([]int32, len(values))
	for i, v := range values {
		wide[i] = int32(v)
	}
	return wide
}

func (c operatorCase) model(t testing.TB) *onnx.Model {
	graph := &onnxpb.GraphProto{}
	var names []string
	for i, in := range c.inputs {
		name := fmt.Sprintf("in%d", i)
		graph.Input = append(graph.Input, value(name, in.Type(), in.Shape))
		if slices.Contains(c.bools, i) {
			graph.Node = append(graph.Node, nodeOf("Cast", []string{name}, []string{name + "_bool"},
				graphmaker.Int("to", int64(onnxpb.TensorProto_BOOL))))
			name += "_bool"
		}
		if !c.unused {
			names = append(names, name)
		}
	}
	for i, constant := range c.constants {
		name := ""
		if constant != nil {
			name = fmt.Sprintf("constant%d", i)
			graph.Initializer = append(graph.Initializer, protoOf(t, name, constant))
		}
		names = append(names, name)
	}
	outputs := []string{"out0"}
	for i := 1; i < c.outputs; i++ {
		outputs = append(outputs, fmt.Sprintf("out%d", i))
	}
	graph.Node = append(graph.Node, nodeOf(c.operator, names, slices.Clone(outputs), c.attributes...))
	if c.castOut {
		graph.Node = append(graph.Node, nodeOf("Cast", []string{outputs[0]}, []string{"number"},
			graphmaker.Int("to", int64(onnxpb.TensorProto_FLOAT))))
		outputs[0] = "number"
	}
	if c.flat {
		graph.Initializer = append(graph.Initializer, protoOf(t, "vector", int64s(-1)))
		graph.Node = append(graph.Node, nodeOf("Reshape", []string{outputs[0], "vector"},
			[]string{"flat"}))
		outputs[0] = "flat"
	}
	for _, name := range outputs {
		graph.Output = append(graph.Output, untyped(name))
	}
	return modelOf(c.opset, graph)
}

func inNative(t *testing.T, model *onnx.Model, inputs []*native.Tensor) ([]*native.Tensor, error) {
	t.Helper()
	e, err := native.New(t.Context(), model, native.Options{Threads: 2})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	given := make(map[string]*native.Tensor)
	for i, port := range e.Inputs() {
		given[port.Name] = inputs[i]
	}
	first, err := e.Run(t.Context(), given)
	if err != nil {
		return nil, err
	}
	// The plans and the memory of the first run serve the second.
	second, err := e.Run(t.Context(), given)
	if err != nil {
		return nil, err
	}
	for i := range first {
		requireSame(t, second[i], first[i], 0)
	}
	return first, nil
}

// requireSame allows a fraction of the largest magnitude that is expected.
// Non-finite numbers must be the same.
func requireSame(t *testing.T, got, want *native.Tensor, fraction float64) {
	t.Helper()
	if got.Type() != want.Type() || !slices.Equal(got.Shape, want.Shape) {
		t.Fatalf("got %v, want %v", got, want)
	}
	a, ok := got.Data.([]float32)
	if !ok {
		if x, y := got.Data.([]int64), want.Data.([]int64); !slices.Equal(x, y) {
			t.Fatalf("got %v, want %v", x, y)
		}
		return
	}
	b := want.Data.([]float32)
	largest := 0.0
	for _, v := range b {
		if m := math.Abs(float64(v)); !math.IsInf(m, 0) && m > largest {
			largest = m
		}
	}
	for i := range a {
		same := a[i] == b[i] || a[i] != a[i] && b[i] != b[i]
		if !same && !(math.Abs(float64(a[i])-float64(b[i])) <= fraction*largest) {
			t.Fatalf("element %d is %g, want %g (of magnitudes up to %g)", i, a[i], b[i], largest)
		}
	}
}

// agreement is the bound for two float32 runtimes: each sum of up to K = 500
// products rounds K times to 2⁻²⁴ in the worst case, 3e-5 of the sum of
// magnitudes; the errors' signs are random, and what is left is about √K·2⁻²⁴, or
// 1.3e-6. The project's bound, 1e-5 of the range, holds with room.
const agreement = 1e-5

func TestOperatorsAgreeWithONNXRuntime(t *testing.T) {
	startONNXRuntime(t)
	r := random{newSource(1)}
	tested := make(map[string]int)
	for i, c := range operatorCases(r) {
		t.Run(fmt.Sprintf("%d_%s_%d", i, c.operator, c.opset), func(t *testing.T) {
			model := c.model(t)
			want, err := inONNXRuntime(t, model, c.inputs)
			if err != nil {
				t.Fatalf("onnxruntime: %v", err)
			}
			got, err := inNative(t, model, c.inputs)
			if err != nil {
				t.Fatalf("%v; attributes %v", err, c.attributes)
			}
			for k := range want {
				requireSame(t, got[k], want[k], agreement)
			}
			if t.Failed() {
				t.Logf("attributes %v, inputs %v, constants %v", c.attributes, c.inputs, c.constants)
			}
			tested[c.operator]++
		})
	}
	for _, name := range native.Operators() {
		if tested[name] == 0 {
			t.Errorf("%s is in no test that passes", name)
		}
	}
	t.Logf("%d operators", len(tested))
}
