package infer

import (
	"fmt"
	"math"
)

// Answers are what a runtime says of the images of a set.
type Answers struct {
	// Scores are those of the model's output, N×K; labels are theirs.
	Scores Logits
	// Logits are what the model's Head takes, N×K, without values where there is no
	// head or the runtime does not show them.
	Logits Logits
}

// shown reports whether the logits are there, one for each score.
func (a Answers) shown() bool {
	return len(a.Logits.Values) > 0 && a.Logits.N == a.Scores.N && a.Logits.K == a.Scores.K
}

// Compared returns of two answers what CompareAnswers sets against each other: the
// logits where both sides show them, the scores otherwise.
func Compared(a, b Answers, head Head) (Logits, Logits) {
	if !head.None() && a.shown() && b.shown() {
		return a.Logits, b.Logits
	}
	return a.Scores, b.Scores
}

// CompareAnswers compares the answers b with the reference a, of models that end in
// the same head. Near the end of its range a Softmax enlarges the rounding of
// logits as far as it goes, so that a tolerance of the range of probabilities means
// nothing. Where both sides show their logits the tolerance is for these, and the
// scores are held to what a difference of the tolerance can make of them; where one
// does not, the scores alone are, by MaxRelDiff: see Head.change. Labels are those
// of the scores.
func CompareAnswers(a, b Answers, head Head, allowed Allowance) (Comparison, error) {
	if !(allowed.Share >= 0 && allowed.Share <= 1) {
		return Comparison{}, fmt.Errorf("a share of %v of the images: it is a fraction, 0 to 1",
			allowed.Share)
	}
	c, err := compareAnswers(a, b, head, allowed.Tolerance, telling{allowed.Told})
	if err != nil {
		return Comparison{}, err
	}
	c.countBeyond(a, b)
	c.MayBeBeyond = c.Images
	if allowed.Share > 0 {
		c.MayBeBeyond = int(math.Ceil(allowed.Share * float64(c.Images)))
	}
	return c, nil
}

func compareAnswers(a, b Answers, head Head, tolerance float64, told telling) (Comparison, error) {
	if head.None() {
		return compare(a.Scores, b.Scores, tolerance, told)
	}
	if err := sameShape(a.Scores, b.Scores); err != nil {
		return Comparison{}, err
	}
	both := a.shown() && b.shown()
	first, second := Compared(a, b, head)
	c, err := Compare(first, second, tolerance)
	if err != nil {
		return Comparison{}, err
	}
	c.Head, c.Of = head, fmt.Sprintf("logits before %v", head)
	if c.scoresAlone = !both; c.scoresAlone {
		c.Of = fmt.Sprintf("scores of %v, held to what the tolerance of its logits makes of them", head)
		c.Range = leastRangeOf(head, a.Scores)
		for _, side := range []Answers{b, a} {
			if side.shown() {
				c.Range = valueRange(side.Logits.Values)
			}
		}
	}
	c.weighScores(a.Scores, b.Scores)
	c.countLabels(a, b, told)
	return c, nil
}

// weighScores looks for the score that needs the largest change of logits. Without
// logits of both sides, that is what is compared.
func (c *Comparison) weighScores(a, b Logits) {
	largest, at := 0.0, 0
	for i, p := range a.Values {
		if change := changeOf(c.Head, p, b.Values[i], a.K); change > largest {
			largest, at = change, i
		}
	}
	relative := 0.0
	if largest > 0 {
		relative = largest / c.Range
	}
	if !c.scoresAlone {
		c.ScoresRelDiff, c.ScoresImage, c.ScoresClass = relative, at/a.K, at%a.K
		return
	}
	c.MaxRelDiff, c.WorstImage, c.WorstClass = relative, at/a.K, at%a.K
	if largest > 0 {
		c.MaxAbsDiff = difference(a.Values[at], b.Values[at])
	}
}

// countBeyond counts the images that differ by more than DefaultTolerance.
func (c *Comparison) countBeyond(a, b Answers) {
	first, second := Compared(a, b, c.Head)
	for i := range first.N {
		largest := 0.0
		for k, v := range first.Row(i) {
			apart := difference(v, second.Row(i)[k])
			if c.scoresAlone {
				apart = changeOf(c.Head, v, second.Row(i)[k], first.K)
			}
			largest = max(largest, apart)
		}
		if largest > DefaultTolerance*c.Range {
			c.Beyond++
		}
	}
}

// countLabels counts the images whose labels differ by the scores. A change is
// decided where the logits of the best two are further apart than the tolerance and
// the scores than rounding.
func (c *Comparison) countLabels(a, b Answers, told telling) {
	c.LabelsDiffer, c.DecidedLabelsDiffer = 0, 0
	if told.threshold != nil {
		c.countToldLabels(a, b, told)
		return
	}
	for i := range a.Scores.N {
		la, lb := a.Scores.Label(i), b.Scores.Label(i)
		if la == lb && la >= 0 {
			continue
		}
		c.LabelsDiffer++
		rounding, _ := roundingOf(c.Head, a.Scores.K)
		apart := max(margin(a.Scores.Row(i)), margin(b.Scores.Row(i))) > 2*rounding
		if la < 0 || lb < 0 || apart &&
			max(c.logitMargin(a, i), c.logitMargin(b, i)) > c.Tolerance*c.Range {
			c.DecidedLabelsDiffer++
		}
	}
}

// countToldLabels is countLabels of images with any number of labels: a change is decided where the
// logit of a label is further from the threshold's than the tolerance, and its score than rounding.
func (c *Comparison) countToldLabels(a, b Answers, told telling) {
	rounding, _ := roundingOf(c.Head, a.Scores.K)
	threshold := logitOf(c.Head, *told.threshold)
	for i := range a.Scores.N {
		differ, _ := told.differ(a.Scores.Row(i), b.Scores.Row(i))
		if !differ {
			continue
		}
		c.LabelsDiffer++
		if a.Scores.Label(i) < 0 || b.Scores.Label(i) < 0 {
			c.DecidedLabelsDiffer++
			continue
		}
		for k := range a.Scores.K {
			apart := told.apart(a.Scores.Row(i)[k], b.Scores.Row(i)[k])
			distance := max(c.fromThreshold(a, i, k, threshold), c.fromThreshold(b, i, k, threshold))
			if apart > 2*rounding && distance > c.Tolerance*c.Range {
				c.DecidedLabelsDiffer++
				break
			}
		}
	}
}

// fromThreshold is the distance of an image's logit of a class, shown or from the score, to
// another.
func (c *Comparison) fromThreshold(a Answers, image, class int, threshold float64) float64 {
	if a.shown() {
		return math.Abs(float64(a.Logits.Row(image)[class]) - threshold)
	}
	return math.Abs(logitOf(c.Head, a.Scores.Row(image)[class]) - threshold)
}

// logitMargin is the distance of an image's two largest logits, shown or from the scores.
func (c *Comparison) logitMargin(a Answers, i int) float64 {
	if a.shown() {
		return margin(a.Logits.Row(i))
	}
	first, second := math.Inf(-1), math.Inf(-1)
	for _, score := range a.Scores.Row(i) {
		if z := logitOf(c.Head, score); z > first {
			first, second = z, first
		} else if z > second {
			second = z
		}
	}
	return first - second
}
