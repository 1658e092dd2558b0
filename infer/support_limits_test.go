package infer

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/native"
	"slipway/infer/port"
	g "slipway/internal/graphmaker"
	"slipway/onnx/onnxpb"
)

// The first and the last version that a runtime takes, and the first release that was asked.
func TestJudgeAtItsLimits(t *testing.T) {
	f := testFacts()
	other := f.Runtimes[1]
	for _, m := range []features{
		{opset: 9, ir: 4}, {opset: 18, ir: 8}, {opset: 13, ir: 3}, // 3: none older was refused
	} {
		if v := f.judge(other, m); v.Expectation != ExpectRuns || len(v.Reasons) != 0 {
			t.Errorf("opset %d, IR version %d: %+v", m.opset, m.ir, v)
		}
	}
	seen := f.judge(f.Runtimes[0], features{opset: 13, ir: 9})
	if seen.Version != "9.1 or newer" || seen.Reasons[0].Source != "seen, a day" {
		t.Errorf("of a release that was asked: %+v", seen)
	}
	known := f.judge(f.Runtimes[0], features{opset: 15, ir: 7})
	if known.Version != "1.9.0 or newer" || known.Reasons[0].Source != sourceDocs {
		t.Errorf("of a release that its makers tell of: %+v", known)
	}
	for opset, want := range map[int64]Expectation{
		8: ExpectRefuses, 9: ExpectUnknown, 25: ExpectUnknown, 26: ExpectRefuses,
	} {
		v := verdictOf(t, documented(features{opset: opset}, nil), "TensorRT")
		if v.Expectation != want {
			t.Errorf("TensorRT and opset %d: %+v", opset, v)
		}
	}
}

// What one runtime alone is known for is said of that one alone.
func TestJudgeOfOneRuntimeAlone(t *testing.T) {
	f := testFacts()
	m := features{opset: 13, ir: 7, operators: []string{"Relu"}, valueless: "node 0",
		computedShape: "node 1"}
	for name, want := range map[string]struct {
		expectation Expectation
		reason      string
	}{
		"tract":      {ExpectUnknown, "node 1 computes its shape"},
		"OpenCV DNN": {ExpectRefuses, "node 0 has an attribute without a value"},
		"OpenVINO":   {ExpectRuns, "may compute in bfloat16"},
		"Other":      {ExpectRuns, ""},
	} {
		runtime := f.Runtimes[1]
		runtime.Runtime = name
		v := f.judge(runtime, m)
		reasons := 1
		if want.reason == "" {
			reasons = 0
		}
		if v.Expectation != want.expectation || len(v.Reasons) != reasons {
			t.Errorf("%s: %+v", name, v)
			continue
		}
		if reasons == 1 && !strings.HasPrefix(v.Reasons[0].Text, want.reason) {
			t.Errorf("%s: %+v, want %q", name, v.Reasons, want.reason)
		}
	}
	runtime := f.Runtimes[1]
	runtime.Runtime = "OpenVINO"
	if v := f.judge(runtime, features{opset: 30, ir: 7}); len(v.Reasons) != 1 {
		t.Errorf("how it computes what it refuses: %+v", v.Reasons)
	}
}

// Only a number that has no value is told of, and only a Reshape whose shape is computed.
func TestFeaturesThatDecide(t *testing.T) {
	attribute := func(kind onnxpb.AttributeProto_AttributeType) *onnxpb.AttributeProto {
		return &onnxpb.AttributeProto{Name: proto.String("a"), Type: kind.Enum()}
	}
	reference := attribute(onnxpb.AttributeProto_INT)
	reference.RefAttrName = proto.String("b")
	for name, test := range map[string]struct {
		attribute *onnxpb.AttributeProto
		want      bool
	}{
		"an integer":               {g.Int("a", 0), false},
		"a number":                 {g.Float("a", 0), false},
		"a text":                   {g.Text("a", ""), false},
		"integers":                 {g.Ints("a"), false},
		"an integer of a function": {reference, false},
		"an integer of no value":   {attribute(onnxpb.AttributeProto_INT), true},
		"a number of no value":     {attribute(onnxpb.AttributeProto_FLOAT), true},
	} {
		model := g.New(g.Free, 4).Node("h = Identity x").Node("y = Softmax h",
			test.attribute).Model()
		want := ""
		if test.want {
			want = `node 1 ("Softmax")`
		}
		if got := valuelessNode(model); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, test := range map[string]struct {
		graph *g.Graph
		want  string
	}{
		"computed": {g.New(g.Free, 4).Node("s = Shape x").Node("y = Reshape x s"),
			`node 1 ("Reshape")`},
		"a weight": {g.New(g.Free, 4).Integers("s", -1, 4).Node("y = Reshape x s"), ""},
		"a constant": {g.New(g.Free, 4).Node("s = Constant", g.Ints("value_ints", -1,
			4)).Node("y = Reshape x s"), ""},
		"of no shape":      {g.New(g.Free, 4).Node("y = Reshape x"), ""},
		"another operator": {g.New(g.Free, 4).Node("s = Relu x").Node("y = Add x s"), ""},
	} {
		if got := computedShape(test.graph.Model()); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// Of the sizes that are tried for images of an open size, one that runs is enough.
func TestSupportTriesSizesUntilOneRuns(t *testing.T) {
	for _, size := range triedSizes()[:2] {
		model := g.New(g.Free, 1, 4, 4).Node("f = Flatten x").Dense("f", int64(size*size)).Model()
		for i := range 2 {
			model.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim[2+i].Value =
				&onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: []string{"height",
					"width"}[i]}
		}
		verdicts, err := Support(t.Context(), model)
		if err != nil {
			t.Fatal(err)
		}
		if v := verdictOf(t, verdicts, RuntimeNative); v.Expectation != ExpectRuns {
			t.Errorf("of a model of %d×%d: %+v", size, size, v)
		}
	}
}

// Scores that are not those of the batch are refused, as native refuses them when it runs.
func TestSupportLooksAtTheScores(t *testing.T) {
	model := g.New(3, 1, 2, 2).Integers("s", 1,
		12).Node("h = Identity s").Node("y = Reshape x h").Model()
	ports, err := port.Find(model, "")
	if err != nil {
		t.Fatal(err)
	}
	expectation, reasons := tryNative(t.Context(), model, ports, nil)
	if expectation != ExpectRefuses || len(reasons) != 1 {
		t.Errorf("%v: %+v", expectation, reasons)
	}
	if err := runNative(t, model); err == nil {
		t.Error("native runs it")
	}
}

func TestBlackInputs(t *testing.T) {
	port := func(shape ...int) []native.Port {
		return []native.Port{{Name: "x", Type: onnxpb.TensorProto_FLOAT, Shape: shape}}
	}
	for _, test := range []struct {
		shape, want []int
		guessed     bool
	}{
		{[]int{-1, 3, 2}, []int{1, 3, 2}, false}, {[]int{2, -1}, []int{2, 5}, true},
		{[]int{-1, 0}, []int{1, 0}, false},
	} {
		inputs, guessed, err := blackInputs(port(test.shape...), 5)
		if err != nil || guessed != test.guessed || !slices.Equal(inputs["x"].Shape, test.want) {
			t.Errorf("%v: %v, guessed %t (%v)", test.shape, inputs["x"], guessed, err)
		}
	}
	for want, ports := range map[string][]native.Port{
		"takes batches of 0": port(0, 4), "has no shape": port(),
	} {
		if _, _, err := blackInputs(ports, 5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
