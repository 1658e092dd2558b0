package infer

import (
	"fmt"
	"math"
)

// DefaultTolerance is the largest difference, as a fraction of the values' range,
// that rounding alone explains between two sound computations of one graph in
// float32. A sum of n products, taken in another order, is off by some √n·u of
// its terms' size, u = 2⁻²⁴; 4√n·u is 8e-6 for the 1024 terms of the longest sum in
// the experiments' networks. Measured over t10k are 1.5e-7 to 7e-7 between
// onnxruntime, onnx-go and the trainer. A hundred times as much would pass
// defects: conv2's bias set to zero moves E1's logits by less than 1e-3.
const DefaultTolerance = 1e-5

// An Allowance is what two runtimes' answers may differ by.
type Allowance struct {
	// Tolerance is the largest difference, as a fraction of the range, in (0, 1).
	Tolerance float64
	// Share is the fraction of the images that may differ by more than
	// DefaultTolerance; 0 for all of them.
	Share float64
	// Told is the score above which a label is told of images with any number of labels, nil where the
	// largest score is the class's (Result.Told).
	Told *float32
}

// A Comparison says how far two runtimes' answers to the same images are apart.
type Comparison struct {
	// Images compared.
	Images int
	// Of says what was compared: "logits", or, of models that end in a Head, those
	// before it or the scores.
	Of string
	// Head is what the models end in, none if their scores were compared as they are.
	Head Head
	// LabelsDiffer counts the images whose largest logit is another one, or
	// that have no answer because of a NaN; of images with any number of labels those of which one
	// label is told on one side alone.
	LabelsDiffer int
	// DecidedLabelsDiffer counts those of LabelsDiffer that rounding does not
	// explain: in one of the answers the two largest logits are further apart
	// than Tolerance×Range, or the logit of such a label is further from the threshold, or there is no
	// answer because of a NaN.
	DecidedLabelsDiffer int
	// NotFinite counts the logits that are NaN or infinite in one of the
	// answers and not the same infinity in the other. They count as infinitely far apart.
	NotFinite int
	// MaxAbsDiff is max|a-b| over all logits, +Inf when NotFinite is not 0.
	MaxAbsDiff float64
	// WorstImage and WorstClass say where MaxAbsDiff is.
	WorstImage, WorstClass int
	// Range is max-min of the finite logits of the first, the reference.
	Range float64
	// MaxRelDiff is MaxAbsDiff/Range. It is relative to the range of all logits
	// and not to the single logit, which may be near 0.
	MaxRelDiff float64
	// ScoresRelDiff says, of models with a Head whose logits were compared, what the
	// scores differ by: the smallest difference of logits that explains it, by Range.
	// ScoresImage and ScoresClass say where.
	ScoresRelDiff            float64
	ScoresImage, ScoresClass int
	// Tolerance is what MaxRelDiff and ScoresRelDiff may be.
	Tolerance float64
	// Beyond is how many images differ by more than DefaultTolerance, of which
	// MayBeBeyond may; all may where Share of the Allowance is 0.
	Beyond, MayBeBeyond int
	// scoresAlone says that the scores of a Head were compared, without its logits.
	scoresAlone bool
	// told says that images have any number of labels.
	told bool
}

// Compare compares the answers b with the reference a. They have the same N and
// K; the tolerance is a fraction of the range of a's logits, in (0, 1).
func Compare(a, b Logits, tolerance float64) (Comparison, error) {
	return compare(a, b, tolerance, telling{})
}

func compare(a, b Logits, tolerance float64, told telling) (Comparison, error) {
	if err := sameShape(a, b); err != nil {
		return Comparison{}, err
	}
	if err := checkTolerance(tolerance); err != nil {
		return Comparison{}, err
	}
	c := Comparison{Images: a.N, MayBeBeyond: a.N, Of: "logits", Tolerance: tolerance,
		Range: valueRange(a.Values), told: told.threshold != nil}
	for i, va := range a.Values {
		diff := difference(va, b.Values[i])
		if math.IsInf(diff, 0) {
			c.NotFinite++
		}
		if diff > c.MaxAbsDiff {
			c.MaxAbsDiff, c.WorstImage, c.WorstClass = diff, i/a.K, i%a.K
		}
	}
	if c.MaxAbsDiff > 0 {
		c.MaxRelDiff = c.MaxAbsDiff / c.Range
	}
	for i := range a.N {
		differ, decided := told.differ(a.Row(i), b.Row(i))
		if !differ {
			continue
		}
		c.LabelsDiffer++
		if decided > tolerance*c.Range {
			c.DecidedLabelsDiffer++
		}
	}
	return c, nil
}

