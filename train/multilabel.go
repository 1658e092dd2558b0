package train

import (
	"context"
	"fmt"

	"slipway/dataset"
	"slipway/metrics"
)

// For returns the configuration with what the set asks of it. Images with any number of labels are
// trained with the binary loss, which it is where no loss is named; what asks for one class an
// image is an error, as is a Best of labels that the set does not have.
func (c Config) For(source dataset.Source) (Config, error) {
	set := source.Info()
	switch best := c.best(); {
	case !set.MultiLabel && best.multiLabel:
		return c, wrongSetting("best", "the best epoch by %s is of images with any number of labels, "+
			"and those of %s have one each", best.name, set.Name)
	case !set.MultiLabel:
		return c, nil
	case c.Loss.Name == "":
		c.Loss.Name = LossBinary
	case c.Loss.Name != LossBinary:
		return c, wrongSetting("loss.name",
			"the images of %s have any number of labels, and the %s loss "+
				"is of one each; leave the loss out, or say %s", set.Name, c.Loss.Name, LossBinary)
	}
	if c.Sampling == SamplingBalanced {
		return c, wrongSetting("sampling", "%s sampling draws each class as often as another, and the "+
			"images of %s have any number of labels; class weights (%s) do it for rare labels",
			SamplingBalanced, set.Name, ClassWeightsBalanced)
	}
	return c, nil
}

// sameLabels refuses a set whose images have one label each where those that are trained on have
// any number, and the other way round.
func (t *Trainer) sameLabels(set dataset.Info) error {
	several := func(info dataset.Info) string {
		if info.MultiLabel {
			return "any number of labels"
		}
		return "one label each"
	}
	if set.MultiLabel == t.trainingInfo.MultiLabel {
		return nil
	}
	return fmt.Errorf("%w: the images of %s have %s, those of %s %s", dataset.ErrMultiLabel, set.Name,
		several(set), t.trainingInfo.Name, several(t.trainingInfo))
}

// tells reports whether logits above 0 are those of the labels, in ascending order, and no others.
func tells(logits []float32, labels []int32) bool {
	next := 0
	for k, x := range logits {
		has := next < len(labels) && int(labels[next]) == k
		if has {
			next++
		}
		if x != x || x > 0 != has {
			return false
		}
	}
	return next == len(labels)
}

// LabelFigures returns what the evaluation of a set whose images have any number of labels is
// worth, a label being told where its logit is above 0.
func LabelFigures(ctx context.Context, source dataset.Source, evaluation *Evaluation) (
	*metrics.MultiLabel, error) {
	places, err := dataset.AllLabels(ctx, source)
	if err != nil {
		return nil, err
	}
	set := source.Info()
	targets := set.Combinations.Targets(places, evaluation.Classes)
	return metrics.NewMultiLabel(evaluation.Logits, targets, evaluation.Classes, 0, set.ClassNames)
}

// takeLabelFigures adds to an epoch what the images held out say, where they have any number of
// labels. What the best epoch is told by must be defined.
func (t *Trainer) takeLabelFigures(ctx context.Context, epoch *Epoch,
	evaluation *Evaluation) error {
	if !t.trainingInfo.MultiLabel {
		return nil
	}
	figures, err := LabelFigures(context.WithoutCancel(ctx), t.validation, evaluation)
	if err != nil {
		return fmt.Errorf("figures of the labels after epoch %d: %w", epoch.Epoch, err)
	}
	epoch.ValidationMeanAveragePrecision = figures.MeanAveragePrecision
	epoch.ValidationMacroF1, epoch.ValidationMicroF1 = figures.MacroF1, figures.MicroF1
	if m := t.config.best(); m.multiLabel && m.value(*epoch) == nil {
		return fmt.Errorf(
			"epoch %d: the best epoch is told by %s, which is not defined on the %d images "+
				"held out: none of them has a label; hold out more", epoch.Epoch, m.name, evaluation.images())
	}
	return nil
}

// images is how many were evaluated.
func (e *Evaluation) images() int { return len(e.Logits) / e.Classes }
