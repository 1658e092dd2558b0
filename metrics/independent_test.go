package metrics

import (
	"errors"
	"math"
	"testing"
)

// Classes that stand alone have probabilities of their own, and the binary cross-entropy for a log
// loss, whether the scores are logits or what a sigmoid made of them.
func TestClassesThatStandAlone(t *testing.T) {
	logits, labels := []float32{2, -1, 0.5, 3, -2, 4, -3, -1, -2}, []int{0, 2, 1}
	sigmoid := func(z float32) float64 { return 1 / (1 + math.Exp(-float64(z))) }
	var loss, brier float64
	probabilities := make([]float32, len(logits))
	for i, z := range logits {
		p, y := sigmoid(z), 0.0
		if labels[i/3] == i%3 {
			y = 1
		}
		loss -= y*math.Log(p) + (1-y)*math.Log(1-p)
		brier += (p - y) * (p - y)
		probabilities[i] = float32(p)
	}
	loss, brier = loss/9, brier/3
	for name, test := range map[string]struct {
		scores  []float32
		options Options
	}{
		"logits":        {logits, Options{Independent: true}},
		"probabilities": {probabilities, Options{Independent: true, Probabilities: true}},
	} {
		m, err := New(t.Context(), test.scores, labels, 3, test.options)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(*m.LogLoss-loss) > 1e-6 || math.Abs(*m.Brier-brier) > 1e-6 || m.Correct != 3 {
			t.Errorf("%s: log loss %v, Brier %v, %d right; want %v, %v, 3", name, *m.LogLoss, *m.Brier,
				m.Correct, loss, brier)
		}
		answers, err := Answers(test.scores, labels, 3, test.options)
		if err != nil || math.Abs(answers[2].Confidence-sigmoid(-1)) > 1e-6 {
			t.Errorf("%s: %+v, %v; the confidence is that of the class alone", name, answers, err)
		}
	}
	if m, err := New(t.Context(), []float32{800, -900, -700, 600}, []int{0, 0}, 2,
		Options{Independent: true}); err != nil || *m.LogLoss != 325 {
		t.Errorf("of large logits: %+v, %v", m, err)
	}
	if _, err := New(t.Context(), logits, labels, 3,
		Options{Independent: true, Probabilities: true}); !errors.Is(err, ErrArgument) {
		t.Errorf("logits for probabilities: %v", err)
	}
}
