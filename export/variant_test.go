package export

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/infer"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// graphE1 is the first experiment's graph as it lies in the repository, which a
// shorter training may have replaced.
const graphE1 = "../graphs/e1.onnx"

// TestPrecisionsOfE1 makes float16 and int8 of graphs/e1.onnx and holds them against
// what they promise: at most 5 labels changed by float16; at most 0.1 point of
// accuracy lost and 30 % of the size by int8.
func TestPrecisionsOfE1(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates 10,000 images four times")
	}
	from, err := loadSource(graphE1, "")
	if err != nil {
		t.Fatal(err)
	}
	test, err := dataset.Open(t.Context(), string(dataset.Test), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	expected, err := askAsRecorded(t, from.model, test)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		precision    Precision
		size         float64 // of the source's
		labels, lost int
	}{{Float16, 0.51, 5, 5}, {Int8, 0.30, 100, 10}} {
		t.Run(string(c.precision), func(t *testing.T) {
			output := filepath.Join(t.TempDir(), "variant.onnx")
			var said bytes.Buffer
			options := VariantOptions{Precision: c.precision, Calibration: 300, Messages: &said}
			if err := Variant(t.Context(), graphE1, output, options); err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			file, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			if size := float64(len(file)) / float64(from.bytes); size > c.size {
				t.Errorf("it takes %.1f %% of the size", 100*size)
			}
			model, err := infer.LoadModel(output)
			if err != nil {
				t.Fatal(err)
			}
			got, err := askAsRecorded(t, model, test)
			if err != nil {
				t.Fatal(err)
			}
			comparison, err := infer.Compare(expected.Logits, got.Logits, 0.5)
			if err != nil {
				t.Fatal(err)
			}
			if comparison.LabelsDiffer > c.labels || expected.Correct-got.Correct > c.lost {
				t.Errorf("%d labels differ, %d right answers instead of %d", comparison.LabelsDiffer,
					got.Correct, expected.Correct)
			}
			if want := fmt.Sprintf("%d labels differ", comparison.LabelsDiffer); !strings.Contains(
				said.String(), want) {
				t.Errorf("it does not say %q:\n%s", want, said.String())
			}
			record, ok := model.VariantRecord()
			if !ok || record.Variant != string(c.precision) || record.SourceSHA256 != from.digest {
				t.Errorf("the record is %+v", record)
			}
			training, _, err := model.TrainingRecord()
			if err != nil || training.TestImages != 0 {
				t.Errorf("it records the source's accuracy as its own: %+v, %v", training, err)
			}
			// The same source and options give the same bytes, whatever the kernels are.
			t.Setenv("SLIPWAY_KERNEL", "portable")
			again, err := makeVariant(t.Context(), from,
				VariantOptions{Precision: c.precision, Calibration: 300})
			if err != nil {
				t.Fatal(err)
			}
			if second, err := onnx.Encode(again); err != nil || !bytes.Equal(second, file) {
				t.Errorf("a second time it has other bytes (%v)", err)
			}
		})
	}
}

// smallNetwork writes a model of random weights that is fed by the formula, and
// returns its file.
func smallNetwork(t *testing.T, scale, offset float64) string {
	t.Helper()
	network, err := builder.New("small", builder.Shape{1, 28, 28},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(5), Stride: builder.Square(2)}, builder.ReLU{},
		builder.AvgPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(5),
		onnx.TrainingRecord{DataSet: "t10k", TestSet: "t10k", PixelScale: scale, PixelOffset: offset},
		convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "small.onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFormsAnswerAlike makes every form of models that are fed in three ways; Variant
// itself compares their answers to 10,000 images with the model's.
func TestFormsAnswerAlike(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates 10,000 images in each form")
	}
	for _, feed := range []struct {
		name          string
		scale, offset float64
	}{{"raw", 1, 0}, {"unit", 1.0 / 255, 0}, {"normalised", 1 / (255 * 0.3081), -0.1307 / 0.3081}} {
		source := smallNetwork(t, feed.scale, feed.offset)
		for _, form := range []onnx.Form{{Batch: 1}, {Softmax: true}, {Bytes: true},
			{Batch: 3, Softmax: true, Bytes: true}} {
			options := VariantOptions{Form: form}
			t.Run(feed.name+" "+options.Name(), func(t *testing.T) {
				var said bytes.Buffer
				options.Messages = &said
				if err := Variant(t.Context(), source, options.File(source), options); err != nil {
					t.Fatalf("%v\n%s", err, said.String())
				}
				if options.Name() == "uint8 input" &&
					!strings.Contains(said.String(), "largest difference 0 ") {
					t.Errorf("bytes do not give the same bits:\n%s", said.String())
				}
			})
		}
	}
}

