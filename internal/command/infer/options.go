package infer

import (
	"errors"
	"fmt"
	"io"

	"slipway/dataset/corrupt"
	"slipway/infer"
	"slipway/internal/cli"
)

const usage = `infer runs an ONNX image classifier on a labelled data set and counts the right answers.

  infer -model e2.onnx -data t10k                    # accuracy, confusion matrix, figures of each class
  infer -model e1.onnx -data t10k -cross-validate    # and compare onnxruntime, native, onnx-go and the trainer
  infer -model e1.onnx -data t10k -runtime native    # in Go alone, without any library
  infer -model e1.onnx -data t10k -batch 1           # the experiment's loop, one image at a time
  infer -model e1.onnx -data t10k -report e1-report  # figures, confusion as a picture, the worst images (docs/metrics.md)
  infer -model other.onnx -data t10k -pixels 0.1307,0.3081
  infer -model other.onnx -data photos -pixels imagenet      # by channel: mean=…,std=… is any; -channels bgr
  infer -model e1.onnx -data t10k -corrupt rotate:3  # on rotated images; infer robustness -h lists the corruptions
  infer -model e1.onnx -data optdigits               # on other writers' digits: dataset fetch optdigits brings them
  infer -model birds.onnx -data birds/test -labels birds.txt   # a set of your own, and its classes' names
  infer -model birds.onnx -top 3 robin.jpg holiday/ -   # what pictures are: files, folders, and - for standard input
  infer -model scenes.onnx -threshold 0.3 beach.jpg  # of a model with any number of labels: those above 0.3, and not 0.5
  infer compare e1.onnx other.onnx -data t10k        # where two models differ; infer compare -h says more
  infer robustness -model e1.onnx -model e2.onnx     # accuracy on all corruptions

Without -runtime, -library, -device cuda and ` + infer.LibraryVariable + `, a missing onnxruntime library is no failure: the native
runtime runs instead, and says so on standard error and in the notes.

A bare model name is looked up in the working folder, then in graphs/. The model has one image input (N×C×H×W,
N×H×W×C or N×features; float32, float16, float64 or uint8) and one score output: N×K, or one score an
image for two classes, which is a probability where a sigmoid makes it, and else a logit.

Exit status: 0 all is well; 1 a failure, or runtimes that disagree; 2 wrong usage.

-json prints one object:
  model, data                        file and data set, the latter with the corruption: t10k+rotate:3
  corruption                         name, strength and seed of -corrupt, or null
  images, correct, unanswered        counts; unanswered have a NaN among their scores
  accuracy, recorded_accuracy        0…1; recorded by the trainer in the model, or null
  runtime, version, provider, device, threads, library    what ran; library is null for others than onnxruntime
  batch, pixels, images_per_second   images of one run; formula of the input, x being 0…255; time in the runtime alone
  notes                              what must be heard, such as a fallback to the CPU
  multi_label                        of images with any number of labels: threshold and figures (docs/multi-label.md);
                                     correct and accuracy are of images all of whose labels are right
  confusion                          [label][prediction], counts; null where there are more than 4,096 classes, and of
                                     images with any number of labels
  classes                            of each class: name, images, precision, recall, f1
  agree                              false if something disagrees, or nothing could be compared: exit status 1; reasons
                                     has why
  reasons                            one text each
  compared                           with -cross-validate, of each other runtime and the trainer: runtime, version,
                                     provider, images, correct, accuracy, images_per_second (null for the trainer),
                                     labels_differ, max_abs_diff, max_rel_diff (max_abs_diff by the range of all logits of
                                     runtime), not_finite (then max_abs_diff and max_rel_diff are null), of (what was
                                     compared: logits, those before a last Softmax, LogSoftmax or Sigmoid, or its scores
                                     alone), scores_rel_diff (the difference of logits, by their range, that explains what
                                     the scores after it differ by), tolerance, tolerance_from (the default, given, or how
                                     it was measured), agree

Flags:
`

// options is what the command line asks for.
type options struct {
	runFlags
	oneRuntime
	model         string
	corruption    *corrupt.Corruption // nil: the data as it is
	tf32          bool
	crossValidate bool
	reference     string
	tolerance     float64
	predictions   string
	report        string
	labels        string
	labelNames    []string // that labels names
	top           int
	// topGiven and threshold say which classes of a picture are told: so many of the best, or those
	// above a probability, 0 where none was given.
	topGiven  bool
	threshold float64
	// operands are the pictures to classify; without them a set is evaluated.
	operands []string
	// toleranceGiven says that the tolerance is the user's wish, which no measurement changes.
	toleranceGiven bool
}

