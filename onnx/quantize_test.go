package onnx

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// goldenRanges are the ranges that onnxruntime's calibrator measured.
func goldenRanges(t *testing.T) map[string]Range {
	t.Helper()
	data, err := os.ReadFile("testdata/quantized/ranges.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Ranges map[string][2]float32 }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	ranges := make(map[string]Range)
	for name, pair := range golden.Ranges {
		ranges[name] = Range{pair[0], pair[1]}
	}
	return ranges
}

// TestQuantizeIsAsONNXRuntimesTool compares every parameter and every integer of a
// model with what quantize_static made of the same ranges
// (scripts/quantization/make-golden): a channel of zeros, one whose bias does not fit
// the scale of its weights, one without bias, both orders of Gemm's weight, zero
// points at the ends and in the middle.
func TestQuantizeIsAsONNXRuntimesTool(t *testing.T) {
	golden := readModel(t, "testdata/quantized/quantized.onnx")
	ours, err := Quantize(readModel(t, "testdata/quantized/float.onnx"), goldenRanges(t))
	if err != nil {
		t.Fatal(err)
	}
	// The tool's name by ours.
	theirs := func(name string) string {
		if base, ok := strings.CutSuffix(name, ".quantized"); ok {
			return base + "_quantized"
		}
		for _, suffix := range []string{".scale", ".zero_point"} {
			if base, ok := strings.CutSuffix(name, suffix); ok {
				if strings.HasSuffix(base, ".bias") {
					base += "_quantized"
				}
				return base + "_" + suffix[1:]
			}
		}
		return name
	}
	compared := make(map[string]bool)
	for _, tensor := range ours.Proto.GetGraph().GetInitializer() {
		name := theirs(tensor.GetName())
		want, ok := golden.Initializer(name)
		if !ok {
			t.Errorf("%s: the tool has no %s", tensor.GetName(), name)
			continue
		}
		compared[name] = true
		if tensor.GetDataType() != want.GetDataType() {
			t.Errorf("%s is of %s, the tool's of %s", name, message.TypeLabel(tensor.GetDataType()),
				message.TypeLabel(want.GetDataType()))
			continue
		}
		if a, b := rawOf(t, tensor), rawOf(t, want); !bytes.Equal(a, b) {
			t.Errorf("%s: %x, the tool has %x", name, a, b)
		}
	}
	for _, tensor := range golden.Proto.GetGraph().GetInitializer() {
		// The tool quantizes the scores, too, which costs accuracy and gains nothing.
		if name := tensor.GetName(); !compared[name] && name != "logits_scale" &&
			name != "logits_zero_point" {
			t.Errorf("the tool's %s is not in our model", name)
		}
	}
	if len(compared) != 29 {
		t.Errorf("%d tensors were compared, want 29", len(compared))
	}
}

// rawOf returns a tensor's elements as raw_data has them.
func rawOf(t *testing.T, tensor *onnxpb.TensorProto) []byte {
	t.Helper()
	if len(tensor.GetRawData()) > 0 {
		return tensor.GetRawData()
	}
	var raw []byte
	switch onnxpb.TensorProto_DataType(tensor.GetDataType()) {
	case onnxpb.TensorProto_FLOAT:
		return rawFloats(tensor.GetFloatData()...)
	case onnxpb.TensorProto_INT8, onnxpb.TensorProto_UINT8:
		for _, v := range tensor.GetInt32Data() {
			raw = append(raw, byte(v))
		}
	case onnxpb.TensorProto_INT32:
		for _, v := range tensor.GetInt32Data() {
			raw = append(raw, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
	default:
		t.Fatalf("%s: unexpected type", tensor.GetName())
	}
	return raw
}

func TestQuantizeRange(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, test := range []struct {
		r    Range
		want quantization
	}{
		{Range{0, 255}, quantization{1, 0}},
		{Range{0, 510}, quantization{2, 0}},
		{Range{3, 255}, quantization{1, 0}}, // 0 is in every range
		{Range{-255, -3}, quantization{1, 255}},
		{Range{-128, 127}, quantization{1, 128}},
		{Range{0, 0}, quantization{1, 0}},
		{Range{0, 1e-40}, quantization{1, 0}}, // below float32's full precision
		{Range{-math.MaxFloat32, math.MaxFloat32}, quantization{float32(2 * math.MaxFloat32 / 255), 128}},
	} {
		got, err := quantizeRange(test.r)
		if err != nil || got != test.want {
			t.Errorf("%v: %v, %v; want %v", test.r, got, err, test.want)
		}
	}
	for _, r := range []Range{{0, inf}, {-inf, 0}} {
		if _, err := quantizeRange(r); err == nil {
			t.Errorf("%v has a quantization", r)
		}
	}
}

// TestQuantizationIsTheOperatorsDefinition tries halves, the ends and beyond.
func TestQuantizationIsTheOperatorsDefinition(t *testing.T) {
	q := quantization{Scale: 2, ZeroPoint: 128}
	for x, want := range map[float32]int32{
		0: 128, 1: 128, 3: 130, 5: 130, -1: 128, -3: 126, 1.0001: 129, 254: 255, 255: 255, 1e30: 255,
		-256: 0, -257: 0, -1e30: 0,
		float32(math.Inf(1)): 255, float32(math.Inf(-1)): 0,
	} {
		if got := q.Quantize(x, 0, 255); got != want {
			t.Errorf("%v becomes %d, want %d", x, got, want)
		}
	}
	if got := q.Quantize(float32(math.NaN()), 0, 255); got != 0 {
		t.Errorf("NaN becomes %d", got)
	}
	for integer := range int32(256) {
		if x := q.Dequantize(integer); x != 2*float32(integer-128) || q.Quantize(x, 0, 255) != integer {
			t.Errorf("%d stands for %v, which becomes %d", integer, x, q.Quantize(x, 0, 255))
		}
	}
	if got := (quantization{Scale: 0.5, ZeroPoint: math.MinInt32}).
		Dequantize(math.MaxInt32); got != float32(math.MaxUint32)*0.5 {
		t.Errorf("the widest difference gives %v", got)
	}
}

func TestQuantizeNeedsWhatItNeeds(t *testing.T) {
	m := readModel(t, "testdata/quantized/float.onnx")
	names, err := QuantizedValues(m)
	if err != nil || strings.Join(names, " ") != "image relu1.output conv2.output relu3.output" {
		t.Fatalf("%v, %v", names, err)
	}
	ranges := goldenRanges(t)
	delete(ranges, "conv2.output")
	if _, err := Quantize(m, ranges); err == nil ||
		!strings.Contains(err.Error(), `the range of the value "conv2.output" is not given`) {
		t.Errorf("%v", err)
	}
	bad := goldenRanges(t)
	bad["relu1.output"] = Range{0, float32(math.Inf(1))}
	if _, err := Quantize(m, bad); err == nil ||
		!strings.Contains(err.Error(), `"relu1.output": the range 0…+Inf is not finite`) {
		t.Errorf("%v", err)
	}
	old := readModel(t, "testdata/quantized/float.onnx")
	old.Proto.OpsetImport[0].Version = new(int64)
	*old.Proto.OpsetImport[0].Version = 12
	if _, err := QuantizedValues(old); err == nil || !strings.Contains(err.Error(), "opset is 12") {
		t.Errorf("%v", err)
	}
	quantized, err := Quantize(m, goldenRanges(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := QuantizedValues(quantized); err == nil ||
		!strings.Contains(err.Error(), "nothing to quantize") {
		t.Errorf("a quantized model can be quantized again: %v", err)
	}
	spoilt := readModel(t, "testdata/quantized/float.onnx")
	weight, _ := spoilt.Initializer("fc1.bias")
	weight.RawData = rawFloats(make([]float32, 15)...)
	weight.RawData = append(weight.RawData, rawFloats(float32(math.NaN()))...)
	if _, err := Quantize(spoilt, goldenRanges(t)); err == nil ||
		!strings.Contains(err.Error(), `the node "fc1": channel 15 has the weight or bias NaN`) {
		t.Errorf("%v", err)
	}
}

// TestCheckQuantizeLinear tells wrong scales and zero points from right ones.
func TestCheckQuantizeLinear(t *testing.T) {
	for _, test := range []struct {
		name, want string
		spoil      func(*onnxpb.GraphProto)
	}{
		{"right", "", func(*onnxpb.GraphProto) {}},
		{"scale of another length", "must have as many numbers", func(g *onnxpb.GraphProto) {
			resize(g, "conv1.weight.scale", 3)
			resize(g, "conv1.weight.zero_point", 3)
		}},
		{"zero point of another length", "must be of one shape", func(g *onnxpb.GraphProto) {
			resize(g, "conv1.weight.zero_point", 3)
		}},
		{"zero point of another type", "they must be the same", func(g *onnxpb.GraphProto) {
			for _, tensor := range g.GetInitializer() {
				if tensor.GetName() == "conv1.weight.zero_point" {
					*tensor.DataType = int32(onnxpb.TensorProto_UINT8)
				}
			}
		}},
		{"axis", "axis is 4", func(g *onnxpb.GraphProto) { *g.GetNode()[0].Attribute[0].I = 4 }},
	} {
		m, err := Quantize(readModel(t, "testdata/quantized/float.onnx"), goldenRanges(t))
		if err != nil {
			t.Fatal(err)
		}
		test.spoil(m.Proto.GetGraph())
		err = m.Check()
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// resize makes a vector of n elements.
func resize(g *onnxpb.GraphProto, name string, n int64) {
	for _, tensor := range g.GetInitializer() {
		if tensor.GetName() == name {
			width := int64(len(tensor.RawData)) / tensor.Dims[0]
			tensor.Dims, tensor.RawData = []int64{n}, tensor.RawData[:n*width]
		}
	}
}
