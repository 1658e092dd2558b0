package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"slipway/dataset"
	"slipway/dataset/corrupt"
	"slipway/infer"
	"slipway/internal/cli"
)

const usage = `infer runs an ONNX image classifier on a labelled data set and counts the right answers.

  infer -model e2.onnx -data t10k                    # accuracy, confusion matrix, figures of each class
  infer -model e1.onnx -data t10k -cross-validate    # and compare onnxruntime, native, onnx-go and the trainer
  infer -model e1.onnx -data t10k -runtime native    # in Go alone, without any library
  infer -model e1.onnx -data t10k -batch 1           # the experiment's loop, one image at a time
  infer -model other.onnx -data t10k -normalize 0.1307,0.3081
  infer -model e1.onnx -data t10k -corrupt rotate:3  # on rotated images; infer robustness -h lists the corruptions
  infer -model e1.onnx -data optdigits               # on other writers' digits: dataset fetch optdigits brings them
  infer compare e1.onnx other.onnx -data t10k        # where two models differ; infer compare -h says more
  infer robustness -model e1.onnx -model e2.onnx     # accuracy on all corruptions

Without -runtime, -library, -device cuda and ` + infer.LibraryVariable + `, a missing onnxruntime library is no failure: the native
runtime runs instead, and says so on standard error and in the notes.

A bare model name is looked up in the working folder, then in graphs/. The model has one image input (N×C×H×W,
N×H×W×C or N×features; float32 or uint8) and one score output (N×K, float32).

Exit status: 0 all is well; 1 a failure, or runtimes that disagree; 2 wrong usage.

-json prints one object:
  model, data                        file and data set, the latter with the corruption: t10k+rotate:3
  corruption                         name, strength and seed of -corrupt, or null
  images, correct, unanswered        counts; unanswered have a NaN among their scores
  accuracy, recorded_accuracy        0…1; recorded by the trainer in the model, or null
  runtime, version, provider, device, threads, library    what ran; library is null for others than onnxruntime
  batch, pixels, images_per_second   images of one run; formula of the input, x being 0…255; time in the runtime alone
  notes                              what must be heard, such as a fallback to the CPU
  confusion                          [label][prediction], counts
  classes                            of each class: name, images, precision, recall, f1
  agree                              false if something disagrees: exit status 1; reasons has why
  reasons                            one text each
  compared                           with -cross-validate, of each other runtime and the trainer: runtime, version,
                                     provider, images, correct, accuracy, images_per_second (null for the trainer),
                                     labels_differ, max_abs_diff, max_rel_diff (max_abs_diff by the range of all logits of
                                     runtime), not_finite (then max_abs_diff and max_rel_diff are null), tolerance, agree

Flags:
`

// dataUsage explains -data.
const dataUsage = "t10k, train, optdigits, fashion, a folder, or an images file"

// options is what the command line asks for.
type options struct {
	model         string
	data          string
	dataDir       string
	corruption    *corrupt.Corruption // nil: the data as it is
	batch         int
	device        infer.Device
	runtime       string
	library       string
	mayFallBack   bool // onnxruntime is the default and nobody's wish
	output        string
	threads       int
	tf32          bool
	crossValidate bool
	reference     string
	tolerance     float64
	json          bool
	predictions   string
	pixels        *dataset.Pixels // nil: as the model's record says
	version       bool
}

func deviceNames() []string {
	return []string{string(infer.DeviceAuto), string(infer.DeviceCPU), string(infer.DeviceCUDA)}
}

