package report

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"slipway/internal/document"
	"slipway/internal/statistics"
)

// The studies and settings that the claims are about.
const (
	dropoutStudy   = "dropout"
	untilLossStudy = "until-loss"
	e1e2Study      = "e1-e2"
	settingE1      = "E1"
	settingE2      = "E2"
)

// What the notebook that started the project printed, from one run of each experiment.
const (
	notebookE1Accuracy = 0.9858
	notebookE2Accuracy = 0.9850
	notebookEpochs     = 80 // about, until the mean loss was below the threshold
	lossThreshold      = 0.38
	notebookE1Epochs   = 10
	// The loss that λ1 = 0.5, λ2 = 0.1 starts near.
	heavyL1, heavyL2, heavyLoss = 0.5, 0.1, 13.0
	// heavyTolerance is how far from it is still near.
	heavyTolerance = 2.0
)

type verdict string

const (
	confirmed verdict = "confirmed"
	refuted   verdict = "refuted"
	undecided verdict = "undecided"
)

// claim is one of the notebook's, with the rule that decides on it.
type claim struct {
	text, rule string
	verdict    verdict
	numbers    string
}

func notebookClaims(studies []committed) ([]claim, error) {
	find := func(name string) *committed {
		for i := range studies {
			if studies[i].Study == name {
				return &studies[i]
			}
		}
		return nil
	}
	e1e2, until := find(e1e2Study), find(untilLossStudy)
	// E1 is also the study of dropout's first setting; E2 less its penalties the last.
	e1, with, without := e1e2, settingE1, settingE2
	if e1 == nil {
		e1, with, without = find(dropoutStudy), "dropout=0", "dropout=0.5"
	}
	var claims []claim
	for _, make := range []func() (claim, error){
		func() (claim, error) {
			return claimRun("E1 reaches 98.58 % in 10 epochs", notebookE1Accuracy, e1, with)
		},
		func() (claim, error) { return claimOverfit(e1, with, without) },
		func() (claim, error) {
			return claimDifference("E2 generalises better than E1", "E2's test accuracy is higher than E1's",
				"test_accuracy", e1e2), nil
		},
		func() (claim, error) {
			return claimDifference("E2 is more robust to noise",
				"E2's accuracy on test images with Gaussian, shot and impulse noise, mean over five strengths, is higher than E1's",
				"noise_accuracy", e1e2), nil
		},
		func() (claim, error) {
			return claimDifference("E2 is more robust to unseen data",
				"E2's accuracy on handwritten digits of another source, the UCI optical digits, is higher than E1's",
				"unseen_accuracy", e1e2), nil
		},
		func() (claim, error) { return claimLonger(e1e2) },
		func() (claim, error) { return claimEpochs(until, e1e2) },
		func() (claim, error) {
			return claimRun("E2 has 98.50 % when its loss is below 0.38", notebookE2Accuracy,
				firstOf(until, e1e2), "")
		},
		func() (claim, error) { return claimHeavy(find("penalties")), nil },
	} {
		c, err := make()
		if err != nil {
			return nil, err
		}
		claims = append(claims, c)
	}
	return claims, nil
}

func firstOf(studies ...*committed) *committed {
	for _, s := range studies {
		if s != nil {
			return s
		}
	}
	return nil
}

// notRun is a claim that no study speaks about.
func notRun(text, rule, study string) claim {
	return claim{text, rule, undecided, fmt.Sprintf("study %s has no report", study)}
}

// e2Runs returns the runs of E2 that stopped below the threshold, and how many did not.
func e2Runs(s *committed) (reached table, missed int) {
	all := s.runs
	if s.Study == e1e2Study {
		all = all.where("setting", settingE2)
	}
	reached = table{all.path, all.head, nil}
	stopped := slices.Index(all.head, "stopped")
	for _, row := range all.rows {
		if stopped >= 0 && strings.HasPrefix(row[stopped], "loss below") {
			reached.rows = append(reached.rows, row)
		} else {
			missed++
		}
	}
	return reached, missed
}

// claimRun asks whether the notebook's run could be one of ours.
func claimRun(text string, accuracy float64, s *committed, setting string) (claim, error) {
	rule := "the notebook's accuracy lies in the 95 % prediction interval of one more run"
	if s == nil {
		return notRun(text, rule, e1e2Study), nil
	}
	var values []float64
	if setting == "" {
		reached, _ := e2Runs(s)
		values = reached.number("test_accuracy")
	} else {
		values = s.runs.where("setting", setting).number("test_accuracy")
	}
	if len(values) < 5 {
		return claim{text, rule, undecided, fmt.Sprintf("%s in study %s, five are needed",
			count(len(values), "run"), s.Study)}, nil
	}
	interval, err := statistics.PredictionInterval(values, level)
	if err != nil {
		return claim{}, err
	}
	c := claim{text, rule, refuted, fmt.Sprintf("%s, %s: %s; one more run: %.2f … %.2f %%",
		count(len(values), "seed"), s.Study, plusMinus(values, 100, 2, " %"), 100*interval.Low,
		100*interval.High)}
	if interval.Contains(accuracy) {
		c.verdict = confirmed
	}
	return c, nil
}

