package infer

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/port"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// setType gives an input or an output another element type.
func setType(value *onnxpb.ValueInfoProto, elementType onnxpb.TensorProto_DataType) {
	value.Type.GetTensorType().ElemType = proto.Int32(int32(elementType))
}

// setShape declares an output's shape; 0 is an open dimension.
func setShape(value *onnxpb.ValueInfoProto, sizes ...int64) {
	shape := &onnxpb.TensorShapeProto{}
	for _, size := range sizes {
		dim := &onnxpb.TensorShapeProto_Dimension{}
		if size != 0 {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: size}
		}
		shape.Dim = append(shape.Dim, dim)
	}
	value.Type.GetTensorType().Shape = shape
}

// castPorts is a model of float32 behind ports of another type.
func castPorts(elementType onnxpb.TensorProto_DataType) *onnx.Model {
	to := func(t onnxpb.TensorProto_DataType) *onnxpb.AttributeProto {
		return graphmaker.Int("to", int64(t))
	}
	m := graphmaker.New(graphmaker.Free, 2, 3, 3).
		Node("wide = Cast x", to(onnxpb.TensorProto_FLOAT)).
		Weight("w", -1, 1, 4, 2, 3, 3).Node("c = Conv wide w").Node("f = Flatten c").Dense("f", 4).
		Node("end = Cast y", to(elementType)).Model()
	setType(m.Proto.Graph.Input[0], elementType)
	setType(m.Proto.Graph.Output[0], elementType)
	setShape(m.Proto.Graph.Output[0], 0, 4)
	return m
}

// openBoth opens a model in onnxruntime and in the native runtime.
func openBoth(t *testing.T, model *onnx.Model) []Runtime {
	t.Helper()
	needLibrary(t)
	onnxRuntime, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { onnxRuntime.Close() })
	native, err := OpenNative(t.Context(), model, NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { native.Close() })
	return []Runtime{onnxRuntime, native}
}

// grey is n images of C×H×W pixels in 0…1, no two alike.
func grey(n, c, h, w int) Batch {
	b := Batch{N: n, C: c, H: h, W: w, Pixels: make([]float32, n*c*h*w)}
	for i := range b.Pixels {
		b.Pixels[i] = float32((37*i+11)%256) / 255
	}
	return b
}

// Pixels are rounded to the input's type as the graph itself would round them, and
// scores come back as float32.
func TestPortsOfOtherTypes(t *testing.T) {
	for _, elementType := range []onnxpb.TensorProto_DataType{onnxpb.TensorProto_FLOAT16,
		onnxpb.TensorProto_DOUBLE} {
		t.Run(port.ElementName(elementType), func(t *testing.T) {
			batch := grey(5, 2, 3, 3)
			rounded := batch
			rounded.Pixels = slices.Clone(batch.Pixels)
			if elementType == onnxpb.TensorProto_FLOAT16 {
				for i, v := range rounded.Pixels {
					rounded.Pixels[i] = onnx.NewFloat16(v).Float32()
				}
			}
			for i, r := range openBoth(t, castPorts(elementType)) {
				want, err := openBoth(t, castPorts(onnxpb.TensorProto_FLOAT))[i].Run(t.Context(), rounded)
				if err != nil {
					t.Fatal(err)
				}
				got, err := r.Run(t.Context(), batch)
				if err != nil {
					t.Fatal(err)
				}
				if elementType == onnxpb.TensorProto_FLOAT16 {
					for k, v := range want.Values {
						want.Values[k] = onnx.NewFloat16(v).Float32()
					}
				}
				if got.N != 5 || got.K != 4 || !slices.Equal(got.Values, want.Values) {
					t.Errorf("%s answers %v, want %v", r.Info().Runtime, got, want)
				}
			}
		})
	}
}