// parse reads the command line. Its error is wrong usage.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	var device, normalize, corruption string
	var corruptSeed uint64
	var scale bool
	flags := cli.NewFlagSet("infer", usage, stdout)
	cli.Suggest(flags, &o.model, "model", "", cli.Models{}, "ONNX `file`, or the bare name of one in graphs/")
	cli.Suggest(flags, &o.data, "data", "t10k", cli.DataSets{}, dataUsage)
	flags.StringVar(&o.dataDir, "data-dir", "", "`folder` with MNIST's training files, for -data train")
	flags.StringVar(&corruption, "corrupt", "", "damage the images first: `NAME:STRENGTH`, such as rotate:3")
	flags.Uint64Var(&corruptSeed, "corrupt-seed", 0, "`seed` of -corrupt")
	flags.IntVar(&o.batch, "batch", 0, fmt.Sprintf("images of one run (%d)", infer.DefaultBatch))
	cli.Choice(flags, &device, "device", string(infer.DeviceAuto), deviceNames(), "auto, cpu or cuda")
	flags.BoolVar(&o.tf32, "tf32", false, "on CUDA, let products round their factors to 10 bits of mantissa, which is faster")
	cli.Choice(flags, &o.runtime, "runtime", infer.RuntimeONNXRuntime, infer.RuntimeNames(), strings.Join(infer.RuntimeNames(), " or "))
	flags.StringVar(&o.library, "library", "", "onnxruntime's shared library `file`; else "+infer.LibraryVariable+", then what make setup brought")
	flags.StringVar(&o.output, "output", "", "`name` of the score output of a model with several")
	flags.IntVar(&o.threads, "threads", 0, "threads to compute with; 0 for one each core")
	flags.BoolVar(&o.crossValidate, "cross-validate", false, "compare all runtimes' answers, and the trainer's when there are any")
	flags.StringVar(&o.reference, "reference", "", "the trainer's logits, a safetensors `file` (MODEL/trainer_logits.safetensors beside MODEL.onnx, if it is there)")
	flags.Float64Var(&o.tolerance, "tolerance", infer.DefaultTolerance, "largest logit difference, as a fraction of the logits' range")
	flags.BoolVar(&o.json, "json", false, "print JSON instead of text")
	flags.StringVar(&o.predictions, "o", "", "write label, prediction and logits of each image to a CSV `file`")
	flags.BoolVar(&scale, "scale", false, "feed pixels as x/255 instead of as the model says, or else 0…255")
	flags.StringVar(&normalize, "normalize", "", "feed pixels as (x/255 - `MEAN,STD`)")
	flags.BoolVar(&o.version, "version", false, "print the version")
	if err := cli.Parse(flags, args, cli.Words{compareCommand, robustnessCommand}); err != nil || o.version {
		return o, err
	}
	given := cli.Given(flags)
	var err error
	if o.device, err = infer.ParseDevice(device); err != nil {
		return nil, fmt.Errorf("-device: %w", err)
	}
	if o.pixels, err = parsePixels(given, scale, normalize); err != nil {
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
	o.mayFallBack = !given["runtime"] && !o.ownLibrary() && o.device != infer.DeviceCUDA
	return o, o.check(given)
}

// ownLibrary reports whether the user named an onnxruntime library.
func (o *options) ownLibrary() bool { return o.library != "" || os.Getenv(infer.LibraryVariable) != "" }

func parsePixels(given map[string]bool, scale bool, normalize string) (*dataset.Pixels, error) {
	switch {
	case given["scale"] && given["normalize"]:
		return nil, errors.New("-scale and -normalize do not go together; -normalize scales, too")
	case given["scale"] && scale:
		pixels := dataset.UnitPixels()
		return &pixels, nil
	case given["scale"]:
		return &dataset.Pixels{}, nil
	case given["normalize"]:
		mean, std, _ := strings.Cut(normalize, ",")
		m, meanErr := strconv.ParseFloat(mean, 64)
		s, stdErr := strconv.ParseFloat(std, 64)
		if meanErr != nil || stdErr != nil {
			return nil, fmt.Errorf("-normalize %q: MEAN,STD is wanted, such as 0.1307,0.3081", normalize)
		}
		pixels, err := dataset.StandardPixels(m, s)
		if err != nil {
			return nil, fmt.Errorf("-normalize %q: %w", normalize, err)
		}
		return &pixels, nil
	}
	return nil, nil
}

func (o *options) check(given map[string]bool) error {
	switch {
	case o.model == "":
		return errors.New("-model is missing: the ONNX file to run")
	case given["batch"] && o.batch < 1:
		return fmt.Errorf("-batch %d: at least 1 is needed", o.batch)
	case o.threads < 0:
		return fmt.Errorf("-threads %d: at least 1 is needed, or 0 for one each core", o.threads)
	case o.tf32 && o.device == infer.DeviceCPU:
		return errors.New("-tf32 is CUDA's and does not go with -device cpu")
	case !(o.tolerance > 0 && o.tolerance < 1):
		return fmt.Errorf("-tolerance %v: it is a fraction of the logits' range, larger than 0 and smaller than 1", o.tolerance)
	case given["tolerance"] && !o.crossValidate:
		return errors.New("-tolerance applies to -cross-validate alone")
	case given["reference"] && !o.crossValidate:
		return errors.New("-reference applies to -cross-validate alone")
	case o.dataDir != "" && o.data != "train":
		return fmt.Errorf("-data-dir applies to -data train alone, not to -data %s", o.data)
	}
	if o.runtime != infer.RuntimeONNXRuntime {
		switch {
		case o.device == infer.DeviceCUDA:
			return fmt.Errorf("-device cuda does not go with -runtime %s, which runs on the CPU", o.runtime)
		case o.tf32:
			return fmt.Errorf("-tf32 is CUDA's and does not go with -runtime %s", o.runtime)
		case given["library"] && !o.crossValidate:
			return fmt.Errorf("-library is onnxruntime's and does not go with -runtime %s", o.runtime)
		}
	}
	if o.runtime == infer.RuntimeONNXGo && o.batch == 1 {
		return errors.New("-batch 1 does not go with -runtime onnx-go: its Gemm is wrong for a single image; 2 or more are needed")
	}
	return nil
}
