package train

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"

	"slipway/builder"
	"slipway/internal/cli"
	"slipway/train"
)

// headAuto is the word of -head for as many classes as the sets have.
const headAuto = "auto"

// fineTuning is what is asked of a network that has learned elsewhere, beside train.FineTune.
type fineTuning struct {
	head             string // a number, auto, or empty
	freezeStatistics []string
}

// defineFineTuning defines the flags of training on.
func (o *options) defineFineTuning(flags *flag.FlagSet) {
	c := &o.config
	flags.Func("lr",
		"learning `rate` (1e-3; rmsprop 1e-2, lion 1e-4), or rates by group, the first that "+
			"matches: head=1e-3,layer4.*=2e-4,*=1e-4, with patterns as -freeze's", rates(c))
	cli.Suggest(flags, &o.fineTuning.head, "head", "", cli.Words{headAuto},
		"give the network of -from or -init a new classifier for that `number` of classes, auto "+
			"for the sets', and keep all else that it has learned")
	flags.StringVar(&c.FineTune.Head, "head-layer", "",
		"`name` of the layer that is the classifier, the head; the last Dense or Conv2D if empty")
	flags.Func("freeze", "parameters that stay as they are: a list of `patterns` of their names "+
		"or their layers', such as conv1,bn1.*, where * stands for any text; head is the "+
		"classifier and trunk all else", freeze(&c.Freeze))
	flags.IntVar(&c.FineTune.FreezeUntil, "freeze-until", 0,
		"`epoch` from which on what -freeze names is trained, too; 0 for never")
	flags.Func("freeze-statistics",
		"batch normalisation that keeps its running statistics and normalises with them: "+
			"`patterns` as -freeze's, * for all; without it batches change them, of frozen "+
			"parameters as well", freeze(&o.fineTuning.freezeStatistics))
	cli.Choice(flags, &c.FineTune.Features, "features", train.FeaturesAuto, train.FeatureModes(),
		"when the output of layers that are frozen is computed once for each image: auto where "+
			"that changes no bit, once with -augment, too, of images as they are, or never")
}

// rates reads -lr.
func rates(into *train.Config) func(string) error {
	return func(text string) (err error) {
		into.FineTune.Rates = nil
		if into.Optimizer.LearningRate, err = strconv.ParseFloat(text, 64); err == nil {
			return nil
		}
		into.FineTune.Rates, into.Optimizer.LearningRate, err = train.ParseRates(text)
		return err
	}
}

// checkFineTuning rejects what does not go together.
func (o *options) checkFineTuning() error {
	if o.config.FineTune.Features == train.FeaturesAuto {
		o.config.FineTune.Features = "" // the default, of which a run's record says nothing
	}
	switch n, err := strconv.Atoi(o.fineTuning.head); {
	case o.fineTuning.head == "" && o.given["head"]:
		return fmt.Errorf("-head is empty; give a number of classes, or %s", headAuto)
	case o.fineTuning.head == "", o.resume: // which check refuses
	case o.from == "" && o.init == "":
		return errors.New("-head keeps what -from's network has learned, or the weights of " +
			"-init; give one of them")
	case o.fineTuning.head == headAuto:
	case err != nil || n < 1:
		return fmt.Errorf("-head %s; a number of classes is needed, or %s for that of the sets",
			o.fineTuning.head, headAuto)
	}
	switch {
	case o.resume:
	case o.given["freeze-until"] && len(o.config.Freeze) == 0:
		return errors.New("-freeze-until says when what -freeze names is trained; give a -freeze")
	case o.given["freeze-until"] && o.config.FineTune.FreezeUntil < 2:
		return fmt.Errorf("-freeze-until %d; epochs count from 1, and 2 is the first that "+
			"something can be frozen until",
			o.config.FineTune.FreezeUntil)
	}
	return nil
}

// fineTuned gives the network that was asked for its new classifier and its frozen statistics.
func (o *options) fineTuned(
	network *builder.Network, initial builder.Weights, sets sets, out io.Writer,
) (*builder.Network, builder.Weights, error) {
	var err error
	if o.fineTuning.head != "" {
		if network, initial, err = o.withHead(network, initial, sets, out); err != nil {
			return nil, nil, err
		}
	}
	if len(o.fineTuning.freezeStatistics) > 0 {
		if network, err = train.FreezeStatistics(network, o.fineTuning.freezeStatistics,
			o.config.FineTune.Head); err != nil {
			return nil, nil, fmt.Errorf("-freeze-statistics: %w", err)
		}
	}
	return network, initial, nil
}

func (o *options) withHead(
	network *builder.Network, initial builder.Weights, sets sets, out io.Writer,
) (*builder.Network, builder.Weights, error) {
	has := sets.classes()
	classes := has
	if o.fineTuning.head != headAuto {
		classes, _ = strconv.Atoi(o.fineTuning.head) // checkFineTuning has read it
	}
	if classes < has {
		return nil, nil, fmt.Errorf("-head %d, and the sets have %d classes; -head %s is for "+
			"as many", classes, has, headAuto)
	}
	replaced, head, err := network.WithHead(classes, o.config.FineTune.Head)
	if err != nil {
		return nil, nil, fmt.Errorf("-head: %w; -head-layer names a layer", err)
	}
	weights, err := replaced.CarryWeights(initial, o.config.Seed, head)
	if err != nil {
		return nil, nil, fmt.Errorf("-head: %w", err)
	}
	was, err := network.Classes()
	if err != nil {
		return nil, nil, fmt.Errorf("-head: %w", err)
	}
	more := ""
	if classes > has {
		more = fmt.Sprintf("; the sets have %d", has)
	}
	fmt.Fprintf(out, "head: layer %s, drawn anew, tells %d classes apart in place of %d%s\n", head,
		classes, was, more)
	return replaced, weights, nil
}
