package infer

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/dataset"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// noiseSet are images of noise, of a shape and a number of classes of their own.
func noiseSet(images, channels, height, width, classes int) *dataset.Set {
	random := rand.New(rand.NewPCG(16, 16))
	set := &dataset.Set{Name: "noise", Channels: channels, Height: height, Width: width,
		Classes: classes}
	for range images * channels * height * width {
		set.Images = append(set.Images, uint8(random.IntN(256)))
	}
	for range images {
		set.Labels = append(set.Labels, int32(random.IntN(classes)))
	}
	return set
}

// deepNetwork has that many convolutions, each with LeakyRelu, and ends in sums that
// cancel: a large part that all classes share is added by one Gemm and taken off by
// the next. What is left of it is rounding.
func deepNetwork(t *testing.T, convolutions int, edit func(g *onnxpb.GraphProto)) *onnx.Model {
	t.Helper()
	const channels, classes, size = 8, 5, 8
	random := rand.New(rand.NewPCG(7, 7))
	graph := &onnxpb.GraphProto{Name: proto.String("deep")}
	weights := func(name string, spread, shared float64, dims ...int64) string {
		size := int64(1)
		for _, dim := range dims {
			size *= dim
		}
		values := make([]float32, size)
		for i := range values {
			values[i] = float32(shared + spread*random.NormFloat64())
		}
		tensor, err := onnx.FloatTensor(name, dims, values)
		if err != nil {
			t.Fatal(err)
		}
		graph.Initializer = append(graph.Initializer, tensor)
		return name
	}
	integers := func(name string, values ...int64) *onnxpb.AttributeProto {
		return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum(),
			Ints: values}
	}
	node := func(operator, name string, inputs []string, attributes ...*onnxpb.AttributeProto) {
		graph.Node = append(graph.Node, &onnxpb.NodeProto{OpType: proto.String(operator),
			Name: proto.String(name), Input: inputs, Output: []string{name + ".output"},
			Attribute: attributes})
	}
	last, in := "image", int64(2)
	for i := range convolutions {
		name := fmt.Sprintf("conv%d", i)
		node("Conv", name,
			[]string{last, weights(name+".weight", math.Sqrt(2/(9*float64(in))), 0, channels, in, 3, 3),
				weights(name+".bias", 0.1, 0, channels)},
			integers("kernel_shape", 3, 3), integers("pads", 1, 1, 1, 1))
		node("LeakyRelu", name+".relu", []string{name + ".output"})
		last, in = name+".relu.output", channels
	}
	node("Flatten", "flatten", []string{last})
	node("Gemm", "shared",
		[]string{"flatten.output", weights("shared.weight", 0.02, 0.1, channels*size*size, 16)})
	centre := weights("centre.weight", 1, 0, 16, classes)
	node("Gemm", "centre", []string{"shared.output", centre})
	graph.Node[len(graph.Node)-1].Output[0] = "logits"
	values, err := onnx.Floats(graph.Initializer[len(graph.Initializer)-1])
	if err != nil {
		t.Fatal(err)
	}
	for class := range classes { // each column adds up to 0
		mean := float32(0)
		for row := range 16 {
			mean += values[row*classes+class] / 16
		}
		for row := range 16 {
			values[row*classes+class] -= mean
		}
	}
	tensor, err := onnx.FloatTensor(centre, []int64{16, classes}, values)
	if err != nil {
		t.Fatal(err)
	}
	graph.Initializer[len(graph.Initializer)-1] = tensor
	port := func(name string, dims ...int64) *onnxpb.ValueInfoProto {
		shape := &onnxpb.TensorShapeProto{Dim: []*onnxpb.TensorShapeProto_Dimension{{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}}}}
		for _, dim := range dims {
			shape.Dim = append(shape.Dim,
				&onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: dim}})
		}
		return &onnxpb.ValueInfoProto{Name: proto.String(name),
			Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
				TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
					Shape: shape}}}}
	}
	graph.Input = []*onnxpb.ValueInfoProto{port("image", 2, size, size)}
	graph.Output = []*onnxpb.ValueInfoProto{port("logits", classes)}
	edit(graph)
	model := &onnx.Model{Proto: &onnxpb.ModelProto{IrVersion: proto.Int64(7),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}}, Graph: graph}}
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	return model
}

