package onnx

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// withRecord returns the test network, which says how its pixels are fed.
func withRecord(t *testing.T, scale, offset float64) *Model {
	t.Helper()
	m := readModel(t, "testdata/quantized/float.onnx")
	if err := m.SetTrainingRecord(TrainingRecord{PixelScale: scale, PixelOffset: offset,
		TestAccuracy: 0.5, TestImages: 10}); err != nil {
		t.Fatal(err)
	}
	return m
}

func operatorsOf(m *Model) string {
	var names []string
	for _, node := range m.Proto.GetGraph().GetNode() {
		names = append(names, node.GetOpType())
	}
	return strings.Join(names, " ")
}

func TestReform(t *testing.T) {
	const body = "Conv Relu MaxPool Conv MaxPool Flatten Gemm Relu Gemm"
	for _, test := range []struct {
		name                     string
		scale, offset            float64
		form                     Form
		input, output, operators string
	}{
		{"as it is", 1, 0, Form{}, "image: float[N×1×28×28]", "logits: float[N×10]", body},
		{"batch 1", 1, 0, Form{Batch: 1}, "image: float[1×1×28×28]", "logits: float[1×10]", body},
		{"open batch", 1, 0, Form{Batch: OpenBatch}, "image: float[N×1×28×28]", "logits: float[N×10]",
			body},
		{"softmax", 1, 0, Form{Softmax: true}, "image: float[N×1×28×28]", "probabilities: float[N×10]",
			body + " Softmax"},
		{"bytes", 1, 0, Form{Bytes: true}, "pixels: uint8[N×28×28×1]", "logits: float[N×10]",
			"Cast Transpose " + body},
		{"bytes of a unit", 1.0 / 255, 0, Form{Bytes: true}, "pixels: uint8[N×28×28×1]",
			"logits: float[N×10]", "Cast Div Transpose " + body},
		{"normalised bytes", 1 / (255 * 0.3081), -0.1307 / 0.3081, Form{Bytes: true},
			"pixels: uint8[N×28×28×1]", "logits: float[N×10]", "Cast Div Sub Div Transpose " + body},
		{"all", 1, 0, Form{Batch: 7, Softmax: true, Bytes: true}, "pixels: uint8[7×28×28×1]",
			"probabilities: float[7×10]", "Cast Transpose " + body + " Softmax"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := withRecord(t, test.scale, test.offset)
			before, err := Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Reform(m, test.form)
			if err != nil {
				t.Fatal(err)
			}
			if in, out := portOf(got.Inputs()[0]), portOf(got.Outputs()[0]); in != test.input ||
				out != test.output {
				t.Errorf("%s → %s, want %s → %s", in, out, test.input, test.output)
			}
			if operators := operatorsOf(got); operators != test.operators {
				t.Errorf("%s, want %s", operators, test.operators)
			}
			record, _, err := got.TrainingRecord()
			if err != nil {
				t.Fatal(err)
			}
			if raw := record.PixelScale == 1 &&
				record.PixelOffset == 0; raw != (test.form.Bytes || test.scale == 1) {
				t.Errorf("the record says that pixels are fed ·%v + %v", record.PixelScale, record.PixelOffset)
			}
			if after, err := Encode(m); err != nil || string(after) != string(before) {
				t.Errorf("the model itself was changed (%v)", err)
			}
		})
	}
}

func portOf(v Value) string { return fmt.Sprintf("%s: %v", v.Name, v) }

