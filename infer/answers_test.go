package infer

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"slipway/infer/port"
)

// rawAnswers are answers of a network on raw pixels: logits of hundreds, whose
// probabilities are near 0 and 1 but for a few images between two classes.
func rawAnswers(head Head, disturb func(i, k int, z float64) float64) Answers {
	random := rand.New(rand.NewPCG(3, 9))
	logits := Logits{N: 400, K: 7}
	for i := range logits.N {
		for k := range logits.K {
			z := 300 * random.NormFloat64()
			if i%5 == 0 && k < 2 {
				z = 500 + float64(k)/2 // nobody knows which of the two
			}
			logits.Values = append(logits.Values, float32(disturb(i, k, z)))
		}
	}
	return Answers{Scores: head.Apply(logits), Logits: logits}
}

func TestCompareAnswersBeforeTheHead(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	same := func(_, _ int, z float64) float64 { return z }
	rounded := func(_, _ int, z float64) float64 { return z + 1e-3*(2*random.Float64()-1) } // of a range of 2,000
	wrong := func(i, k int, z float64) float64 {
		if i == 5 && k == 1 {
			return z + 0.2
		}
		return z
	}
	for _, operator := range []string{port.Softmax, port.LogSoftmax, port.Sigmoid} {
		head := Head{Operator: operator, Node: "last", Logits: "z"}
		a := rawAnswers(head, same)
		alone := func(answers Answers) Answers { return Answers{Scores: answers.Scores} }
		for name, test := range map[string]struct {
			a, b  Answers
			agree bool
			of    string
		}{
			"equal":                      {a, a, true, "logits before"},
			"rounded":                    {a, rawAnswers(head, rounded), true, "logits before"},
			"rounded, scores of B alone": {a, alone(rawAnswers(head, rounded)), true, "scores of"},
			"rounded, scores of A alone": {alone(a), rawAnswers(head, rounded), true, "scores of"},
			"wrong":                      {a, rawAnswers(head, wrong), false, "logits before"},
			"wrong, scores alone":        {a, alone(rawAnswers(head, wrong)), operator == port.Sigmoid, "scores of"}, // 0.2 of 500 is nothing to a Sigmoid
			"the head alone is wrong": {a, Answers{Scores: rawAnswers(head, wrong).Scores,
				Logits: a.Logits}, operator == port.Sigmoid, "logits before"},
		} {
			t.Run(operator+", "+name, func(t *testing.T) {
				c, err := CompareAnswers(test.a, test.b, head, Allowance{Tolerance: DefaultTolerance})
				if err != nil {
					t.Fatal(err)
				}
				if c.Agree() != test.agree || (c.Reason() == "") != test.agree ||
					!strings.HasPrefix(c.Of, test.of) || c.Head != head {
					t.Errorf("agree %t, reason %q: %+v", c.Agree(), c.Reason(), c)
				}
			})
		}
	}
}

// TestScoresAloneWithoutAnyLogits takes the range of the logits from the scores. It
// is smaller than the true one at most, which makes the comparison stricter.
func TestScoresAloneWithoutAnyLogits(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, operator := range []string{port.Softmax, port.LogSoftmax, port.Sigmoid} {
		head := Head{Operator: operator}
		logits := Logits{N: 50, K: 4}
		for range 200 {
			logits.Values = append(logits.Values, float32(5*random.NormFloat64()))
		}
		scores := head.Apply(logits)
		full := valueRange(logits.Values)
		if least := leastRangeOf(head, scores); least > full*1.0001 || least < full/3 {
			t.Errorf("%s: a range of %g is read off, it is %g", operator, least, full)
		}
		for fraction, agree := range map[float32]bool{2e-6: true, 1e-4: false} {
			other := Logits{N: 50, K: 4, Values: append([]float32(nil), logits.Values...)}
			for i := range other.Values {
				if i%4 == 2 {
					other.Values[i] += fraction * float32(full)
				}
			}
			c, err := CompareAnswers(Answers{Scores: scores}, Answers{Scores: head.Apply(other)}, head,
				Allowance{Tolerance: DefaultTolerance})
			if err != nil || c.Agree() != agree {
				t.Errorf("%s, logits off by %g of the range: %+v, %v, reason %q", operator, fraction, c, err,
					c.Reason())
			}
		}
	}
}

