package train

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"slipway/internal/cli"
	"slipway/train"
)

// defineLoss adds the flags of what is made small.
func defineLoss(flags *flag.FlagSet, loss *train.Loss) {
	cli.Choice(flags, &loss.Name, "loss", train.LossCrossEntropy, train.LossNames(),
		"what is made small: "+strings.Join(train.LossNames(), ", ")+" (docs/losses.md)")
	flags.Float64Var(&loss.Smoothing, "label-smoothing", 0,
		"share of each target that is spread over all classes, 0 ≤ ε ≤ 1")
	flags.Float64Var(&loss.Gamma, "focal-gamma", 0, "focal loss's γ (2)")
	flags.Func("class-weights", "how much the images of each class count: `balanced`, or a number "+
		"for each class, such as 1,2.5",
		func(text string) (err error) {
			loss.ClassWeights, err = train.ParseClassWeights(text)
			return err
		})
}

// defineSampling adds the flag of how an epoch's images are chosen.
func defineSampling(flags *flag.FlagSet, sampling *string) {
	cli.Choice(flags, sampling, "sampling", train.SamplingShuffled, train.SamplingNames(),
		"how an epoch's images are chosen: shuffled, each once; or balanced, drawn with replacement, "+
			"each class as often as another")
}

// defineMix adds the flags of images that are mixed.
func defineMix(flags *flag.FlagSet, mix *train.Mix) {
	flags.Float64Var(&mix.MixUp, "mixup", 0,
		"make one training image of two by their weighted sum, with this `α`, such as 0.2")
	flags.Float64Var(&mix.CutMix, "cutmix", 0,
		"make one training image of two by a rectangle of the other, with this `α`, such as 1; "+
			"with -mixup each batch has one of them")
	flags.Float64Var(&mix.Probability, "mix-probability", 0,
		"share of the batches that are mixed (1)")
	flags.Float64Var(&mix.Switch, "mix-switch", 0, "share of cutmix where -mixup is on, too (0.5)")
}

// tellLabels says what is right of images with any number of labels.
func tellLabels(trainer *train.Trainer, out io.Writer) {
	if trainer.Sets().Training.MultiLabel {
		fmt.Fprintln(out, "labels: any number an image, each told where its probability is above 0.5; "+
			"accuracy is the share of images all of whose labels are right")
	}
}

// tellLoss says which loss it is, where it is not the plain one, with the weights that were
// measured, and how images are chosen and mixed.
func tellLoss(trainer *train.Trainer, out io.Writer) {
	if loss := trainer.Config().Loss; !loss.IsZero() {
		fmt.Fprintf(out, "loss: %v\n", loss)
	}
	if trainer.Config().Sampling == train.SamplingBalanced {
		fmt.Fprintln(out, "sampling: balanced, each class as often as another")
	}
	if mix := trainer.Config().Mix; !mix.IsZero() {
		fmt.Fprintf(out, "images are mixed: %v\n", mix)
	}
}