func TestReformRefuses(t *testing.T) {
	probabilities, err := Reform(withRecord(t, 1, 0), Form{Softmax: true})
	if err != nil {
		t.Fatal(err)
	}
	takesBytes, err := Reform(withRecord(t, 1, 0), Form{Bytes: true})
	if err != nil {
		t.Fatal(err)
	}
	two := withRecord(t, 1, 0)
	two.Proto.Graph.Output = append(two.Proto.Graph.Output,
		&onnxpb.ValueInfoProto{Name: &two.Proto.Graph.Node[0].Output[0]})
	for _, test := range []struct {
		name string
		m    *Model
		form Form
		want string
	}{
		{"softmax twice", probabilities, Form{Softmax: true}, "it ends in Softmax already"},
		{"bytes twice", takesBytes, Form{Bytes: true}, "of float32 can be replaced by bytes"},
		{"batch", withRecord(t, 1, 0), Form{Batch: -2}, "a batch of -2 images"},
		{"two outputs", two, Form{Batch: 1}, "1 inputs and 2 outputs"},
	} {
		if _, err := Reform(test.m, test.form); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestReformOfTheOutputsNode: what a model ends in is the node that makes its output,
// which need not stand last, nor be there.
func TestReformOfTheOutputsNode(t *testing.T) {
	scores := func(nodes ...*onnxpb.NodeProto) *Model {
		m := withRecord(t, 1, 0)
		graph := m.Proto.GetGraph()
		output := graph.GetOutput()[0].GetName()
		for _, n := range nodes {
			n.Input, n.Output = []string{output}, []string{"aside"}
		}
		graph.Node = append(graph.Node, nodes...)
		return m
	}
	aside, err := Reform(scores(message.NewNode("n", "Softmax", nil, "")), Form{Softmax: true})
	if err != nil {
		t.Errorf("a Softmax that is not the output: %v", err)
	} else if got := operatorsOf(aside); !strings.HasSuffix(got, "Gemm Softmax Softmax") {
		t.Errorf("a Softmax that is not the output: %s", got)
	}
	twice, err := Reform(scores(), Form{Softmax: true})
	if err != nil {
		t.Fatal(err)
	}
	graph := twice.Proto.GetGraph()
	graph.Node = append(graph.Node, message.NewNode("n", "Relu", []string{graph.Output[0].GetName()},
		"aside"))
	if _, err := Reform(twice, Form{Softmax: true}); err == nil ||
		!strings.Contains(err.Error(), "it ends in Softmax already") {
		t.Errorf("a Softmax that does not stand last: %v", err)
	}

	empty := withRecord(t, 1, 0)
	graph = empty.Proto.GetGraph()
	graph.Node, graph.Initializer, graph.ValueInfo = nil, nil, nil
	graph.Input[0] = proto.CloneOf(graph.Output[0])
	got, err := Reform(empty, Form{Softmax: true})
	if err != nil {
		t.Fatalf("no node: %v", err)
	}
	if operators := operatorsOf(got); operators != "Softmax" {
		t.Errorf("no node: %s", operators)
	}
}

func TestVariantRecord(t *testing.T) {
	m := withRecord(t, 1, 0)
	if _, ok := m.VariantRecord(); ok {
		t.Error("a model of its own is a variant")
	}
	want := VariantRecord{Variant: "int8, batch 1", SourceSHA256: "ab", Calibration: "2 images"}
	if err := m.SetVariantRecord(want); err != nil {
		t.Fatal(err)
	}
	if got, ok := m.VariantRecord(); !ok || got != want {
		t.Errorf("%+v", got)
	}
	if record, ok, err := m.TrainingRecord(); !ok || err != nil || record.TestImages != 10 {
		t.Errorf("the training record is lost: %+v, %v", record, err)
	}
}

// What bytes are put through before the graph is the record's formula, or without a record
// the form's.
func TestPixelsOfBytes(t *testing.T) {
	features := func() *Model {
		m := graphOf(13, []int64{-1, 4}, "MatMul", "x,w", nil, tensorOf("w", onnxpb.TensorProto_FLOAT, 4,
			3))
		m.Proto.Graph.Output[0] = floatValue("y", -1, 3)
		return m
	}
	for name, test := range map[string]struct {
		model           *Model
		form            Form
		operators       string
		mean, deviation float64 // 0 where there is none
	}{
		"normalised": {withRecord(t, 1/(255*0.3081), -0.1307/0.3081), Form{},
			"Cast Div Sub Div Transpose", 0.1307, 0.3081},
		"centred": {withRecord(t, 1.0/255, -0.25), Form{}, "Cast Div Sub Div Transpose", 0.25, 1},
		"shifted": {withRecord(t, 1, -51), Form{}, "Cast Div Sub Div Transpose", 0.2, 1.0 / 255},
		"a record's": {withRecord(t, 1.0/255, 0), Form{PixelScale: 1 / (255 * 0.5), PixelOffset: -1},
			"Cast Div Transpose", 0, 0},
		"the form's": {features(), Form{PixelScale: 1 / (255 * 0.5), PixelOffset: -1},
			"Cast Div Sub Div", 0.5, 0.5},
		"features as fed": {features(), Form{}, "Cast", 0, 0},
	} {
		test.form.Bytes = true
		got, err := Reform(test.model, test.form)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if operators := operatorsOf(got); !strings.HasPrefix(operators, test.operators+" ") ||
			strings.Count(operators, "Transpose") != strings.Count(test.operators, "Transpose") {
			t.Errorf("%s: %s, want %s in front", name, operators, test.operators)
		}
		for tensor, want := range map[string]float64{"pixels.mean": test.mean,
			"pixels.deviation": test.deviation} {
			constant, _ := got.Initializer(tensor)
			switch values, err := Floats(constant); {
			case want == 0 && constant != nil:
				t.Errorf("%s: there is %s", name, tensor)
			case want != 0 && (constant == nil || err != nil || math.Abs(float64(values[0])-want) > 1e-7):
				t.Errorf("%s: %s is %v, %v; want %v", name, tensor, values, err, want)
			}
		}
	}
}

// The last dimension is the channels where images have as many, and the second not.
func TestChannelsLast(t *testing.T) {
	for _, test := range []struct {
		dims []int64
		want bool
	}{
		{[]int64{-1, 28, 28, 1}, true},
		{[]int64{-1, 28, 28, 4}, true},
		{[]int64{-1, 28, 28, 5}, false},
		{[]int64{-1, 28, 28, 0}, false},
		{[]int64{-1, 1, 28, 1}, false},
		{[]int64{-1, 4, 28, 4}, false},
		{[]int64{-1, 5, 5, 1}, true},
		{[]int64{-1, 3, 28, 28}, false},
	} {
		dims := floatValue("x", test.dims...).GetType().GetTensorType().GetShape().GetDim()
		if got := channelsLast(dims); got != test.want {
			t.Errorf("%v: %v", test.dims, got)
		}
	}
}