// TestLabelsAreThoseOfTheScores has a Sigmoid that gives 1 for two large logits: the
// label turns with the last bit, though the logits are clearly apart.
func TestLabelsAreThoseOfTheScores(t *testing.T) {
	head := Head{Operator: port.Sigmoid}
	logits := Logits{N: 1, K: 3, Values: []float32{20, 60, -60}}
	a := Answers{Scores: Logits{N: 1, K: 3, Values: []float32{1, 1, 0}}, Logits: logits}
	b := Answers{Scores: Logits{N: 1, K: 3, Values: []float32{1 - 0x1p-24, 1, 0}}, Logits: logits}
	c, err := CompareAnswers(a, b, head, Allowance{Tolerance: DefaultTolerance})
	if err != nil || c.LabelsDiffer != 1 || c.DecidedLabelsDiffer != 0 || !c.Agree() {
		t.Errorf("%+v, %v", c, err)
	}
	b.Scores.Values[0] = float32(math.NaN())
	c, err = CompareAnswers(a, b, head, Allowance{Tolerance: DefaultTolerance})
	if err != nil || c.DecidedLabelsDiffer != 1 || c.Agree() {
		t.Errorf("a NaN: %+v, %v", c, err)
	}
}

func TestShareOfImages(t *testing.T) {
	a := Answers{Scores: Logits{N: 100, K: 2}}
	b := Answers{Scores: Logits{N: 100, K: 2}}
	for i := range 100 {
		a.Scores.Values = append(a.Scores.Values, 0, 1)
		off := float32(0)
		if i < 3 {
			off = 1e-3
		}
		b.Scores.Values = append(b.Scores.Values, off, 1)
	}
	for share, agree := range map[float64]bool{0: true, 0.029: true, 0.02: false, 0.001: false,
		1: true} {
		c, err := CompareAnswers(a, b, Head{}, Allowance{Tolerance: 1e-2, Share: share})
		if err != nil || c.Beyond != 3 || c.Agree() != agree || (c.Reason() == "") != agree {
			t.Errorf("a share of %v: %+v, %v, reason %q", share, c, err, c.Reason())
		}
	}
	for _, share := range []float64{-0.1, 1.1, math.NaN()} {
		if _, err := CompareAnswers(a, b, Head{}, Allowance{Tolerance: 1e-2, Share: share}); err == nil {
			t.Errorf("a share of %v is taken", share)
		}
	}
}

func TestCompareAnswersRefuses(t *testing.T) {
	head := Head{Operator: port.Softmax}
	one, two := Answers{Scores: Logits{N: 1, K: 2, Values: []float32{0.5, 0.5}}},
		Answers{Scores: Logits{N: 2, K: 2, Values: make([]float32, 4)}}
	if _, err := CompareAnswers(one, two, head, Allowance{Tolerance: 1e-5}); err == nil {
		t.Error("1 and 2 images are compared")
	}
	if _, err := CompareAnswers(one, one, head, Allowance{}); err == nil {
		t.Error("a tolerance of 0 is taken")
	}
	// Logits of another size than the scores are none that can be compared.
	odd := Answers{Scores: one.Scores, Logits: Logits{N: 1, K: 1, Values: []float32{3}}}
	if c, err := CompareAnswers(odd, odd, head, Allowance{Tolerance: 1e-5}); err != nil ||
		!strings.HasPrefix(c.Of, "scores of") {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestDefaultTolerance pins what the default is for: a difference of 5e-5 of the
// range is more than rounding, one of 5e-6 is not. Loosened tenfold it would let a
// bias pass that was set to 0.
func TestDefaultTolerance(t *testing.T) {
	reference := Logits{N: 2, K: 3, Values: []float32{-40, 3, 60, 10, -5, 0.5}} // a range of 100
	for fraction, agree := range map[float64]bool{5e-6: true, -5e-6: true, 5e-5: false, -5e-5: false} {
		for at := range reference.Values {
			other := Logits{N: 2, K: 3, Values: append([]float32(nil), reference.Values...)}
			other.Values[at] += float32(fraction * 100)
			plain, err := Compare(reference, other, DefaultTolerance)
			if err != nil {
				t.Fatal(err)
			}
			answered, err := CompareAnswers(Answers{Scores: reference}, Answers{Scores: other}, Head{},
				Allowance{Tolerance: DefaultTolerance})
			if err != nil {
				t.Fatal(err)
			}
			if plain.Agree() != agree || answered.Agree() != agree {
				t.Errorf("%g of the range, value %d: agree is %t and %t, want %t", fraction, at, plain.Agree(),
					answered.Agree(), agree)
			}
		}
	}
}