// claimOverfit: a gap alone every network has that learns; that it shrinks when the
// network is held back makes it overfitting.
func claimOverfit(s *committed, e1, heldBack string) (claim, error) {
	text := "E1 overfits"
	rule := "E1's gap between training and test accuracy is above 0 (its 95 % interval over seeds), and that of E2, or of E1 with dropout 0.5, is smaller"
	if s == nil {
		return notRun(text, rule, e1e2Study), nil
	}
	row := s.settings.where("setting", e1)
	mean, ok := row.one("gap_mean")
	low, okLow := row.one("gap_low")
	high, okHigh := row.one("gap_high")
	if !ok || !okLow || !okHigh {
		return claim{text, rule, undecided, "study " + s.Study + " has no gap of E1"}, nil
	}
	numbers := fmt.Sprintf("study %s, gap of %s: %.2f points (%.2f … %.2f)", s.Study, e1, 100*mean,
		100*low, 100*high)
	difference, ok := readDifference(s, "gap", heldBack, e1)
	if !ok {
		return claim{text, rule, undecided, numbers + "; not compared with that of " + heldBack}, nil
	}
	c := claim{text, rule, undecided, numbers + fmt.Sprintf("; that of %s less it: ", heldBack) +
		difference.text(metrics()[1])}
	switch {
	case high <= 0 || difference.significant && difference.value > 0:
		c.verdict = refuted
	case low > 0 && difference.significant:
		c.verdict = confirmed
	}
	return c, nil
}

// difference is a row of a report's comparisons: a setting less the reference.
type difference struct {
	value, low, high, p float64
	pairs               string
	significant         bool
	images              *statistics.Interval
}

func readDifference(s *committed, key, setting, reference string) (difference, bool) {
	row := s.comparisons.where("metric", key).where("setting", setting).where("reference", reference)
	var d difference
	for name, into := range map[string]*float64{"difference": &d.value, "low": &d.low, "high": &d.high,
		"p_holm": &d.p} {
		x, ok := row.one(name)
		if !ok {
			return d, false
		}
		*into = x
	}
	d.significant = d.p < significance
	d.pairs = row.column("pairs")[0]
	low, okLow := row.one("images_low")
	high, okHigh := row.one("images_high")
	if okLow && okHigh {
		d.images = &statistics.Interval{Low: low, High: high}
	}
	return d, true
}

func (d difference) text(m metric) string {
	text := fmt.Sprintf("%s%s (%s … %s), %s, %s pairs of seeds", m.difference(d.value), m.unit(),
		m.difference(d.low), m.difference(d.high), pValue(d.p), d.pairs)
	if d.images != nil {
		text += fmt.Sprintf("; over seeds and test images %s … %s", m.difference(d.images.Low),
			m.difference(d.images.High))
	}
	return text
}

func claimDifference(text, rule, key string, s *committed) claim {
	if s == nil {
		return notRun(text, rule, e1e2Study)
	}
	var m metric
	for _, candidate := range metrics() {
		if candidate.key == key {
			m = candidate
		}
	}
	d, ok := readDifference(s, key, settingE2, settingE1)
	if !ok {
		return claim{text, rule, undecided, "not measured in study " + s.Study}
	}
	c := claim{text, rule, undecided, "E2 less E1: " + d.text(m)}
	switch {
	case d.significant && d.value > 0:
		c.verdict = confirmed
	case d.significant:
		c.verdict = refuted
	}
	return c
}

// claimLonger compares epochs, and not seconds: the runs shared their machine.
func claimLonger(s *committed) (claim, error) {
	text := "E2 takes longer training than E1"
	rule := fmt.Sprintf("the 95 %% interval of the mean of E2's epochs lies above E1's %d",
		notebookE1Epochs)
	if s == nil {
		return notRun(text, rule, e1e2Study), nil
	}
	epochs := s.runs.where("setting", settingE2).number("epochs")
	if len(epochs) < 2 {
		return claim{text, rule, undecided, "fewer than two runs of E2"}, nil
	}
	interval, err := statistics.MeanInterval(epochs, level)
	if err != nil {
		return claim{}, err
	}
	c := claim{text, rule, undecided, fmt.Sprintf("%s: %.0f … %.0f epochs, mean %.1f (%.1f … %.1f)",
		count(len(epochs), "seed"), slices.Min(epochs), slices.Max(epochs), statistics.Mean(epochs),
		interval.Low, interval.High)}
	switch {
	case interval.Low > notebookE1Epochs:
		c.verdict = confirmed
	case interval.High < notebookE1Epochs:
		c.verdict = refuted
	}
	return c, nil
}

