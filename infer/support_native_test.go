package infer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/port"
	g "slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Where native is expected to run a model, it does, and where it is not, it does not.
func TestSupportOfNativeIsWhatItDoes(t *testing.T) {
	models := map[string]*onnx.Model{
		"float16 inside": func() *onnx.Model {
			to := func(e onnxpb.TensorProto_DataType) *onnxpb.AttributeProto { return g.Int("to", int64(e)) }
			return g.New(g.Free, 1, 4, 4).Node("h = Cast x", to(onnxpb.TensorProto_FLOAT16)).
				Node("p = MaxPool h", g.Ints("kernel_shape", 2, 2)).
				Node("s = Cast p", to(onnxpb.TensorProto_FLOAT)).Node("f = Flatten s").Dense("f", 9).Model()
		}(),
		"float16 ports": castPorts(onnxpb.TensorProto_FLOAT16),
		"a batch of no image": func() *onnx.Model {
			m := g.New(1, 4).Dense("x", 4).
				Model()
			setBatch(m, 0)
			return m
		}(),
		"a reshape that does not fit": g.New(g.Free, 1, 2, 2).Integers("s", 0, 3).Node("h = Identity s").
			Node("r = Reshape x h").Dense("r", 3).Model(),
		"a fixed batch": g.New(3, 1, 2, 2).Node("f = Flatten x").Dense("f", 4).Model(),
		"one score":     singleScoreModel("p = Sigmoid z"),
	}
	paths, err := filepath.Glob("testdata/*.onnx")
	more, moreErr := filepath.Glob("testdata/foreign/*.onnx")
	if err != nil || moreErr != nil || len(paths) < 10 || len(more) < 6 {
		t.Fatalf("%d and %d models in testdata (%v, %v)", len(paths), len(more), err, moreErr)
	}
	for _, path := range append(paths, more...) {
		if model, err := LoadModel(path); err == nil {
			models[path] = model
		}
	}
	verdicts := map[Expectation]int{}
	for name, model := range models {
		support, err := Support(t.Context(), model)
		if err != nil {
			t.Fatal(err)
		}
		v := verdictOf(t, support, RuntimeNative)
		verdicts[v.Expectation]++
		if verdictOf(t, support, "infer, as a classifier").Expectation == ExpectRefuses {
			continue // nothing to ask
		}
		err = runNative(t, model)
		if (v.Expectation == ExpectRuns) != (err == nil) {
			t.Errorf("%s: native is expected to be one that %s it (%v), which says: %v", name, v.Expectation,
				v.Reasons, err)
		}
		if err != nil && (len(v.Reasons) == 0 || !strings.Contains(err.Error(), v.Reasons[0].Text)) {
			t.Errorf("%s: the reasons are %+v, native says %v", name, v.Reasons, err)
		}
	}
	if verdicts[ExpectRuns] < 10 || verdicts[ExpectRefuses] < 3 {
		t.Errorf("too few to see anything: %v", verdicts)
	}
}

func setBatch(m *onnx.Model, size int64) {
	m.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: size}
}

// runNative asks native about a black image of the size that the model names.
func runNative(t *testing.T, model *onnx.Model) error {
	t.Helper()
	r, err := OpenNative(t.Context(), model, NativeOptions{})
	if err != nil {
		return err
	}
	defer r.Close()
	sizes := slices.Clone(r.(*nativeRuntime).ports.InputDims[1:])
	for i, size := range sizes {
		if size == port.Unknown {
			sizes[i] = triedSizes()[0]
		}
	}
	for len(sizes) < 3 {
		sizes = append([]int{1}, sizes...)
	}
	batch := Batch{N: 1, C: sizes[0], H: sizes[1], W: sizes[2],
		Pixels: make([]float32, sizes[0]*sizes[1]*sizes[2])}
	_, err = r.Run(t.Context(), batch)
	return err
}

// What would take too long to try, or has no size, is not said to run.
func TestSupportDoesNotPromiseWhatItDidNotTry(t *testing.T) {
	large := g.New(g.Free, 64, 1<<12, 1<<12).Weight("w", -1, 1, 64, 64, 3, 3).Node("c = Conv x w").
		Node("p = GlobalMaxPool c").Node("f = Flatten p").Dense("f", 64).Model()
	open := g.New(g.Free, 1, 4, 4).Node("f = Flatten x").Dense("f", 16).Model()
	for i := range 2 {
		open.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim[2+
			i].Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "size" + string(rune('0'+i))}
	}
	open.Proto.Graph.Node[0].Attribute = nil
	for name, test := range map[string]struct {
		model *onnx.Model
		want  string
	}{"large": {large, "multiply-adds"}, "open": {open, "image size is open"}} {
		verdicts, err := Support(t.Context(), &onnx.Model{Proto: proto.CloneOf(test.model.Proto)})
		if err != nil {
			t.Fatal(err)
		}
		if v := verdictOf(t, verdicts, RuntimeNative); v.Expectation != ExpectUnknown ||
			!strings.Contains(v.Reasons[0].Text, test.want) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