// Agree is the verdict: no logit differs by more than the tolerance, no score by
// more than such logits explain, no more images than may by more than
// DefaultTolerance, and no label differs where the answer is clear.
func (c Comparison) Agree() bool {
	return c.NotFinite == 0 && c.DecidedLabelsDiffer == 0 &&
		(c.MaxAbsDiff == 0 || c.MaxRelDiff <= c.Tolerance) &&
		c.ScoresRelDiff <= c.Tolerance && c.Beyond <= c.MayBeBeyond
}

// Reason says why the two do not agree, "" when they do.
func (c Comparison) Reason() string {
	switch {
	case c.NotFinite > 0:
		return fmt.Sprintf("%d %s are NaN or infinite on one side, the first at image %d, class %d",
			c.NotFinite, c.what(), c.WorstImage, c.WorstClass)
	case c.MaxAbsDiff > 0 && c.MaxRelDiff > c.Tolerance && c.scoresAlone:
		return fmt.Sprintf(
			"the scores of image %d, class %d differ by %.3g, which takes a difference of logits of %.3g of their range; the tolerance is %.3g",
			c.WorstImage, c.WorstClass, c.MaxAbsDiff, c.MaxRelDiff, c.Tolerance)
	case c.MaxAbsDiff > 0 && c.MaxRelDiff > c.Tolerance:
		return fmt.Sprintf(
			"the largest logit difference is %.3g (image %d, class %d), %.3g of the logits' range; the tolerance is %.3g",
			c.MaxAbsDiff, c.WorstImage, c.WorstClass, c.MaxRelDiff, c.Tolerance)
	case c.ScoresRelDiff > c.Tolerance:
		return fmt.Sprintf(
			"the logits agree, but not what %v makes of them: the score of image %d, class %d takes a difference of logits of %.3g of their range; the tolerance is %.3g",
			c.Head, c.ScoresImage, c.ScoresClass, c.ScoresRelDiff, c.Tolerance)
	case c.Beyond > c.MayBeBeyond:
		return fmt.Sprintf(
			"%d of %d images differ by more than %.3g of the range; rounding to integers explains %d",
			c.Beyond, c.Images, DefaultTolerance, c.MayBeBeyond)
	case c.DecidedLabelsDiffer > 0 && c.told:
		return fmt.Sprintf(
			"the labels of %d images differ where a logit is further from the threshold than the tolerance",
			c.DecidedLabelsDiffer)
	case c.DecidedLabelsDiffer > 0:
		return fmt.Sprintf(
			"%d labels differ where the two best logits are further apart than the tolerance",
			c.DecidedLabelsDiffer)
	}
	return ""
}

// what is the word for what was compared.
func (c Comparison) what() string {
	if c.scoresAlone {
		return "scores"
	}
	return "logits"
}

func checkTolerance(tolerance float64) error {
	if !(tolerance > 0 && tolerance < 1) {
		return fmt.Errorf(
			"tolerance %v: it is a fraction of the logits' range, larger than 0 and smaller than 1",
			tolerance)
	}
	return nil
}

// difference is |a-b|, 0 for equal infinities, +Inf where one is NaN: a NaN on
// both sides is no agreement.
func difference(a, b float32) float64 {
	if a == b {
		return 0
	}
	d := math.Abs(float64(a) - float64(b))
	if math.IsNaN(d) {
		return math.Inf(1)
	}
	return d
}

func valueRange(values []float32) float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			low, high = min(low, f), max(high, f)
		}
	}
	return max(0, high-low)
}

// margin is the distance of the two largest values; +Inf for a single class.
func margin(row []float32) float64 {
	first, second := math.Inf(-1), math.Inf(-1)
	for _, v := range row {
		f := float64(v)
		if f > first {
			first, second = f, first
		} else if f > second {
			second = f
		}
	}
	return first - second
}
