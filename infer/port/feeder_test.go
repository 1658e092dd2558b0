package port

import (
	"slices"
	"testing"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// A Feeder gives each batch's own pixels, be they as many as before, in the same memory, or
// neither.
func TestBatchesOfAFeeder(t *testing.T) {
	a, b := []float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}
	var feeder Feeder
	for i, pixels := range [][]float32{a, a, b, b[:2], a[:2], a, a[1:3], b[1:3]} {
		batch := Batch{N: 1, C: 1, H: 1, W: len(pixels), Pixels: pixels}
		got, err := feeder.Feed(Ports{InputType: onnxpb.TensorProto_FLOAT}, ChannelsFirst, batch)
		if err != nil || !slices.Equal(got.([]float32), pixels) {
			t.Errorf("batch %d: %v, %v; want %v", i, got, err, pixels)
		}
	}
}

// The size of images is told by the dimension that their channels are.
func TestSizesOfImages(t *testing.T) {
	for _, test := range []struct {
		dims          []int
		channels      int
		height, width int
	}{
		{[]int{Unknown, 3, 28, 32}, 3, 28, 32}, {[]int{Unknown, 28, 32, 3}, 3, 28, 32},
		{[]int{Unknown, 28, 32}, 1, 28, 32}, {[]int{Unknown, 3, Unknown, 32}, 3, 0, 32},
		{[]int{Unknown, 28, 32, 4}, 3, 0, 0}, {[]int{Unknown, 28, 32, 3}, 0, 0, 0},
		{[]int{Unknown, 784}, 1, 0, 0}, {[]int{Unknown, 3, 3, 3}, 3, 3, 3},
	} {
		height, width := Ports{InputDims: test.dims}.Size(test.channels)
		if height != test.height || width != test.width {
			t.Errorf("%v of %d channels: %d×%d, want %d×%d", test.dims, test.channels, height, width,
				test.height, test.width)
		}
	}
}

// What an image takes is told of one, however many the model fixes; none is no number of them.
func TestBytesOfAnImage(t *testing.T) {
	made := func(batch int64) *onnx.Model {
		return graphmaker.New(batch, 2, 4, 4).Node("a = Relu x").Node("y = Neg a").Model()
	}
	none := made(3)
	first := none.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim[0]
	first.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{}
	for name, test := range map[string]struct {
		model *onnx.Model
		bytes int64
		fixed int
	}{
		"free": {made(graphmaker.Free), 2 * 2 * 4 * 4 * 4, 0}, "3": {made(3), 2 * 2 * 4 * 4 * 4, 3},
		"1": {made(1), 2 * 2 * 4 * 4 * 4, 1}, "0": {none, 0, 0},
	} {
		if bytes, fixed := ImageBytes(test.model); bytes != test.bytes || fixed != test.fixed {
			t.Errorf("a batch of %s: %d bytes, fixed %d; want %d and %d", name, bytes, fixed,
				test.bytes, test.fixed)
		}
	}
}

// One score an image is a class's logit or its probability, several are what the graph's end says.
func TestScalesByTheGraphsEnd(t *testing.T) {
	scores := func(n int64) *graphmaker.Graph {
		return graphmaker.New(graphmaker.Free, 6).Weight("w", -1, 1, 6, n).Node("a = MatMul x w")
	}
	for name, test := range map[string]struct {
		graph *graphmaker.Graph
		want  Scale
	}{
		"one logit":        {scores(1).Node("y = Neg a"), OfLogits},
		"one sigmoid":      {scores(1).Node("y = Sigmoid a"), OfProbabilities},
		"one hard sigmoid": {scores(1).Node("y = HardSigmoid a"), OfProbabilities},
		"several logits":   {scores(4).Node("y = Neg a"), OfLogits},
		"several sigmoids": {scores(4).Node("y = Sigmoid a"), OfIndependentProbabilities},
	} {
		model := test.graph.Model()
		if got := ScaleOf(model, ""); got != test.want {
			t.Errorf("%s: scale %d, want %d", name, got, test.want)
		}
	}
}
