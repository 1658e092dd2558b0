package infer

import (
	"math/rand/v2"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/networktest"
)

// TestRobustnessOfResidualNetworks: the runtimes answer a residual network's images alike, whole
// and damaged.
func TestRobustnessOfResidualNetworks(t *testing.T) {
	model := networktest.Model(t, networktest.Residual(t, builder.Shape{3, 12, 10}, 5))
	random := rand.New(rand.NewPCG(4, 5))
	images, labels := make([]uint8, 30*3*12*10), make([]int32, 30)
	for i := range images {
		images[i] = uint8(random.IntN(256))
	}
	for i := range labels {
		labels[i] = int32(i % 5)
	}
	set, err := dataset.NewSet("noise", images, labels, 3, 12, 10, 5)
	if err != nil {
		t.Fatal(err)
	}
	var subjects []Subject
	for _, name := range []string{RuntimeONNXRuntime, RuntimeNative} {
		runtime, err := OpenRuntime(t.Context(), name, model, RuntimeOptions{Device: DeviceCPU})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { runtime.Close() })
		subjects = append(subjects, Subject{Runtime: runtime})
	}
	measured, err := MeasureRobustness(t.Context(), subjects, set,
		RobustnessOptions{Corruptions: []string{"shot-noise", "rotate"}, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(measured) != 2 || len(measured[0].Corruptions) != 2 {
		t.Fatalf("%+v", measured)
	}
	for i, c := range measured[0].Corruptions {
		for s, strength := range c.Strengths {
			if other := measured[1].Corruptions[i].Strengths[s]; strength.Accuracy != other.Accuracy {
				t.Errorf("%s %d: %v in onnxruntime, %v in native", c.Name, s+1, strength.Accuracy,
					other.Accuracy)
			}
		}
	}
	first, err := Evaluate(t.Context(), subjects[0].Runtime, set, EvaluateOptions{KeepLogits: true})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Evaluate(t.Context(), subjects[1].Runtime, set,
		EvaluateOptions{KeepLogits: true, Probe: true, Batch: 7})
	if err != nil {
		t.Fatal(err)
	}
	comparison, err := Compare(first.Logits, second.Logits, DefaultTolerance)
	if err != nil || !comparison.Agree() {
		t.Errorf("%v, %s", err, comparison.Reason())
	}
	if len(second.Info.Notes) != 0 {
		t.Errorf("notes: %q", second.Info.Notes)
	}
}
