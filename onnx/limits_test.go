package onnx_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// What is just inside of a record's limits is written and read back; what is just outside
// is refused, and leaves the model's record as it was.
func TestTheLimitsOfARecord(t *testing.T) {
	good := onnx.TrainingRecord{DataSet: "mine", PixelScale: 1}
	with := func(change func(r *onnx.TrainingRecord)) onnx.TrainingRecord {
		r := good
		change(&r)
		return r
	}
	for name, test := range map[string]struct {
		record onnx.TrainingRecord
		want   string
	}{
		"nothing measured": {good, ""},
		"all right": {with(func(r *onnx.TrainingRecord) {
			r.TestAccuracy, r.TestImages, r.Epochs = 1, 1, 1
		}), ""},
		"a negative scale": {with(func(r *onnx.TrainingRecord) {
			r.PixelScale, r.PixelOffset = -1, 255
		}), ""},
		"below 0": {with(func(r *onnx.TrainingRecord) { r.TestAccuracy = -1e-9 }),
			"a share, 0…1"},
		"above 1": {with(func(r *onnx.TrainingRecord) { r.TestAccuracy = 1.0000001 }),
			"a share, 0…1"},
		"no number": {with(func(r *onnx.TrainingRecord) { r.TestAccuracy = math.NaN() }),
			"a share, 0…1"},
		"negative images": {with(func(r *onnx.TrainingRecord) { r.TestImages = -1 }),
			"test images is -1"},
		"negative epochs": {with(func(r *onnx.TrainingRecord) { r.Epochs = -1 }), "epochs is -1"},
		"a loss that is none": {with(func(r *onnx.TrainingRecord) { r.TrainingLoss = math.NaN() }),
			"a run that diverged"},
		"an infinite loss": {with(func(r *onnx.TrainingRecord) { r.TrainingLoss = math.Inf(1) }),
			"a run that diverged"},
		"an infinite scale": {with(func(r *onnx.TrainingRecord) { r.PixelScale = math.Inf(-1) }),
			"must be finite"},
		"an infinite offset": {with(func(r *onnx.TrainingRecord) { r.PixelOffset = math.Inf(1) }),
			"must be finite"},
	} {
		model := tinyModel(t)
		before := model.Metadata()
		err := model.SetTrainingRecord(test.record)
		if test.want == "" {
			if got, ok, readErr := model.TrainingRecord(); err != nil || readErr != nil || !ok ||
				got.TestAccuracy != test.record.TestAccuracy || got.PixelScale != test.record.PixelScale {
				t.Errorf("%s: %v, %v; read back %+v", name, err, readErr, got)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if after := model.Metadata(); len(after) != len(before) ||
			after["slipway.seed"] != before["slipway.seed"] {
			t.Errorf("%s: refused, but the record is changed", name)
		}
	}
}

// A record's texts and names go when the next record has none; what is not a record's stays.
func TestARecordTakesThePlaceOfAnother(t *testing.T) {
	model := tinyModel(t)
	metadata := model.Metadata()
	metadata["mine"] = "kept"
	if err := model.SetMetadata(metadata); err != nil {
		t.Fatal(err)
	}
	full := onnx.TrainingRecord{DataSet: "a", DataSHA256: "1", Attribution: "b", Licence: "c",
		TestSet: "d", TestSHA256: "2", TrainingPrecision: "tf32", ClassLabels: []string{"x", "y", "z"}}
	if full.IsZero() || !(onnx.TrainingRecord{}).IsZero() {
		t.Error("IsZero is of another record")
	}
	for _, record := range []onnx.TrainingRecord{full, {DataSet: "e"}} {
		if err := model.SetTrainingRecord(record); err != nil {
			t.Fatal(err)
		}
		got, ok, err := model.TrainingRecord()
		if err != nil || !ok || got.DataSet != record.DataSet || got.Licence != record.Licence ||
			got.TestSHA256 != record.TestSHA256 || got.TrainingPrecision != record.TrainingPrecision ||
			len(got.ClassLabels) != len(record.ClassLabels) ||
			model.Metadata()["mine"] != "kept" {
			t.Errorf("%+v, %v; want %+v", got, err, record)
		}
	}
	for key, want := range map[string]string{"slipway.record": `the version "2"`,
		"slipway.test_accuracy": "slipway.test_accuracy is missing"} {
		metadata := model.Metadata()
		if delete(metadata, key); key == "slipway.record" {
			metadata[key] = "2"
		}
		damaged := tinyModel(t)
		if err := damaged.SetMetadata(metadata); err != nil {
			t.Fatal(err)
		}
		if _, _, err := damaged.TrainingRecord(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v, want %q", key, err, want)
		}
	}
}

// The oldest and the newest versions that are said to be read are.
func TestTheVersionsThatAreRead(t *testing.T) {
	for _, version := range []int64{3, 13} {
		model := tinyModel(t)
		model.Proto.IrVersion = proto.Int64(version)
		if err := model.Check(); err != nil {
			t.Errorf("IR version %d: %v", version, err)
		}
	}
	model := tinyModel(t)
	model.Proto.OpsetImport[0].Version = proto.Int64(27)
	if err := model.Check(); err != nil && strings.Contains(err.Error(), "newer than") {
		t.Errorf("opset 27: %v", err)
	}
}

// Operators are checked from opset 7 on: before that some had other meanings.
func TestTheOldestOpsetThatIsChecked(t *testing.T) {
	for opset, checked := range map[int64]bool{6: false, 7: true, 8: true} {
		model := graphmaker.New(graphmaker.Free, 6).Weight("w", -1, 1, 5, 4).Node("y = MatMul x w").
			Model()
		model.Proto.OpsetImport[0].Version = proto.Int64(opset)
		if err := model.Check(); (err != nil) != checked {
			t.Errorf("6 features by a matrix of 5×4, of opset %d: %v", opset, err)
		}
	}
}

// No model is refused, not followed.
func TestNoModel(t *testing.T) {
	for _, model := range []*onnx.Model{nil, {}} {
		_, encodeErr := onnx.Encode(model)
		for _, err := range []error{model.Check(), encodeErr} {
			if err == nil || !strings.Contains(err.Error(), "there is no model") {
				t.Errorf("%v: %v", model, err)
			}
		}
		if report := onnx.Inspect(model); report.Problem != "there is no model" {
			t.Errorf("%v is inspected as %q", model, report.Problem)
		}
	}
}

// Tensors and values of as many and as large dimensions as are allowed pass, and of one more
// do not.
func TestTheLimitsOfDimensions(t *testing.T) {
	ones := func(rank int) []int64 { return slices.Repeat([]int64{1}, rank) }
	float := proto.Int32(int32(onnxpb.TensorProto_FLOAT))
	tensor := func(dims []int64) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String("t"), DataType: float, Dims: dims,
			FloatData: []float32{1}}
	}
	input := func(dims ...int64) *onnxpb.ValueInfoProto {
		shape := &onnxpb.TensorShapeProto{}
		for _, size := range dims {
			shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{
				Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: size}})
		}
		return &onnxpb.ValueInfoProto{Name: proto.String("t"), Type: &onnxpb.TypeProto{
			Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{ElemType: float,
				Shape: shape}}}}
	}
	sparse := func(dims []int64, values, indices *onnxpb.TensorProto) *onnxpb.SparseTensorProto {
		return &onnxpb.SparseTensorProto{Dims: dims, Values: values, Indices: indices}
	}
	index := sizes("", 0)
	for name, test := range map[string]struct {
		change func(g *onnxpb.GraphProto)
		want   string
	}{
		"tensor": {func(g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, tensor(ones(64)))
		}, ""},
		"tensor, 65": {func(g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, tensor(ones(65)))
		}, "it has 65 dimensions"},
		"input": {func(g *onnxpb.GraphProto) { g.Input = append(g.Input, input(ones(64)...)) },
			""},
		"input, 65": {func(g *onnxpb.GraphProto) { g.Input = append(g.Input, input(ones(65)...)) },
			"it has 65 dimensions"},
		"large": {func(g *onnxpb.GraphProto) { g.Input = append(g.Input, input(1<<40)) }, ""},
		"too large": {func(g *onnxpb.GraphProto) { g.Input = append(g.Input, input(1<<40+1)) },
			"its dimension 0 is 1099511627777"},
		"free by -1": {func(g *onnxpb.GraphProto) { g.Input = append(g.Input, input(-1)) }, ""},
		"negative": {func(g *onnxpb.GraphProto) { g.Input = append(g.Input, input(-2)) },
			"its dimension 0 is -2"},
		"most claimed": {func(g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, tensor([]int64{1 << 20, 1 << 20}))
		},
			"needs 1099511627776 entries"},
		"more claimed": {func(g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, tensor([]int64{1 << 20, 1<<20 + 1}))
		}, "more than 2^40"},
		"a default": {func(g *onnxpb.GraphProto) {
			g.Input, g.Initializer = append(g.Input, input(1)), append(g.Initializer, tensor(ones(1)))
		}, ""},
		"not its own": {func(g *onnxpb.GraphProto) {
			g.Input, g.Initializer = append(g.Input, input(2)), append(g.Initializer, tensor(ones(1)))
		}, `the initializer "t" of an input: it is declared as`},
		"sparse": {func(g *onnxpb.GraphProto) {
			g.SparseInitializer = append(g.SparseInitializer, sparse(ones(64), tensor(ones(1)), index))
		}, ""},
		"sparse, 65": {func(g *onnxpb.GraphProto) {
			g.SparseInitializer = append(g.SparseInitializer, sparse(ones(65), tensor(ones(1)), index))
		}, "which is not one"},
		"sparse, -1": {func(g *onnxpb.GraphProto) {
			g.SparseInitializer = append(g.SparseInitializer, sparse([]int64{-1}, tensor(ones(1)), index))
		}, "which is not one"},
		"no values": {func(g *onnxpb.GraphProto) {
			g.SparseInitializer = append(g.SparseInitializer, sparse(ones(1), nil, index))
		}, "lacks its values or its indices"},
		"no indices": {func(g *onnxpb.GraphProto) {
			g.SparseInitializer = append(g.SparseInitializer, sparse(ones(1), tensor(ones(1)), nil))
		}, "lacks its values or its indices"},
	} {
		model := tinyModel(t)
		test.change(model.Proto.Graph)
		err := model.Check()
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// An attribute that ends runtimes beyond int32 passes at its end.
func TestTheLimitOfAKernel(t *testing.T) {
	for value, want := range map[int64]string{math.MaxInt32: "",
		math.MaxInt32 + 1: "cannot be meant"} {
		model := tinyModel(t)
		node := nodeOf("MaxPool", []string{"image"}, []string{"pooled"})
		node.Domain = proto.String("com.acme")
		setInts(node, "dilations", value, 1)
		importDomain(model.Proto, "com.acme")
		model.Proto.Graph.Node = append(model.Proto.Graph.Node, node)
		err := model.Check()
		if want == "" && err != nil || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d: %v, want %q", value, err, want)
		}
	}
}