// A graph that computes in float16 runs in onnxruntime, shows its values there, and is
// refused by native with the reason.
func TestGraphOfFloat16(t *testing.T) {
	m := graphmaker.New(graphmaker.Free, 2, 3, 3).Weight("w", -1, 1, 4, 2, 3, 3).Node("c = Conv x w").
		Node("f = Flatten c").Dense("f", 4).Model()
	wide := &onnx.Model{Proto: proto.CloneOf(m.Proto)}
	for _, tensor := range m.Proto.Graph.Initializer {
		for _, v := range tensor.FloatData {
			tensor.Int32Data = append(tensor.Int32Data, int32(onnx.NewFloat16(v)))
		}
		tensor.FloatData, tensor.DataType = nil, proto.Int32(int32(onnxpb.TensorProto_FLOAT16))
	}
	setType(m.Proto.Graph.Input[0], onnxpb.TensorProto_FLOAT16)
	setType(m.Proto.Graph.Output[0], onnxpb.TensorProto_FLOAT16)
	needLibrary(t)
	var answers []Logits
	batch := grey(3, 2, 3, 3)
	for _, model := range []*onnx.Model{wide, m} {
		r, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		logits, err := r.Run(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := r.(Tracer).Trace(t.Context(), batch, []string{"c", "y"})
		if err != nil || tensors[0].Missing != nil || len(tensors[0].Values) != 12 ||
			tensors[1].Missing != nil {
			t.Fatalf("trace %+v, %v", tensors, err)
		}
		answers = append(answers, logits, Logits{N: 3, K: 4, Values: tensors[0].Values})
	}
	for i := range 2 {
		// Some twenty roundings of 2⁻¹¹ each, of sums of 18 products.
		if c, err := Compare(answers[i], answers[2+i], 1e-2); err != nil || !c.Agree() {
			t.Errorf("%+v, %v", c, err)
		}
	}
	r, err := OpenNative(t.Context(), m, NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Run(t.Context(), batch); !errors.Is(err, ErrUnsupported) ||
		!strings.Contains(err.Error(), "only float32 is supported") {
		t.Errorf("%v", err)
	}
}

// singleScoreModel gives one score an image in several shapes.
func singleScoreModel(ending ...string) *onnx.Model {
	g := graphmaker.New(graphmaker.Free, 1, 2, 2).Node("f = Flatten x").Weight("w", -1, 1, 4, 1).
		Node("z = MatMul f w")
	for _, text := range ending {
		g.Node(text)
	}
	return g.Integers("vector", -1).Model()
}

func TestSingleScoreIsTwoClasses(t *testing.T) {
	sigmoid := func(z float32) float32 { return float32(1 / (1 + math.Exp(-float64(z)))) }
	batch := grey(6, 1, 2, 2)
	for i := range batch.Pixels {
		batch.Pixels[i] -= 0.5
	}
	reference := singleScoreModel()
	logits, err := openBoth(t, reference)[0].Run(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, note string
		ending     []string
		sigmoid    bool
		shape      []int64 // declared; nil for inference to find
	}{
		{"logit", "read as the logit of class 1", nil, false, nil},
		{"logit of shape N", "read as the logit", []string{"v = Reshape z vector"}, false, []int64{0}},
		{"probability", "read as the probability of class 1", []string{"p = Sigmoid z"}, true, nil},
		{"probability of shape N", "probability", []string{"p = Sigmoid z", "i = Identity p",
			"v = Reshape i vector"}, true, []int64{0}},
		{"a shape that nobody knows", "probability",
			[]string{"p = Sigmoid z", "s = Shape p", "v = Reshape p s"}, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			model := singleScoreModel(test.ending...)
			if test.shape != nil {
				setShape(model.Proto.Graph.Output[0], test.shape...)
			}
			for _, r := range openBoth(t, model) {
				got, err := r.Run(t.Context(), batch)
				if err != nil {
					t.Fatal(err)
				}
				if got.N != 6 || got.K != 2 {
					t.Fatalf("%d×%d scores", got.N, got.K)
				}
				classes := map[int]bool{}
				for i := range got.N {
					z, row := logits.Row(i)[1], got.Row(i)
					want := []float32{0, z}
					if test.sigmoid {
						want = []float32{1 - sigmoid(z), sigmoid(z)}
					}
					if math.Abs(float64(row[0]-want[0])) > 1e-6 || math.Abs(float64(row[1]-want[1])) > 1e-6 {
						t.Errorf("%s: image %d has %v, want %v", r.Info().Runtime, i, row, want)
					}
					if label := got.Label(i); (label == 1) != (z > 0) {
						t.Errorf("%s: image %d of logit %g is class %d", r.Info().Runtime, i, z, label)
					}
					classes[got.Label(i)] = true
				}
				if len(classes) != 2 {
					t.Error("all images are of one class: the threshold is not tried")
				}
				if notes := strings.Join(r.Info().Notes, "\n"); !strings.Contains(notes, test.note) {
					t.Errorf("%s: notes %q", r.Info().Runtime, notes)
				}
			}
		})
	}
}

// Where there are scores of several classes, a single one beside them is not asked for.
func TestManyScoresGoBeforeOne(t *testing.T) {
	g := graphmaker.New(graphmaker.Free, 1, 2, 2).Node("f = Flatten x").Weight("w", -1, 1, 4, 1).
		Node("one = MatMul f w").Dense("f", 4)
	m := g.Model()
	one := proto.CloneOf(m.Proto.Graph.Output[0])
	one.Name = proto.String("one")
	setShape(one, 0, 1)
	setShape(m.Proto.Graph.Output[0], 0, 4)
	m.Proto.Graph.Output = append([]*onnxpb.ValueInfoProto{one}, m.Proto.Graph.Output...)
	for name, want := range map[string]string{"": "y", "one": "one"} {
		p, err := port.Find(m, name)
		if err != nil || p.Output != want {
			t.Errorf("asked for %q: %q, %v", name, p.Output, err)
		}
	}
}

// A batch of no images is refused, in the model and by Run, in every runtime alike.
func TestBatchOfNoImages(t *testing.T) {
	for _, r := range openBoth(t, graphmaker.New(graphmaker.Free, 4).Dense("x", 4).Model()) {
		if _, err := r.Run(t.Context(), Batch{N: 0, C: 1, H: 2, W: 2}); err == nil ||
			!strings.Contains(err.Error(), "0×1×2×2") {
			t.Errorf("%s: %v", r.Info().Runtime, err)
		}
	}
	m := graphmaker.New(1, 4).Dense("x", 4).Model()
	m.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 0}
	const want = "takes batches of 0 images"
	if _, err := OpenNative(t.Context(), m, NativeOptions{}); err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("native: %v", err)
	}
	needLibrary(t)
	if _, err := OpenONNXRuntime(t.Context(), m, ONNXRuntimeOptions{Device: DeviceCPU}); err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("onnxruntime: %v", err)
	}
	if _, err := OpenONNXGo(t.Context(), m, ONNXGoOptions{Command: workerCommand()}); err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("onnx-go: %v", err)
	}
}
