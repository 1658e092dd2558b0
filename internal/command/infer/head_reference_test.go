package infer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/infer"
)

// TestCrossValidateSoftmaxWithTrainer has the trainer's file hold logits, or what
// Softmax makes of them, of a model that ends in it: both are taken for what they are,
// and a wrong one is not.
func TestCrossValidateSoftmaxWithTrainer(t *testing.T) {
	needLibrary(t)
	const images = 40
	data := smallData(t, images)
	reference, err := infer.ReadReference("../../../graphs/e1/trainer_logits.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	logits := infer.Logits{N: images, K: reference.Logits.K,
		Values: reference.Logits.Values[:images*reference.Logits.K]}
	for i := range logits.Values {
		logits.Values[i] *= 8 // as loudE1 does
	}
	head := infer.Head{Operator: "Softmax"}
	probabilities := head.Apply(logits)
	wrong := infer.Logits{N: images, K: logits.K, Values: append([]float32(nil), logits.Values...)}
	// Of a class that is neither excluded nor certain: 0 and 1 hide what made them.
	unsure := slices.IndexFunc(probabilities.Values, func(p float32) bool {
		return p > 1e-30 && p < 1e-3
	})
	wrong.Values[unsure] += 1
	model := loudE1(t, "Softmax")
	for name, test := range map[string]struct {
		logits infer.Logits
		code   int
		of     string
	}{
		"logits": {logits, 0, `trainer: compared are the logits before Softmax "last"`},
		"probabilities": {probabilities, 0,
			`trainer: compared are the scores of Softmax "last", held to`},
		"wrong logits":          {wrong, 1, `trainer: compared are the logits before`},
		"probabilities of them": {head.Apply(wrong), 1, `trainer: compared are the scores of`},
	} {
		path := filepath.Join(t.TempDir(), "reference.safetensors")
		writeLogits(t, path, "", test.logits)
		code, stdout, stderr := runCommand(t, "-model", model, "-data", data, "-cross-validate",
			"-reference", path, "-device", "cpu")
		if code != test.code || !strings.Contains(stdout, test.of) {
			t.Errorf("%s: exit %d, want %d\n%s%s", name, code, test.code, stdout, stderr)
		}
	}
}