// changeWeight changes the numbers of an initializer.
func changeWeight(t *testing.T, graph *onnxpb.GraphProto, name string,
	change func(values []float32)) {
	t.Helper()
	for i, tensor := range graph.Initializer {
		if tensor.GetName() != name {
			continue
		}
		values, err := onnx.Floats(tensor)
		if err != nil {
			t.Fatal(err)
		}
		change(values)
		if graph.Initializer[i], err = onnx.FloatTensor(name, tensor.Dims, values); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("there is no %q", name)
}

// answersIn runs a model on a set.
func answersIn(t *testing.T, name string, model *onnx.Model, set *dataset.Set) Logits {
	t.Helper()
	runtime, err := OpenRuntime(t.Context(), name, model, RuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	result, err := Evaluate(t.Context(), runtime, set, EvaluateOptions{KeepLogits: true})
	if err != nil {
		t.Fatal(err)
	}
	return result.Logits
}

func measured(t *testing.T, name string, model *onnx.Model, set *dataset.Set,
	logits Logits) Rounding {
	t.Helper()
	rounding, err := MeasureRounding(t.Context(), name, model, RuntimeOptions{Device: DeviceCPU}, set,
		dataset.Pixels{}, logits)
	if err != nil {
		t.Fatal(err)
	}
	return rounding
}

// TestRoundingOfADeepNetwork has one that rounds by more than the default tolerance,
// and is sound. By its measured rounding it agrees, and the same with a small fault does not.
func TestRoundingOfADeepNetwork(t *testing.T) {
	needLibrary(t)
	set := noiseSet(300, 2, 8, 8, 5)
	sound := deepNetwork(t, 60, func(*onnxpb.GraphProto) {})
	first, second := answersIn(t, RuntimeONNXRuntime, sound, set), answersIn(t, RuntimeNative, sound,
		set)
	c, err := Compare(first, second, DefaultTolerance)
	if err != nil || c.Agree() {
		t.Fatalf("the network does not round by more than the default: %.3g, %v", c.MaxRelDiff, err)
	}
	for name, logits := range map[string]Logits{RuntimeONNXRuntime: first, RuntimeNative: second} {
		rounding := measured(t, name, sound, set, logits)
		allowed := rounding.Allowance()
		t.Logf("%s: %.3g of the range apart, %.3g measured, tolerance %.3g", name, c.MaxRelDiff,
			rounding.Measured, allowed.Tolerance)
		if allowed.Share != 0 || rounding.Steps || allowed.Tolerance > 20*c.MaxRelDiff {
			t.Errorf("%s: %+v allows %+v", name, rounding, allowed)
		}
		if !strings.HasPrefix(rounding.String(), "4 times the rounding measured between "+name) ||
			!strings.HasSuffix(rounding.String(), "on 64 images") {
			t.Errorf("%s says %q", name, rounding)
		}
		within, err := CompareAnswers(Answers{Scores: first}, Answers{Scores: second}, Head{}, allowed)
		if err != nil || !within.Agree() {
			t.Errorf("%s: %v, %s", name, err, within.Reason())
		}
		for fault, edit := range map[string]func(g *onnxpb.GraphProto){
			"a bias is 0": func(g *onnxpb.GraphProto) {
				changeWeight(t, g, "conv30.bias", func(v []float32) { clear(v) })
			},
			"one weight off by 0.001": func(g *onnxpb.GraphProto) {
				changeWeight(t, g, "conv59.weight", func(v []float32) { v[40] += 1e-3 })
			},
		} {
			wrong := answersIn(t, RuntimeNative, deepNetwork(t, 60, edit), set)
			c, err := CompareAnswers(Answers{Scores: first}, Answers{Scores: wrong}, Head{}, allowed)
			t.Logf("%s: %.3g of the range apart", fault, c.MaxRelDiff)
			if err != nil || c.Agree() {
				t.Errorf("%s, %s: agrees, %.3g of the range apart, %v", name, fault, c.MaxRelDiff, err)
			}
		}
	}
}

// TestRoundingOfIntegers moves a value of an int8 graph over the edge of a step.
// Few images may meet that, and what moves all of them is a fault.
func TestRoundingOfIntegers(t *testing.T) {
	needLibrary(t)
	set, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	indices := make([]int, 1000)
	for i := range indices {
		indices[i] = 10 * i
	}
	if set, err = set.Subset(indices); err != nil {
		t.Fatal(err)
	}
	quantized := func(edit func(g *onnxpb.GraphProto)) *onnx.Model {
		model, err := LoadModel("../graphs/e1.onnx")
		if err != nil {
			t.Fatal(err)
		}
		edit(model.Proto.Graph)
		values, err := onnx.QuantizedValues(model)
		if err != nil {
			t.Fatal(err)
		}
		ranges := make(map[string]onnx.Range)
		for _, value := range values {
			ranges[value] = onnx.Range{Min: -20, Max: 60}
		}
		ranges["image"] = onnx.Range{Min: 0, Max: 255}
		if model, err = onnx.Quantize(model, ranges); err != nil {
			t.Fatal(err)
		}
		return model
	}
	sound := quantized(func(*onnxpb.GraphProto) {})
	first := answersIn(t, RuntimeONNXRuntime, sound, set)
	rounding := measured(t, RuntimeONNXRuntime, sound, set, first)
	allowed := rounding.Allowance()
	t.Logf("%v: %+v allows %+v", rounding, rounding, allowed)
	if !rounding.Steps || rounding.Images != 256 || rounding.Beyond == 0 ||
		allowed.Tolerance <= DefaultTolerance || allowed.Share <= 0 || allowed.Share > 0.07 {
		t.Errorf("%+v allows %+v", rounding, allowed)
	}
	if text := rounding.String(); !strings.Contains(text, "steps") ||
		!strings.Contains(text, "% of the images") {
		t.Errorf("%q", text)
	}
	for name, test := range map[string]struct {
		edit  func(g *onnxpb.GraphProto)
		agree bool
	}{
		"sound": {func(*onnxpb.GraphProto) {}, true},
		"a bias is 0": {func(g *onnxpb.GraphProto) {
			changeWeight(t, g, "conv2.bias", func(v []float32) { clear(v) })
		}, false},
		"a weight": {func(g *onnxpb.GraphProto) {
			changeWeight(t, g, "fc2.weight", func(v []float32) { v[7] += 0.05 })
		}, false},
	} {
		second := answersIn(t, RuntimeNative, quantized(test.edit), set)
		c, err := CompareAnswers(Answers{Scores: first}, Answers{Scores: second}, Head{}, allowed)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.3g of the range apart, %d images beyond the default", name, c.MaxRelDiff, c.Beyond)
		if c.Agree() != test.agree {
			t.Errorf("%s: agree is %t: %s", name, c.Agree(), c.Reason())
		}
	}
}

func TestAllowance(t *testing.T) {
	for name, test := range map[string]struct {
		rounding Rounding
		want     Allowance
		says     string
	}{
		"nothing measured": {Rounding{Ways: "two ways", Images: 64}, Allowance{Tolerance: 1e-5},
			"4 times the rounding measured between two ways on 64 images"},
		"small": {Rounding{Images: 64, Measured: 2e-6}, Allowance{Tolerance: 1e-5}, "4 times"},
		"larger": {Rounding{Images: 64, Measured: 8e-6}, Allowance{Tolerance: 3.2e-5},
			"4 times"},
		"the most": {Rounding{Images: 64, Measured: 3e-4}, Allowance{Tolerance: 1e-3},
			"the most that is taken for rounding"},
		"no number": {Rounding{Images: 64, Measured: math.Inf(1)}, Allowance{Tolerance: 1e-3},
			"the most that is taken for rounding"},
		"steps": {Rounding{Images: 256, Measured: 1e-3, Steps: true, Beyond: 16},
			Allowance{Tolerance: 4e-3, Share: 4. * 16 / 256 / 64}, "0.39 % of the images"},
		"steps, the most": {Rounding{Images: 256, Measured: 1, Steps: true, Beyond: 256},
			Allowance{Tolerance: 1e-2, Share: 4. / 64}, "the most that is taken for rounding"},
	} {
		if got := test.rounding.Allowance(); math.Abs(got.Tolerance-test.want.Tolerance) > 1e-18 ||
			got.Share != test.want.Share {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
		if text := test.rounding.String(); !strings.Contains(text, test.says) {
			t.Errorf("%s: %q has no %q", name, text, test.says)
		}
	}
}

func TestWithShiftedSteps(t *testing.T) {
	scale, err := onnx.FloatTensor("scale", nil, []float32{0.5})
	if err != nil {
		t.Fatal(err)
	}
	model := endingIn(t)
	if shifted, err := withShiftedSteps(model); err != nil || shifted != nil {
		t.Errorf("a graph without integers: %v, %v", shifted, err)
	}
	graph := model.Proto.Graph
	graph.Initializer = append(graph.Initializer, scale)
	quantize := ending("QuantizeLinear", "bytes")
	quantize.Input = []string{"logits", "scale"}
	back := ending("DequantizeLinear", "scores")
	back.Input = []string{"bytes", "scale"}
	graph.Node = append(graph.Node, quantize, back)
	shifted, err := withShiftedSteps(model)
	if err != nil || shifted == nil {
		t.Fatalf("%v, %v", shifted, err)
	}
	part := shifted.Proto.Graph
	name := part.Node[len(part.Node)-2].Input[1]
	moved, err := onnx.Floats(part.Initializer[len(part.Initializer)-1])
	if err != nil || part.Initializer[len(part.Initializer)-1].GetName() != name ||
		!slices.Equal(moved, []float32{0.5 + 0x1p-18}) {
		t.Errorf("%q is %v, %v", name, moved, err)
	}
	if quantize.Input[1] != "scale" || back.Input[1] != "scale" ||
		part.Node[len(part.Node)-1].Input[1] != "scale" {
		t.Error("the model itself, or what its integers stand for, is changed")
	}
}

func TestMeasureRoundingRefuses(t *testing.T) {
	model := endingIn(t)
	set := noiseSet(4, 1, 28, 28, 10)
	logits := Logits{N: 4, K: 10, Values: make([]float32, 40)}
	if _, err := MeasureRounding(t.Context(), RuntimeONNXGo, model, RuntimeOptions{}, set,
		dataset.Pixels{}, logits); !errors.Is(err, ErrUnsupported) {
		t.Errorf("onnx-go: %v", err)
	}
	if _, err := MeasureRounding(t.Context(), RuntimeNative, model, RuntimeOptions{}, set,
		dataset.Pixels{}, Logits{N: 3, K: 10, Values: make([]float32, 30)}); err == nil {
		t.Error("logits of 3 images are taken for a set of 4")
	}
	if _, err := MeasureRounding(t.Context(), RuntimeNative, model, RuntimeOptions{}, set,
		dataset.Pixels{}, Logits{N: 4, K: 9, Values: make([]float32, 36)}); err == nil {
		t.Error("logits of 9 classes are taken for a model of 10")
	}
}

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		n, count int
		want     []int
	}{{10, 4, []int{0, 2, 5, 7}}, {3, 64, []int{0, 1, 2}}, {1, 1, []int{0}}} {
		if got := spread(test.n, test.count); !slices.Equal(got, test.want) {
			t.Errorf("%d of %d: %v, want %v", test.count, test.n, got, test.want)
		}
	}
}
