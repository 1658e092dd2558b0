package export

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway/dataset"
	"slipway/export"
	"slipway/internal/cli"
	"slipway/internal/nearest"
	"slipway/onnx"
	"slipway/train"
)

// variants are the flags that ask for variants of a graph, and what they ask for.
type variants struct {
	model       string
	calibration string // the set of -calibration-data
	wanted      []export.VariantOptions
}

// variantSets are what variants are judged and calibrated on; nil are those that the
// model's record leads to.
type variantSets struct{ test, calibration dataset.Source }

// define adds the flags. What it returns reads them once they are parsed; given are
// the names of those on the command line, and output is -o.
func (v *variants) define(flags *flag.FlagSet) (read func(given map[string]bool,
	output string) error) {
	flags.StringVar(&v.model, "model", "",
		"make variants of this ONNX `file` instead of exporting a run")
	precisions := flags.String("variant", "",
		"`precisions` to make variants of, separated by commas: "+strings.Join(export.Precisions(), ", "))
	batch := flags.String("batch", "",
		"`number` of images that a variant takes at once, or dynamic (as the graph does)")
	softmax := flags.Bool("softmax", false, "have a variant give probabilities")
	input := flags.String("input", "float32",
		"`type` of a variant's input: float32, or uint8 for the pixels 0…255, N×H×W×C, scaled in the graph")
	calibration := flags.Int("calibration", export.DefaultCalibration,
		"`images` of the training set to measure int8's ranges on")
	cli.Suggest(flags, &v.calibration, "calibration-data", "", cli.DataSets{},
		"`set` that these images are drawn from, instead of the one that was trained on")
	pixels := flags.String("pixels", "",
		"how pixels are fed to a -model that does not record it: 0-1, `MEAN,STD` for (x/255-MEAN)/STD, or another of train's -pixels (0-255)")
	seed := flags.Uint64("seed", 0, "`seed` that draws them")
	maxLoss := flags.Float64("max-loss", 100*export.DefaultMaxLoss,
		"`points` of accuracy that float16 and int8 may lose")
	return func(given map[string]bool, output string) error {
		asked := given["variant"] || given["batch"] || given["softmax"] || given["input"]
		switch {
		case v.model != "" && !asked:
			return errors.New(
				"-model asks for a variant; say which with -variant, -batch, -softmax or -input")
		case !asked && (given["calibration"] || given["calibration-data"] || given["seed"] ||
			given["max-loss"]):
			return errors.New(
				"-calibration, -calibration-data, -seed and -max-loss are for variants; ask for one with -variant")
		case *pixels != "" && v.model == "":
			return errors.New(
				"-pixels is for a -model that does not record how its pixels are fed; a run does")
		case *calibration < 1:
			return fmt.Errorf("-calibration %d: at least 1 image is needed", *calibration)
		case !(*maxLoss > 0 && *maxLoss < 100):
			return fmt.Errorf("-max-loss %v is outside 0 < p < 100", *maxLoss)
		case !asked:
			return nil
		}
		form := onnx.Form{Softmax: *softmax}
		var err error
		if form.Batch, err = batchOf(*batch); err != nil {
			return err
		}
		if form.Bytes, err = bytesOf(*input); err != nil {
			return err
		}
		chosen, err := precisionsOf(*precisions)
		if err != nil {
			return err
		}
		for _, precision := range chosen {
			o := export.VariantOptions{Precision: precision, Form: form, Calibration: *calibration,
				Seed: *seed, Pixels: *pixels, MaxLoss: *maxLoss / 100}
			if o.Name() == "" {
				return errors.New(
					"float32 in the form that the graph has is the graph itself; ask for another -variant, -batch, -softmax or -input")
			}
			v.wanted = append(v.wanted, o)
		}
		if v.model != "" && output != "" && len(v.wanted) > 1 {
			return fmt.Errorf(
				"-o names one file, but -variant asks for %d; leave -o out, and each is called after -model",
				len(v.wanted))
		}
		return nil
	}
}

func batchOf(text string) (int, error) {
	switch text {
	case "":
		return 0, nil
	case "dynamic":
		return onnx.OpenBatch, nil
	}
	batch, err := strconv.Atoi(text)
	if err != nil || batch < 1 || batch > 1<<20 {
		return 0, fmt.Errorf("-batch %s is neither dynamic nor a number of images, 1 to %d", text, 1<<20)
	}
	return batch, nil
}

func bytesOf(text string) (bool, error) {
	switch text {
	case "float32":
		return false, nil
	case "uint8":
		return true, nil
	}
	return false, fmt.Errorf("-input %q is neither float32 nor uint8%s", text,
		nearest.Hint(text, []string{"float32", "uint8"}))
}

// precisionsOf returns those that -variant lists, each once; float32 where only the
// form is asked for.
func precisionsOf(list string) ([]export.Precision, error) {
	if list == "" {
		return []export.Precision{export.Float32}, nil
	}
	var chosen []export.Precision
	for _, name := range strings.Split(list, ",") {
		if known := export.Precisions(); !slices.Contains(known, name) {
			return nil, fmt.Errorf("-variant: unknown precision %q%s; there are %s", name,
				nearest.Hint(name, known), strings.Join(known, ", "))
		}
		if !slices.Contains(chosen, export.Precision(name)) {
			chosen = append(chosen, export.Precision(name))
		}
	}
	return chosen, nil
}

// loaded is a set in memory, nil where there is none.
func loaded(ctx context.Context, source dataset.Source) (*dataset.Set, error) {
	if source == nil {
		return nil, nil
	}
	return dataset.Load(ctx, source)
}

// make makes the variants of a model. output is the only one's file; each is called
// after the model if it is empty.
func (v *variants) make(ctx context.Context, model, output string, sets variantSets,
	opener *opener) (err error) {
	if v.calibration != "" {
		if sets.calibration, err = opener.open(ctx, v.calibration, dataset.Train); err != nil {
			return fmt.Errorf("-calibration-data: %w", err)
		}
	}
	for _, options := range v.wanted {
		options.Messages = opener.messages
		if options.Test, err = loaded(ctx, sets.test); err != nil {
			return err
		}
		if options.Images, err = loaded(ctx, sets.calibration); err != nil {
			return err
		}
		file := output
		if file == "" {
			file = options.File(model)
		}
		if err := export.Variant(ctx, model, file, options); err != nil {
			return err
		}
	}
	return nil
}

// makeOfRun makes the variants of a run's graph, on the run's own sets where no others
// are given.
func (v *variants) makeOfRun(ctx context.Context, recorded train.Sets, model string,
	test dataset.Source, opener *opener) (err error) {
	if len(v.wanted) == 0 {
		return nil
	}
	sets := variantSets{test: test}
	reading := dataset.Options{Part: dataset.Test, Messages: opener.messages}
	if sets.test == nil && recorded.Test != nil {
		if sets.test, err = dataset.Reopen(ctx, *recorded.Test, reading); err != nil {
			return fmt.Errorf("the run's test set: %w; name one with -data", err)
		}
	}
	reading.Part = dataset.Train
	if v.calibration == "" && recorded.Training.Place != "" {
		if sets.calibration, err = dataset.Reopen(ctx, recorded.Training, reading); err != nil {
			return fmt.Errorf("the run's training set: %w; name one with -calibration-data", err)
		}
	}
	return v.make(ctx, model, "", sets, opener)
}
