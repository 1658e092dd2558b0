package export

import (
	"slices"
	"testing"

	"slipway/builder"
	"slipway/infer"
	"slipway/internal/datasettest"
	"slipway/train"
)

// What a trainer holds is exported with how its pixels are fed and what its classes are
// called: infer answers as the trainer does, told nothing else.
func TestFromTrainerKeepsThePixelRuleAndTheLabels(t *testing.T) {
	set, err := datasettest.Bars(t, 120).WithClassNames([]string{"top", "middle", "bottom"})
	if err != nil {
		t.Fatal(err)
	}
	network, err := builder.New("bars", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, pixels := range []string{train.PixelsRaw, train.PixelsUnit, "0.3,0.2"} {
		trainer, err := train.New(network, set, train.Config{Epochs: 3, Pixels: pixels}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if err := trainer.TestOn(set); err != nil {
			t.Fatal(err)
		}
		if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
			t.Fatal(err)
		}
		test, err := trainer.Evaluate(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		model, err := FromTrainer(trainer, ModelOptions{Test: test})
		if err != nil {
			t.Fatal(err)
		}
		record, ok, err := model.TrainingRecord()
		if err != nil || !ok || !slices.Equal(record.ClassLabels, []string{"top", "middle", "bottom"}) ||
			record.TestAccuracy != test.Accuracy || record.TestImages != 120 ||
			record.TestSHA256 != set.Digest() {
			t.Errorf("%s: %v, recorded is %+v", pixels, err, record)
		}
		fed, err := infer.PixelsOfModel(model)
		if err != nil {
			t.Fatal(err)
		}
		runtime, err := infer.OpenRuntime(t.Context(), infer.RuntimeNative, model, infer.RuntimeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		result, err := infer.Evaluate(t.Context(), runtime, set,
			infer.EvaluateOptions{Pixels: fed, KeepLogits: true})
		if err != nil {
			t.Fatal(err)
		}
		trainers := infer.Logits{N: 120, K: 3, Values: test.Logits}
		if c, err := infer.Compare(trainers, result.Logits, infer.DefaultTolerance); err != nil ||
			!c.Agree() || result.Correct != test.Correct {
			t.Errorf("%s: %v %s; %d right, the trainer has %d", pixels, err, c.Reason(), result.Correct,
				test.Correct)
		}
		// Without an answer there is no accuracy on record.
		if model, err = FromTrainer(trainer, ModelOptions{}); err != nil {
			t.Fatal(err)
		}
		if record, _, err := model.TrainingRecord(); err != nil || record.TestImages != 0 ||
			record.TestSet != "" {
			t.Errorf("%v, recorded is %+v", err, record)
		}
	}
}

// A graph says what its training's products were computed in, where that is not float32.
func TestRecordsSayThePrecision(t *testing.T) {
	network, err := builder.New("bars", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	for precision, want := range map[string]string{
		"": "", train.PrecisionFloat32: "", train.PrecisionTF32: "tf32",
		train.PrecisionBF16: "bf16"} {
		config, err := train.Config{}.WithDefaults(network)
		if err != nil {
			t.Fatal(err)
		}
		config.Precision = precision // as a caller may give it, who names the default, too
		record, err := Record(network, config, train.Sets{}, train.Progress{}, nil)
		if err != nil || record.TrainingPrecision != want {
			t.Errorf("%q: recorded is %q, %v; want %q", precision, record.TrainingPrecision, err, want)
		}
	}
}
