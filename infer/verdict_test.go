package infer

import (
	"strings"
	"testing"
)

// What differs by exactly what is allowed agrees, in each of the figures, and by more in
// one of them it does not; the reason is given just then.
func TestTheVerdictAtItsLimits(t *testing.T) {
	limit := Comparison{
		Images: 4, Of: "logits", Tolerance: 0.125, Range: 8, MaxAbsDiff: 1, MaxRelDiff: 0.125,
		ScoresRelDiff: 0.125, Beyond: 2, MayBeBeyond: 2, LabelsDiffer: 1,
	}
	if !limit.Agree() || limit.Reason() != "" {
		t.Errorf("at the limits: agree %t, %q", limit.Agree(), limit.Reason())
	}
	for want, more := range map[string]func(c *Comparison){
		"1 logits are NaN":      func(c *Comparison) { c.NotFinite = 1 },
		"1 scores are NaN":      func(c *Comparison) { c.NotFinite, c.scoresAlone = 1, true },
		"the largest logit":     func(c *Comparison) { c.MaxRelDiff = 0.126 },
		"the scores of image":   func(c *Comparison) { c.MaxRelDiff, c.scoresAlone = 0.126, true },
		"the logits agree, but": func(c *Comparison) { c.ScoresRelDiff = 0.126 },
		"3 of 4 images differ":  func(c *Comparison) { c.Beyond = 3 },
		"1 labels differ":       func(c *Comparison) { c.DecidedLabelsDiffer = 1 },
	} {
		c := limit
		more(&c)
		if c.Agree() || !strings.HasPrefix(c.Reason(), want) {
			t.Errorf("agree %t, %q, want %q", c.Agree(), c.Reason(), want)
		}
	}
}

// Labels that differ are decided only where an answer's margin is more than the tolerance;
// a label is one of the same class on both sides, also of the first.
func TestLabelsAtTheLimit(t *testing.T) {
	// The range is 8, an eighth of it 1: the first image's margin.
	a := Logits{N: 2, K: 3, Values: []float32{0, 8, 7, 6, 2, 2}}
	for _, test := range []struct {
		name            string
		b               []float32
		agree           bool
		labels, decided int
	}{
		{"equal", a.Values, true, 0, 0},
		{"turned over by a margin of the tolerance", []float32{0, 7, 7.5, 6, 2, 2}, true, 1, 0},
		{"turned over by more on the other side", []float32{0, 7, 8.5, 6, 2, 2}, false, 1, 1},
		{"the first class is another", []float32{0, 8, 7, 1, 2, 2}, false, 1, 1},
	} {
		c, err := Compare(a, Logits{N: 2, K: 3, Values: test.b}, 0.125)
		if err != nil {
			t.Fatal(err)
		}
		if c.Agree() != test.agree || c.LabelsDiffer != test.labels ||
			c.DecidedLabelsDiffer != test.decided {
			t.Errorf("%s: %+v, agree %t", test.name, c, c.Agree())
		}
	}
}

// WorstImage and WorstClass are the place of the largest difference.
func TestThePlaceOfTheDifference(t *testing.T) {
	a := Logits{N: 3, K: 2, Values: []float32{0, 1, 2, 3, 4, 5}}
	for i := range a.Values {
		b := Logits{N: 3, K: 2, Values: append([]float32(nil), a.Values...)}
		b.Values[i] += 2
		b.Values[(i+1)%6]++
		c, err := Compare(a, b, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		if c.WorstImage != i/2 || c.WorstClass != i%2 || c.MaxAbsDiff != 2 || c.MaxRelDiff != 0.4 ||
			c.Range != 5 {
			t.Errorf("value %d: %+v", i, c)
		}
	}
}
