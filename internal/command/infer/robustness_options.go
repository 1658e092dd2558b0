package infer

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"slipway/dataset/corrupt"
	"slipway/infer"
	"slipway/internal/cli"
)

// robustnessCommand is the word that makes infer robustness.
const robustnessCommand = "robustness"

const robustnessUsage = `infer robustness evaluates ONNX image classifiers on damaged images, and says how sure they are of what they never saw.

  infer robustness -model e1.onnx -data t10k                   # fifteen corruptions, five strengths each
  infer robustness -model e1.onnx -model e2.onnx -plot robustness.svg -csv robustness.csv
  infer robustness -model e1.onnx -corruptions rotate,shift,gaussian-noise
  infer robustness -model e1.onnx -unseen optdigits,fashion    # after dataset fetch optdigits, dataset fetch fashion

All models see the same images. Without -runtime, -library, -device cuda and ` + infer.LibraryVariable + `, a missing onnxruntime
library is no failure: the native runtime runs instead, and says so.

A model's confidence in an image is its largest class probability, by softmax of its scores where these are not
probabilities already.

Corruptions, strengths 1 to 5:
%s
Exit status: 0 all was measured; 1 a failure; 2 wrong usage.

-json prints one object:
  data, images, seed                 data set, its size, seed of the corruptions
  models                             of each model:
    model, pixels                    file; formula of the input, x being 0…255
    runtime, version, provider, device, threads    what ran
    clean                            on the data as it is: figures
    corruptions                      of each: name; strengths, five times figures; mean, the mean accuracy
    mean                             the mean accuracy over all corruptions and strengths
    unseen                           of each set of -unseen: data, and figures
  notes                              what must be heard
  figures are images, accuracy (0…1), mean_confidence, above_90 and above_99 (fractions of the images whose confidence
  is over 0.9 and 0.99), unanswered (images with a NaN among their scores)

-csv writes the same, a row a model, data set, corruption and strength; without a corruption the strength is 0.

Flags:
`

// robustnessOptions is what the command line of robustness asks for.
type robustnessOptions struct {
	runFlags
	oneRuntime
	models      []string
	corruptions []string
	seed        uint64
	unseen      []string
	csv         string
	plot        string
}

// parseRobustness reads the command line. Its error is wrong usage.
func parseRobustness(args []string, stdout io.Writer) (*robustnessOptions, error) {
	o := &robustnessOptions{}
	var corruptions, unseen string
	flags := cli.NewFlagSet("infer robustness", fmt.Sprintf(robustnessUsage, corruptionList()), stdout)
	o.runFlags.define(flags, true)
	o.oneRuntime.define(flags)
	flags.Func("model", "ONNX `file`, or the bare name of one in graphs/; again for more models",
		func(name string) error {
			o.models = append(o.models, name)
			return nil
		})
	flags.StringVar(&corruptions, "corruptions", "all",
		"`NAME,…`: the corruptions to evaluate; none to leave them out")
	flags.Uint64Var(&o.seed, "seed", 0, "`seed` of the corruptions")
	flags.StringVar(&unseen, "unseen", "",
		"`SET,…`: data that the models never saw, as for -data, such as optdigits,fashion")
	flags.StringVar(&o.csv, "csv", "", "write all figures to a CSV `file`")
	flags.StringVar(&o.plot, "plot", "",
		"draw accuracy by strength, a panel a corruption, to an SVG `file`")
	if err := cli.Parse(flags, args); err != nil || o.version {
		return o, renamed(err)
	}
	given := cli.Given(flags)
	err := o.take(given)
	if err != nil {
		return nil, err
	}
	if o.corruptions, err = parseCorruptions(corruptions); err != nil {
		return nil, err
	}
	if unseen != "" {
		o.unseen = strings.Split(unseen, ",")
	}
	return o, o.check(given)
}

// corruptionList describes the corruptions, one a line.
func corruptionList() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, name := range corrupt.Names() {
		fmt.Fprintf(t, "  %s\t%s\n", name, corrupt.Describe(name))
	}
	t.Flush()
	return b.String()
}

func parseCorruptions(text string) ([]string, error) {
	switch text {
	case "all":
		return corrupt.Names(), nil
	case "none":
		return nil, nil
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if strings.Contains(name, ":") {
			return nil, fmt.Errorf("-corruptions %s: all strengths are evaluated, name the corruption alone",
				name)
		}
		if err := (corrupt.Corruption{Name: name, Strength: 1}).Check(); err != nil {
			return nil, fmt.Errorf("-corruptions: %w", err)
		}
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("-corruptions: %s is named twice", name)
		}
		names = append(names, name)
	}
	return names, nil
}

func (o *robustnessOptions) check(given map[string]bool) error {
	if len(o.models) == 0 {
		return errors.New("-model is missing: the ONNX file to run")
	}
	if err := o.runFlags.check(given); err != nil {
		return err
	}
	switch {
	case given["seed"] && len(o.corruptions) == 0:
		return errors.New("-seed is that of corruptions, and -corruptions none leaves them out")
	case given["plot"] && !strings.EqualFold(filepath.Ext(o.plot), ".svg"):
		return fmt.Errorf("-plot %s: the plot is an SVG, give a name that ends in .svg", o.plot)
	case o.plot != "" && len(o.corruptions) == 0:
		return errors.New("-plot draws corruptions, and -corruptions none leaves them out")
	}
	return o.oneRuntime.check(&o.runFlags, given, true)
}
