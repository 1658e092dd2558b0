package onnx_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/internal/cputime"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// decoded writes a model and reads it back.
func decoded(t *testing.T, model *onnx.Model) *onnx.Model {
	t.Helper()
	again, err := onnx.Decode(encode(t, model))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func operatorsInOrder(nodes []*onnxpb.NodeProto) string {
	var names []string
	for _, node := range nodes {
		names = append(names, node.GetOpType())
	}
	return strings.Join(names, " ")
}

// Nodes appended behind those that take their outputs, as tools that insert casts do,
// come before them, and nothing else moves.
func TestReadSortsNodes(t *testing.T) {
	model := tinyModel(t)
	sorted := encode(t, model)
	graph := model.Proto.Graph
	graph.Node = append(graph.Node[1:], graph.Node[0])
	again := decoded(t, model)
	if got := string(encode(t, again)); got != string(sorted) {
		t.Errorf("sorted as %s", operatorsInOrder(again.Proto.Graph.Node))
	}
	if err := again.Check(); err != nil {
		t.Error(err)
	}
	notes := again.Notes()
	if len(notes) != 1 || !strings.Contains(notes[0], `node 4 (Conv "conv1") stands after`) ||
		!strings.Contains(notes[0], "they were sorted") {
		t.Errorf("notes %q", notes)
	}
	if text := onnx.Inspect(again).String(); !strings.Contains(text, "note ") ||
		!strings.Contains(text, "they were sorted") {
		t.Errorf("inspect does not say it:\n%s", text)
	}
	if notes := decoded(t, again).Notes(); len(notes) != 0 {
		t.Errorf("a sorted graph has notes %q", notes)
	}
}

func TestReadSortsSubgraphsAndFunctions(t *testing.T) {
	model := tinyModel(t)
	importDomain(model.Proto, "local")
	graph := model.Proto.Graph
	scores := graph.Output[0].GetName()
	branch := func(input string) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{Name: proto.String("branch"),
			Node: []*onnxpb.NodeProto{
				nodeOf("Abs", []string{"inner"}, []string{"branch.output"}),
				nodeOf("Neg", []string{input}, []string{"inner"})},
			Output: []*onnxpb.ValueInfoProto{{Name: proto.String("branch.output"),
				Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
					TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(
						int32(onnxpb.TensorProto_FLOAT))}}}}}}
	}
	condition := nodeOf("Constant", nil, []string{"condition"})
	condition.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value"),
		Type: onnxpb.AttributeProto_TENSOR.Enum(),
		T: &onnxpb.TensorProto{DataType: proto.Int32(int32(onnxpb.TensorProto_BOOL)),
			RawData: []byte{1}}}}
	choose := nodeOf("If", []string{"condition"}, []string{"chosen"})
	choose.Attribute = []*onnxpb.AttributeProto{
		{Name: proto.String("then_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: branch("late")},
		{Name: proto.String("else_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: branch(scores)}}
	// The If takes what the last node makes through its branch alone.
	late := nodeOf("Exp", []string{scores}, []string{"late"})
	graph.Node = append(graph.Node, choose, condition, local("F", "chosen", "end"), late)
	model.Proto.Functions = []*onnxpb.FunctionProto{functionOf("F",
		nodeOf("Abs", []string{"a"}, []string{"y"}), nodeOf("Neg", []string{"x"}, []string{"a"}))}
	graph.Output[0].Name = proto.String("end")

	again := decoded(t, model)
	if err := again.Check(); err != nil {
		t.Fatal(err)
	}
	nodes := again.Proto.Graph.Node
	if got, want := operatorsInOrder(nodes),
		"Conv Relu MaxPool Flatten Gemm Constant Exp If F"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, attribute := range nodes[7].GetAttribute() {
		if got := operatorsInOrder(attribute.G.Node); got != "Neg Abs" {
			t.Errorf("the %s is %s", attribute.GetName(), got)
		}
	}
	if got := operatorsInOrder(again.Proto.Functions[0].Node); got != "Neg Abs" {
		t.Errorf("the function is %s", got)
	}
	if notes := again.Notes(); len(notes) != 4 || !slices.ContainsFunc(notes, func(n string) bool {
		return strings.Contains(n, `the function "F"`)
	}) ||
		!slices.ContainsFunc(notes, func(n string) bool {
			return strings.Contains(n, `the subgraph "branch" of node 5 (If)`)
		}) {
		t.Errorf("notes %q", notes)
	}
}

// A cycle stays, and Check names its nodes wherever the first node that waits stands.
func TestCycleIsNamed(t *testing.T) {
	model := tinyModel(t)
	graph := model.Proto.Graph
	graph.Node = append(graph.Node,
		nodeOf("Add", []string{"flatten1.output", "ring2"}, []string{"ring1"}),
		nodeOf("Relu", []string{"ring1"}, []string{"ring2"}))
	graph.Node[4].Input[0] = "ring2" // fc1 waits for the ring and is no part of it
	again := decoded(t, model)
	err := again.Check()
	want := `node 4 (Gemm "fc1"): its input "ring2" depends on nodes that depend on each other: the graph has a cycle (node 6 (Relu), node 5 (Add))`
	if err == nil || !strings.HasSuffix(err.Error(), want) || len(again.Notes()) != 0 {
		t.Errorf("%v, notes %q", err, again.Notes())
	}
}

func TestSortingManyNodesIsFast(t *testing.T) {
	model := tinyModel(t)
	graph := model.Proto.Graph
	const count = 100_000
	last := graph.Output[0].GetName()
	for i := range count {
		next := fmt.Sprintf("v%d", i)
		graph.Node = append(graph.Node, nodeOf("Abs", []string{last}, []string{next}))
		last = next
	}
	graph.Output[0].Name = proto.String(last)
	slices.Reverse(graph.Node)
	begin := cputime.Used()
	again := decoded(t, model)
	if err := again.Check(); err != nil {
		t.Fatal(err)
	}
	if took := cputime.Used() - begin; took > 20*time.Second {
		t.Errorf("sorting and checking took %v", took)
	}
}

// skl2onnx writes the same opset twice; two versions are a contradiction.
func TestOpsetImportTwice(t *testing.T) {
	model := tinyModel(t)
	opset := model.Opset("")
	again := &onnxpb.OperatorSetIdProto{Domain: proto.String("ai.onnx"), Version: proto.Int64(opset)}
	model.Proto.OpsetImport = append(model.Proto.OpsetImport, again)
	if err := model.Check(); err != nil {
		t.Error(err)
	}
	if got := onnx.Inspect(model).Opsets; len(got) != 1 {
		t.Errorf("inspect shows %v", got)
	}
	again.Version = proto.Int64(opset - 1)
	want := fmt.Sprintf(`opset_import names the domain "" twice, with the versions %d and %d`, opset,
		opset-1)
	if err := model.Check(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// Of a long cycle the first nodes are named, and how many more there are; of one that is
// just short enough all are.
func TestALongCycleIsCut(t *testing.T) {
	for length, want := range map[int]string{8: `, node 6 (Relu))`, 9: `, and 1 more)`,
		20: `, and 12 more)`} {
		model := tinyModel(t)
		graph := model.Proto.Graph
		for i := range length {
			graph.Node = append(graph.Node,
				nodeOf("Relu", []string{fmt.Sprintf("ring%d", (i+length-1)%length)},
					[]string{fmt.Sprintf("ring%d", i)}))
		}
		err := decoded(t, model).Check()
		if err == nil || !strings.HasSuffix(err.Error(), want) ||
			strings.Count(err.Error(), "(Relu)") > 10 {
			t.Errorf("a cycle of %d: %v, want %q at the end", length, err, want)
		}
	}
}