// Inputs that are left out at the end are none; an operator that takes none gets none.
func TestInputsAtTheEnd(t *testing.T) {
	for _, test := range []struct {
		operator string
		inputs   []string
		want     string
	}{
		{"Relu", []string{"image", "", ""}, ""},
		{"Relu", []string{"image", "image"}, "it has 2 inputs; Relu takes 1"},
		{"Concat", slices.Repeat([]string{"logits"}, 9), ""},
		{"Constant", []string{"image"}, "it has 1 inputs; Constant takes 0"},
		{"Constant", nil, ""},
	} {
		model := tinyModel(t)
		node := nodeOf(test.operator, test.inputs, []string{"more"})
		switch test.operator {
		case "Concat":
			setInt(node, "axis", 0)
		case "Constant":
			setInt(node, "value_int", 1)
		}
		model.Proto.Graph.Node = append(model.Proto.Graph.Node, node)
		err := model.Check()
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.HasSuffix(err.Error(), test.want)) {
			t.Errorf("%s of %q: %v, want %q", test.operator, test.inputs, err, test.want)
		}
	}
}

// An axis may be counted from the end.
func TestTheLimitsOfAnAxis(t *testing.T) {
	for axis, want := range map[int64]string{-3: "must be within -2…1", -2: "", 1: "",
		2: "must be within -2…1"} {
		model := tinyModel(t)
		node := nodeOf("Concat", []string{"logits", "logits"}, []string{"more"})
		setInt(node, "axis", axis)
		model.Proto.Graph.Node = append(model.Proto.Graph.Node, node)
		err := model.Check()
		if want == "" && err != nil || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("axis %d: %v, want %q", axis, err, want)
		}
	}
}

// Inputs of one node are of one type, as far as their types are known.
func TestInputsOfOneType(t *testing.T) {
	for elementType, want := range map[onnxpb.TensorProto_DataType]string{
		onnxpb.TensorProto_FLOAT:  "",
		onnxpb.TensorProto_DOUBLE: "its input 1 is of double, but one before it of float"} {
		model := tinyModel(t)
		graph := model.Proto.Graph
		graph.Initializer = append(graph.Initializer, &onnxpb.TensorProto{Name: proto.String("w"),
			DataType: proto.Int32(int32(elementType)), Dims: []int64{0, 3}})
		node := nodeOf("Concat", []string{"logits", "w", "sharp"}, []string{"more"})
		setInt(node, "axis", 0)
		sharpen := nodeOf("Sharpen", []string{"image"}, []string{"sharp"})
		sharpen.Domain = proto.String("com.acme")
		importDomain(model.Proto, "com.acme")
		graph.Node = append(graph.Node, sharpen, node)
		err := model.Check()
		if want == "" && err != nil || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", elementType, err, want)
		}
	}
}
