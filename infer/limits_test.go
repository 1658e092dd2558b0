package infer

import (
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/dataset"
	"slipway/infer/port"
	"slipway/internal/safetensors"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// A comparison of what is the same, at the tolerance, and where the best two are as large.
func TestCompareAtItsLimits(t *testing.T) {
	nan := float32(math.NaN())
	for name, test := range map[string]struct {
		a, b            []float32
		differ, decided int
		image, class    int
	}{
		"constant": {make([]float32, 6), make([]float32, 6), 0, 0, 0, 0},
		"the first of two differences": {[]float32{0, 8, 0, 0, 8, 0}, []float32{0, 8.001, 0, 0, 8.001, 0},
			0, 0, 0, 1},
		"the first label, by rounding": {[]float32{1, 1 - 1e-6, 0, 8, 0, 0},
			[]float32{1 - 1e-6, 1, 0, 8, 0, 0}, 1, 0, 0, 0},
		"NaN beside two that are even": {[]float32{1, 0, 1, 8, 0, 0}, []float32{1, nan, 1, 8, 0, 0}, 1, 1,
			0, 1},
		"NaN there, the other way": {[]float32{1, nan, 1, 8, 0, 0}, []float32{1, 0, 1, 8, 0, 0}, 1, 1,
			0, 1},
	} {
		c, err := Compare(Logits{N: 2, K: 3, Values: test.a}, Logits{N: 2, K: 3, Values: test.b}, 1e-3)
		if err != nil || c.LabelsDiffer != test.differ || c.DecidedLabelsDiffer != test.decided ||
			c.WorstImage != test.image || c.WorstClass != test.class || math.IsNaN(c.MaxRelDiff) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	for _, alone := range []bool{false, true} {
		c := Comparison{MaxAbsDiff: 1, MaxRelDiff: 1e-3, ScoresRelDiff: 1e-3, Tolerance: 1e-3, Beyond: 2,
			MayBeBeyond: 2, scoresAlone: alone}
		if !c.Agree() || c.Reason() != "" {
			t.Errorf("at the tolerance, scores alone %v: agree %v, reason %q", alone, c.Agree(), c.Reason())
		}
	}
}

// A model that answers more right than its record says is no better than one that answers less.
func TestCheckRecordedOfMoreThanRecorded(t *testing.T) {
	logits := Logits{N: 4, K: 2, Values: []float32{0, 10, 10, 0, 3, 3.001, 0, 10}} // one is undecided
	record := onnx.TrainingRecord{TestAccuracy: 0.25, TestImages: 4}
	for correct, want := range map[int]string{2: "", 3: "3 of 4 images are answered right, the model records 1"} {
		err := CheckRecorded(&Result{Images: 4, Correct: correct, Logits: logits}, record, 1e-3)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d right: %v, want %q", correct, err, want)
		}
	}
}

// The pixel rule of a record is the data set's own where it is that, with its shift where it
// has one, and an error where the record is damaged.
func TestPixelsOfRecords(t *testing.T) {
	mean, err := dataset.StandardPixels(0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[float64]dataset.Pixels{0: dataset.UnitPixels(), -0.5: mean} {
		got, err := PixelsOf(onnx.TrainingRecord{PixelScale: 1.0 / 255, PixelOffset: offset})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("x/255%+g: %v, %v, want %v", offset, got, err, want)
		}
	}
	model := endingIn(t)
	if err := model.SetMetadata(map[string]string{"slipway.record": "2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := PixelsOfModel(model); err == nil ||
		!strings.Contains(err.Error(), `the version "2"`) {
		t.Errorf("a record of another version: %v", err)
	}
}

// The table of who is taken for whom is kept up to 4096 classes.
func TestConfusion(t *testing.T) {
	set := &dataset.Set{Name: "three", Channels: 1, Height: 1, Width: 1, Classes: 3,
		Images: make([]byte, 4), Labels: []int32{0, 1, 2, 2}}
	rows := Logits{N: 4, K: 3, Values: []float32{1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0}}
	var result Result
	if err := result.count(set.Info(), set.Labels, rows); err != nil {
		t.Fatal(err)
	}
	if want := [][]int{{1, 0, 0}, {1, 0, 0}, {1, 0, 1}}; !reflect.DeepEqual(result.Confusion, want) ||
		result.Correct != 2 {
		t.Errorf("%v, %d right, want %v and 2", result.Confusion, result.Correct, want)
	}
	for classes, kept := range map[int]bool{MostConfused: true, MostConfused + 1: false} {
		var result Result
		if err := result.count(set.Info(), set.Labels[:1],
			Logits{N: 1, K: classes, Values: make([]float32, classes)}); err != nil ||
			(result.Confusion != nil) != kept {
			t.Errorf("%d classes: kept %v, %v", classes, result.Confusion != nil, err)
		}
	}
	for scores, want := range map[int]string{3: "",
		2: "the model tells 2 classes apart, 0 to 1; in three labels are 0 to 2"} {
		err := checkClasses(set, scores)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%d scores: %v, want %q", scores, err, want)
		}
	}
}

// A reference may have one score for each image.
func TestReferenceOfOneScore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logits.safetensors")
	for shape, want := range map[[2]int]bool{{2, 1}: true, {1, 2}: true, {0, 1}: false,
		{1, 0}: false} {
		tensor := safetensors.NewFloat32("logits", shape[:], make([]float32, shape[0]*shape[1]))
		if err := safetensors.Write(path, &safetensors.File{Metadata: map[string]string{"data": "s"},
			Tensors: []safetensors.Tensor{tensor}}); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadReference(path); (err == nil) != want {
			t.Errorf("%v: %v", shape, err)
		}
	}
}

// A small difference of logits is found again in the scores, over the whole range.
func TestChangeFindsTheDifference(t *testing.T) {
	logistic := func(z float64) float32 { return float32(1 / (1 + math.Exp(-z))) }
	for _, z := range []float64{-4, -1, 0, 1, 4} {
		const moved = 0.02
		p, q := logistic(z), logistic(z+moved)
		if got := changeOf(Head{Operator: port.Sigmoid}, p, q, 1); math.Abs(got-moved) > 0.05*moved {
			t.Errorf("at %v a Sigmoid's logit moved by %v, found %v", z, moved, got)
		}
		// Of two classes the one's odds are e to the difference of both logits.
		if got := changeOf(Head{Operator: port.Softmax}, p, q, 2); math.Abs(got-moved/2) > 0.05*moved {
			t.Errorf("at %v Softmax's logits moved by %v each, found %v", z, moved/2, got)
		}
	}
	// The logarithm's own rounding is granted, and no more.
	if got := changeOf(Head{Operator: port.LogSoftmax}, -100, -100.0003, 10); got < 1e-4 ||
		got > 1.5e-4 {
		t.Errorf("LogSoftmax moved by 3e-4, found %v, want half of it less some roundings", got)
	}
}

// The range that logits have at least: of one image by Softmax, of all by a Sigmoid; what is
// rounded to 0 does not tell.
func TestLeastRange(t *testing.T) {
	for _, test := range []struct {
		operator string
		scores   Logits
		want     float64
	}{
		{port.Softmax, Logits{N: 2, K: 3, Values: []float32{0.98, 0.01, 0.01, 0.001, 0.4995, 0.4995}},
			math.Log(499.5)},
		{port.Softmax, Logits{N: 1, K: 3, Values: []float32{0.98, 0.02, 0}}, math.Log(49)},
		{port.Sigmoid, Logits{N: 2, K: 1, Values: []float32{0.5, 0.9}}, math.Log(9)},
		{port.Sigmoid, Logits{N: 3, K: 1, Values: []float32{0.5, 0.9, 0}}, math.Log(9)},
		{port.Sigmoid, Logits{N: 3, K: 1, Values: []float32{0.5, 0.9, 0.9999}}, math.Log(9)},
		{port.LogSoftmax, Logits{N: 1, K: 2, Values: []float32{-0.5, -1.5}}, 1},
	} {
		if got := leastRangeOf(Head{Operator: test.operator},
			test.scores); math.Abs(got-test.want) > 1e-5 {
			t.Errorf("%s of %v: %v, want %v", test.operator, test.scores.Values, got, test.want)
		}
	}
	if !(Head{Operator: port.Softmax}).MadeBy(Logits{N: 1, K: 2, Values: []float32{0, 1}}) {
		t.Error("0 and 1 are no probabilities")
	}
}

// How far logits are apart that were computed twice, and for how many images by more than the
// tolerance.
func TestRoundingTakes(t *testing.T) {
	logits := Logits{N: 3, K: 2, Values: []float32{0, 1, 0, 1, 0, 1}}
	again := Logits{N: 2, K: 2, Values: []float32{0, 1 - 0x1p-15, 0, 1 - 0x1p-17}} // 3e-5 and 8e-6 of the range
	var rounding Rounding
	if err := rounding.take(logits, again, []int{0, 2}); err != nil || rounding.Measured != 0x1p-15 ||
		rounding.Beyond != 1 {
		t.Errorf("%+v, %v", rounding, err)
	}
	// Of a range of 4 both are within the tolerance.
	logits.Values[3] = -3
	rounding = Rounding{}
	if err := rounding.take(logits, again, []int{0, 2}); err != nil || rounding.Measured != 0x1p-17 ||
		rounding.Beyond != 0 {
		t.Errorf("%+v, %v", rounding, err)
	}
	rounding = Rounding{}
	constant := Logits{N: 1, K: 2, Values: make([]float32, 2)}
	if err := rounding.take(constant, constant, []int{0}); err != nil || rounding.Measured != 0 ||
		rounding.Beyond != 0 {
		t.Errorf("constant: %+v, %v", rounding, err)
	}
}

// Steps of another type than float32 stay as they are.
func TestWithShiftedStepsOfFloat16(t *testing.T) {
	model := endingIn(t)
	graph := model.Proto.Graph
	scale := &onnxpb.TensorProto{Name: proto.String("scale"),
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT16)), RawData: []byte{0, 0x38}}
	graph.Initializer = append(graph.Initializer, scale)
	for _, input := range []string{"scale", "logits"} { // and one that is computed
		quantize := ending("QuantizeLinear", "bytes of "+input)
		quantize.Input = []string{"logits", input}
		graph.Node = append(slices.Clone(graph.Node), quantize)
	}
	if shifted, err := withShiftedSteps(model); err != nil || shifted != nil {
		t.Errorf("%v, %v", shifted, err)
	}
}
