package export

import (
	"testing"

	"slipway/infer"
	"slipway/internal/datasettest"
	"slipway/onnx"
)

// TestNativeRunsVariantsOfE1 holds the native runtime against onnxruntime on variants
// of graphs/e1.onnx. Where all is float32 they agree as on the graph. Of int8,
// onnxruntime adds integers where native adds what they stand for; a sum that is
// rounded to the next step of its layer moves a score by less than 5e-3 of the range.
func TestNativeRunsVariantsOfE1(t *testing.T) {
	from, err := loadSource(graphE1, "")
	if err != nil {
		t.Fatal(err)
	}
	images := datasettest.Digits(t, 500)
	all := onnx.Form{Batch: 3, Softmax: true, Bytes: true}
	for _, test := range []struct {
		options   VariantOptions
		tolerance float64
	}{
		{VariantOptions{Precision: Float16}, infer.DefaultTolerance},
		{VariantOptions{Form: all}, infer.DefaultTolerance},
		{VariantOptions{Precision: Float16, Form: all}, infer.DefaultTolerance},
		{VariantOptions{Precision: Int8, Calibration: 32}, 5e-3},
		{VariantOptions{Precision: Int8, Calibration: 32, Form: onnx.Form{Bytes: true}}, 5e-3},
	} {
		t.Run(test.options.Name(), func(t *testing.T) {
			variant, err := makeVariant(t.Context(), from, test.options)
			if err != nil {
				t.Fatal(err)
			}
			expected, err := askAsRecorded(t, variant, images)
			if err != nil {
				t.Fatal(err)
			}
			native, err := infer.OpenNative(t.Context(), variant, infer.NativeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer native.Close()
			got, err := infer.Evaluate(t.Context(), native, images, infer.EvaluateOptions{KeepLogits: true})
			if err != nil {
				t.Fatal(err)
			}
			comparison, err := infer.Compare(expected.Logits, got.Logits, test.tolerance)
			if err != nil {
				t.Fatal(err)
			}
			if !comparison.Agree() {
				t.Error(comparison.Reason())
			}
			t.Logf("largest difference %.2g of the range", comparison.MaxRelDiff)
		})
	}
}
