package train

import (
	"strings"
)

// Measures of an epoch by which the best one is told. Validation is of the images held out, with
// averaged weights where Config.EMA is set; training is of those trained on, on their way through
// the epoch, penalties included in the loss.
const (
	BestValidationLoss     = "validation-loss"
	BestValidationAccuracy = "validation-accuracy"
	BestTrainingLoss       = "training-loss"
	BestTrainingAccuracy   = "training-accuracy"

	// These are of images with any number of labels each, and of those held out.
	BestValidationMeanAveragePrecision = "validation-mean-average-precision"
	BestValidationMacroF1              = "validation-macro-f1"
	BestValidationMicroF1              = "validation-micro-f1"
)

// measure is something of an epoch that can be better or worse.
type measure struct {
	name string
	// highest says that more is better.
	highest bool
	// validation says that it needs images held out.
	validation bool
	// multiLabel says that it is of images with any number of labels alone.
	multiLabel bool
	// value is nil where it was not measured.
	value func(Epoch) *float64
}

// measures lists all there are. None is of the test set: nothing is chosen by it.
func measures() []measure {
	return []measure{
		{BestValidationLoss, false, true, false, func(e Epoch) *float64 { return e.ValidationLoss }},
		{BestValidationAccuracy, true, true, false, func(e Epoch) *float64 {
			return e.ValidationAccuracy
		}},
		{BestTrainingLoss, false, false, false, func(e Epoch) *float64 { return &e.MeanLoss }},
		{BestTrainingAccuracy, true, false, false, func(e Epoch) *float64 { return &e.TrainAccuracy }},
		{BestValidationMeanAveragePrecision, true, true, true,
			func(e Epoch) *float64 { return e.ValidationMeanAveragePrecision }},
		{BestValidationMacroF1, true, true, true, func(e Epoch) *float64 { return e.ValidationMacroF1 }},
		{BestValidationMicroF1, true, true, true, func(e Epoch) *float64 { return e.ValidationMicroF1 }},
	}
}

// BestNames lists what Config.Best may be.
func BestNames() []string {
	var names []string
	for _, m := range measures() {
		names = append(names, m.name)
	}
	return names
}

// better reports whether a is better than b. Equal values and NaN are not.
func (m measure) better(a, b float64) bool {
	if m.highest {
		return a > b
	}
	return a < b
}

// was says, for people, when the measure was best.
func (m measure) was() string {
	name := strings.ReplaceAll(m.name, "-", " ")
	if m.highest {
		return "the " + name + " was highest"
	}
	return "the " + name + " was lowest"
}

// KeepsBest reports whether the best epoch's weights are kept, which the run comes to.
func (c Config) KeepsBest() bool { return c.Patience > 0 || c.Best != "" }

// BestBy is the measure by which the best epoch is told, empty where none is kept.
func (c Config) BestBy() string {
	if !c.KeepsBest() {
		return ""
	}
	return c.best().name
}

// best is the measure that Best names, the validation loss where it names none.
func (c Config) best() measure {
	all := measures()
	for _, m := range all {
		if m.name == c.Best {
			return m
		}
	}
	return all[0]
}

// checkBest reports a measure that there is not, or that this run does not take.
func (c Config) checkBest() error {
	switch m := c.best(); {
	case strings.HasPrefix(c.Best, "test-"):
		return wrongSetting("best",
			"the best epoch by %s: nothing is chosen by the test set, which is to tell how images are "+
				"answered that had no say; hold out a fraction for validation, and choose by %s", c.Best,
			BestValidationAccuracy)
	case c.Best != "" && m.name != c.Best:
		return wrongSetting("best", "the best epoch by %q: there are %s", c.Best,
			strings.Join(BestNames(), ", "))
	case c.ValidationFraction > 0 || !m.validation:
		return nil
	case c.Schedule.Name == SchedulePlateau:
		return wrongSetting("schedule.name",
			"schedule %s watches the %s, and needs a validation fraction", SchedulePlateau, m.name)
	case c.Best != "":
		return wrongSetting("best", "the best epoch by %s needs a validation fraction to watch", c.Best)
	case c.Patience > 0:
		return wrongSetting("patience", "early stopping (patience) needs a validation fraction to watch")
	}
	return nil
}

// improvedBy reports whether the epoch is the best one so far, the first one included.
func (p Progress) improvedBy(epoch Epoch, by measure) bool {
	value := by.value(epoch)
	if value == nil {
		return false
	}
	for _, earlier := range p.History {
		if earlier.Epoch != p.BestEpoch {
			continue
		}
		best := by.value(earlier)
		return best == nil || by.better(*value, *best)
	}
	return true
}