// parse reads the command line. Its error is wrong usage.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	var corruption string
	var corruptSeed uint64
	flags := cli.NewFlagSet("infer", usage, stdout)
	o.runFlags.define(flags, false)
	o.oneRuntime.define(flags)
	cli.Suggest(flags, &o.model, "model", "", cli.Models{},
		"ONNX `file`, or the bare name of one in graphs/")
	flags.StringVar(&corruption, "corrupt", "",
		"damage the images first: `NAME:STRENGTH`, such as rotate:3")
	flags.Uint64Var(&corruptSeed, "corrupt-seed", 0, "`seed` of -corrupt")
	flags.BoolVar(&o.tf32, "tf32", false,
		"on CUDA, let products round their factors to 10 bits of mantissa, which is faster")
	flags.BoolVar(&o.crossValidate, "cross-validate", false,
		"compare all runtimes' answers, and the trainer's when there are any")
	flags.StringVar(&o.reference, "reference", "",
		"the trainer's logits, a safetensors `file` (MODEL/trainer_logits.safetensors beside MODEL.onnx, if it is there)")
	flags.Float64Var(&o.tolerance, "tolerance", infer.DefaultTolerance,
		"largest logit difference, as a fraction of the logits' range; not given, it is raised to what rounding is measured to do to the graph")
	flags.StringVar(&o.labels, "labels", "",
		"`file` of the classes' names, one a line, instead of the model's own")
	flags.IntVar(&o.top, "top", 1, "classes that are told of each picture")
	flags.Float64Var(&o.threshold, "threshold", 0,
		"`probability` above which a label is told of a picture with any number of them (0.5)")
	flags.StringVar(&o.predictions, "o", "",
		"write label, prediction and logits of each image to a CSV `file`")
	flags.StringVar(&o.report, "report", "",
		"write report.html, report.md, metrics.json, the confusion as a picture and the most confidently wrong images into this `folder`")
	var err error
	if o.operands, err = cli.ParseOperands(flags, args, cli.Words{compareCommand, robustnessCommand,
		cli.FileNames}); err != nil || o.version {
		return o, renamed(err)
	}
	given := cli.Given(flags)
	if err := o.checkOperands(given); err != nil {
		return nil, err
	}
	o.toleranceGiven, o.ownNames, o.topGiven = given["tolerance"], given["labels"], given["top"]
	if given["threshold"] {
		if err := infer.CheckThreshold(o.threshold); err != nil {
			return nil, fmt.Errorf("-%w", err)
		}
	}
	if err := o.take(given); err != nil {
		return nil, err
	}
	switch {
	case given["corrupt"]:
		c, err := corrupt.Parse(corruption)
		if err != nil {
			return nil, fmt.Errorf("-corrupt: %w", err)
		}
		c.Seed = corruptSeed
		o.corruption = &c
	case given["corrupt-seed"]:
		return nil, errors.New("-corrupt-seed applies to -corrupt alone")
	}
	return o, o.check(given)
}

// checkOperands reports what does not go with pictures, or without them.
func (o *options) checkOperands(given map[string]bool) error {
	if len(o.operands) == 0 {
		if given["top"] {
			return errors.New("-top is of pictures: name some, a folder of them, or - for standard input")
		}
		return nil
	}
	for _, name := range []string{"data", "data-dir", "multi-label", "corrupt", "cross-validate",
		"reference", "report"} {
		if given[name] {
			return fmt.Errorf("-%s is of a set with labels; it does not go with single pictures such as %s",
				name, o.operands[0])
		}
	}
	if o.top < 1 {
		return fmt.Errorf("-top %d: at least 1 is needed", o.top)
	}
	return nil
}

func (o *options) check(given map[string]bool) error {
	if o.model == "" {
		return errors.New("-model is missing: the ONNX file to run")
	}
	if err := o.runFlags.check(given); err != nil {
		return err
	}
	switch {
	case o.tf32 && o.device == infer.DeviceCPU:
		return errors.New("-tf32 is CUDA's and does not go with -device cpu")
	case !(o.tolerance > 0 && o.tolerance < 1):
		return fmt.Errorf(
			"-tolerance %v: it is a fraction of the logits' range, larger than 0 and smaller than 1",
			o.tolerance)
	case given["tolerance"] && !o.crossValidate:
		return errors.New("-tolerance applies to -cross-validate alone")
	case given["reference"] && !o.crossValidate:
		return errors.New("-reference applies to -cross-validate alone")
	}
	if err := o.oneRuntime.check(&o.runFlags, given, !o.crossValidate); err != nil {
		return err
	}
	if o.tf32 && o.runtime != infer.RuntimeONNXRuntime {
		return fmt.Errorf("-tf32 is CUDA's and does not go with -runtime %s", o.runtime)
	}
	return nil
}