// claimEpochs works on logarithms: a number of epochs is positive, and some runs take
// many times as long as others.
func claimEpochs(studies ...*committed) (claim, error) {
	text := "E2 needs about 80 epochs until its mean loss is below 0.38"
	rule := "80 lies in the 95 % prediction interval of one more run (of the epochs' logarithms)"
	s := firstOf(studies...)
	if s == nil {
		return notRun(text, rule, untilLossStudy), nil
	}
	reached, missed := e2Runs(s)
	epochs := reached.number("epochs")
	if len(epochs) < 5 {
		return claim{text, rule, undecided, fmt.Sprintf("%s reached it, five are needed",
			count(len(epochs), "run"))}, nil
	}
	logs := make([]float64, len(epochs))
	for i, n := range epochs {
		logs[i] = math.Log(n)
	}
	interval, err := statistics.PredictionInterval(logs, level)
	if err != nil {
		return claim{}, err
	}
	low, high := math.Exp(interval.Low), math.Exp(interval.High)
	c := claim{text, rule, refuted,
		fmt.Sprintf("%s: %.0f … %.0f epochs, median %.1f; one more run: %.0f … %.0f",
			count(len(epochs), "seed"), slices.Min(epochs), slices.Max(epochs),
			statistics.Quantile(epochs, 0.5), low, high)}
	if low <= notebookEpochs && notebookEpochs <= high {
		c.verdict = confirmed
	}
	if missed > 0 {
		c.verdict = undecided
		c.numbers += fmt.Sprintf("; %s did not reach it", count(missed, "run"))
	}
	return c, nil
}

// claimHeavy: a loss that ends above ln 10 even without its penalties is that of a
// network that guesses.
func claimHeavy(s *committed) claim {
	text := "With λ1 = 0.5, λ2 = 0.1 the loss starts near 13 and does not get far"
	rule := fmt.Sprintf(
		"the loss of the first epoch's last batch, which the notebook's line after an epoch shows, is within %v of 13, and no run has a test accuracy above 20 %%",
		heavyTolerance)
	if s == nil {
		return notRun(text, rule, "penalties")
	}
	runs := s.runs.where("l1", document.Exact(heavyL1)).where("l2", document.Exact(heavyL2))
	losses, accuracies := runs.number("loss_after_first_epoch"), runs.number("test_accuracy")
	if len(losses) == 0 || len(accuracies) == 0 {
		return claim{text, rule, undecided, "study " + s.Study + " has no such run"}
	}
	c := claim{text, rule, confirmed,
		fmt.Sprintf(
			"%s: after the first epoch %s, with a mean over it of %s; mean loss of the last epoch %s; test accuracy %s",
			count(len(losses), "seed"), span(losses, 2), span(runs.number("first_mean_loss"), 2),
			span(runs.number("last_mean_loss"), 2), percentSpan(accuracies))}
	for _, loss := range losses {
		if math.Abs(loss-heavyLoss) > heavyTolerance {
			c.verdict = refuted
		}
	}
	if slices.Max(accuracies) > 0.2 {
		c.verdict = refuted
	}
	return c
}

// span shows the range of some numbers.
func span(values []float64, digits int) string {
	low, high := fmt.Sprintf("%.*f", digits, slices.Min(values)), fmt.Sprintf("%.*f", digits,
		slices.Max(values))
	if low == high {
		return low
	}
	return low + " … " + high
}

func percentSpan(shares []float64) string {
	scaled := make([]float64, len(shares))
	for i, x := range shares {
		scaled[i] = 100 * x
	}
	return span(scaled, 2) + " %"
}

func writeClaims(out *bytes.Buffer, claims []claim) {
	fmt.Fprint(out, "## The notebook's claims\n\nThe notebook ran each experiment once.\n\n")
	t := document.Table{Head: []string{"claim", "verdict", "numbers", "confirmed if"}}
	for _, c := range claims {
		t.Rows = append(t.Rows, []string{c.text, string(c.verdict), c.numbers, c.rule})
	}
	document.WriteLeftTable(out, t)
	fmt.Fprint(out,
		"\nA difference that is significant the other way refutes a claim, one that is not significant leaves it undecided.\n\n")
}