func TestVariantFiles(t *testing.T) {
	for _, test := range []struct {
		options VariantOptions
		name    string
		file    string
	}{
		{VariantOptions{Precision: Float32}, "", "graphs/e1.onnx"},
		{VariantOptions{Precision: Int8}, "int8", "graphs/e1-int8.onnx"},
		{VariantOptions{Form: onnx.Form{Batch: 1}}, "batch 1", "graphs/e1-batch1.onnx"},
		{VariantOptions{Form: onnx.Form{Batch: onnx.OpenBatch}}, "open batch",
			"graphs/e1-openbatch.onnx"},
		{VariantOptions{Precision: Float16, Form: onnx.Form{Batch: 8, Softmax: true, Bytes: true}},
			"float16, batch 8, softmax, uint8 input", "graphs/e1-float16-batch8-softmax-uint8.onnx"},
	} {
		if name, file := test.options.Name(), test.options.File("graphs/e1.onnx"); name != test.name ||
			file != test.file {
			t.Errorf("%q in %s, want %q in %s", name, file, test.name, test.file)
		}
	}
}

// TestVariantBeyondItsLimitsIsNotWritten spoils the weights' ranges, as a calibration
// on the wrong images would, and asks for nothing and for a variant of a variant.
func TestVariantBeyondItsLimitsIsNotWritten(t *testing.T) {
	source := smallNetwork(t, 1, 0)
	from, err := loadSource(source, "")
	if err != nil {
		t.Fatal(err)
	}
	names, err := onnx.QuantizedValues(from.model)
	if err != nil {
		t.Fatal(err)
	}
	ranges := make(map[string]onnx.Range)
	for _, name := range names {
		ranges[name] = onnx.Range{Max: 1e-3}
	}
	spoilt, err := onnx.Quantize(from.model, ranges)
	if err != nil {
		t.Fatal(err)
	}
	options := VariantOptions{Precision: Int8}.withDefaults()
	if err := verifyVariant(t.Context(), from, spoilt, options); err == nil ||
		!strings.Contains(err.Error(), "labels differ from the source's; 100 may") {
		t.Errorf("%v", err)
	}

	folder := t.TempDir()
	variant := filepath.Join(folder, "variant.onnx")
	if err := Variant(t.Context(), source, variant,
		VariantOptions{Form: onnx.Form{Batch: 2}}); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(folder, "output.onnx")
	for _, test := range []struct {
		source, output string
		options        VariantOptions
		want           string
	}{
		{source, output, VariantOptions{}, "nothing is to be different"},
		{variant, output, VariantOptions{Form: onnx.Form{Softmax: true}},
			"is a variant itself (batch 2)"},
		{source, source, VariantOptions{Form: onnx.Form{Softmax: true}}, "in place of the model"},
		{filepath.Join(folder, "none.onnx"), output, VariantOptions{Precision: Int8}, "no such file"},
	} {
		err := Variant(t.Context(), test.source, test.output, test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Variant(ctx, source, filepath.Join(folder, "ended.onnx"),
		VariantOptions{Precision: Int8}); err == nil {
		t.Error("a context that has ended is passed over")
	}
	if _, err := os.Stat(filepath.Join(folder, "ended.onnx")); err == nil {
		t.Error("a variant was written all the same")
	}
}

// TestLimitsHold says which limit a comparison passes.
func TestLimitsHold(t *testing.T) {
	result := func(correct int) *infer.Result { return &infer.Result{Correct: correct} }
	int8 := limitsOf(VariantOptions{Precision: Int8}.withDefaults())
	float16 := limitsOf(VariantOptions{Precision: Float16}.withDefaults())
	form := limitsOf(VariantOptions{}.withDefaults())
	for _, test := range []struct {
		name       string
		limits     limits
		lost       int
		comparison infer.Comparison
		want       string
	}{
		{"int8 at its limits", int8, 10, infer.Comparison{LabelsDiffer: 100, MaxAbsDiff: 1,
			MaxRelDiff: 0.1}, ""},
		{"int8 loses", int8, 11, infer.Comparison{}, "11 of 10000 answers are wrong that were right"},
		{"float16 at its limit", float16, 5, infer.Comparison{LabelsDiffer: 5}, ""},
		{"float16 changes labels", float16, 0, infer.Comparison{LabelsDiffer: 6},
			"6 of 10000 labels differ from the source's; 5 may"},
		{"float16 is off", float16, 0, infer.Comparison{MaxAbsDiff: 1, MaxRelDiff: 1e-3},
			"0.001 of the scores' range"},
		{"a form changes a label within rounding", form, 1,
			infer.Comparison{LabelsDiffer: 1, MaxAbsDiff: 1e-6, MaxRelDiff: 1e-7}, ""},
		{"a form changes a label", form, 1, infer.Comparison{LabelsDiffer: 1, DecidedLabelsDiffer: 1},
			"1 labels differ"},
		{"NaN", form, 0, infer.Comparison{NotFinite: 3}, "3 logits are NaN"},
	} {
		test.comparison.Images = 10000
		err := test.limits.hold(result(9000), result(9000-test.lost), test.comparison)
		if test.want == "" && err != nil || test.want != "" &&
			(err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// askAsRecorded evaluates a model, fed as its record says.
func askAsRecorded(t *testing.T, model *onnx.Model, test *dataset.Set) (*infer.Result, error) {
	t.Helper()
	pixels, err := infer.PixelsOfModel(model)
	if err != nil {
		t.Fatal(err)
	}
	return askONNXRuntime(t.Context(), model, test, pixels)
}
