package infer

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"slipway/infer"
	"slipway/internal/cli"
)

// compareCommand is the word that makes infer compare.
const compareCommand = "compare"

const compareUsage = `infer compare runs two ONNX models, or one model in two runtimes, on the same images and says where they differ:
in accuracy, labels and logits, and in which node of the graph the difference arises.

  infer compare e1.onnx other.onnx -data t10k
  infer compare e1.onnx -runtimes onnxruntime,onnx-go
  infer compare e1.onnx other.onnx -sheet changed.png    # draw the images whose label changed

Of models that both end in Softmax, LogSoftmax or Sigmoid the logits before it are compared, and its scores are held to
what the tolerance makes of them. Where the default tolerance is passed, the rounding of this graph is measured: in
onnxruntime with and without graph optimizations, in native with its two kernel sets; the tolerance is 4 times that.

When the logits differ beyond the tolerance, both graphs are run node by node on the images that differ most. Named are
where the graphs are not made of the same nodes, and the first node whose output differs: whether its inputs agree, and
what differs in the node itself, attributes and weights.

Exit status: 0 they agree; 1 they differ beyond the tolerance, or a failure; 2 wrong usage.

-json prints one object:
  data, images, tolerance            data set, its size, largest difference allowed as a fraction of the logits' range
  a, b                               each side: model, runtime, version, provider, device, threads, pixels, correct,
                                     unanswered, accuracy, images_per_second
  tolerance_from                     the default, given, or how it was measured
  of                                 what was compared: logits, those before the last Softmax, or its scores alone
  agree, reason                      the verdict, and why if it is false
  labels_differ, decided_labels_differ    images; decided ones are not explained by rounding
  max_abs_diff, max_rel_diff         of all logits, and by their range in a; null with not_finite > 0
  worst_image, worst_class           where that is
  scores_rel_diff                    the difference of logits, by their range, that explains what the scores after a
                                     Softmax differ by; 0 where there is none
  range, not_finite                  of the logits of a; logits that are NaN or infinite on one side
  histogram                          equal, not_finite: logits; buckets: from, to (fractions of the range), count
  changed                            images with another label: image, label, a, b, margin_a, margin_b (between the two
                                     largest logits); a or b is null where a NaN leaves no answer
  sheet                              the contact sheet's file, or null
  bisection                          null where the sides agree or it was not asked for, else:
    structure                        kind (inserted, removed, operator, wiring), node_a, node_b (or null), text
    node                             where the difference arises, or null: name, operator, output, index_a, index_b (null in
                                     a graph that has it not; then against: the other graph's value), shape_a, shape_b,
                                     max_abs_diff, max_rel_diff, index, inputs_agree, inputs_equal (both false unless all
                                     inputs were compared), inputs_not_compared (which, and why), contents (kind, name, a,
                                     b; of an initializer also changed, values, index, value_a, value_b)
    exceeds_at                       the first node beyond the tolerance: node's name, or that of one after it
    nodes                            all that were compared, in order: as node
    notes                            what must be heard
  notes                              the same of the whole

Flags:
`

// compareOptions is what the command line of compare asks for.
type compareOptions struct {
	runFlags
	models    []string // one or two
	runtimes  []string // of A and of B
	tolerance float64
	// toleranceGiven says that the tolerance is the user's wish, which no measurement changes.
	toleranceGiven bool
	bisect         bool
	sheet          string
}

// parseCompare reads the command line. Its error is wrong usage.
func parseCompare(args []string, stdout io.Writer) (*compareOptions, error) {
	o := &compareOptions{}
	var runtimes string
	flags := cli.NewFlagSet("infer compare", compareUsage, stdout)
	o.define(flags, true)
	cli.Suggest(flags, &runtimes, "runtimes", infer.RuntimeONNXRuntime,
		cli.Words(infer.RuntimeNames()), "`A,B`: the runtimes of the two sides, of "+
			strings.Join(infer.RuntimeNames(), ", ")+"; one name is for both")
	flags.Float64Var(&o.tolerance, "tolerance", infer.DefaultTolerance,
		"largest difference, as a fraction of the range: what rounding explains; not given, it is raised to what rounding is measured to do to the graph")
	flags.BoolVar(&o.bisect, "bisect", true, "name the node where the difference arises")
	flags.StringVar(&o.sheet, "sheet", "",
		"draw the images whose label changed to a PNG `file`, captioned label: A>B")
	var err error
	if o.models, err = cli.ParseOperands(flags, args, cli.Models{}); err != nil || o.version {
		return o, renamed(err)
	}
	given := cli.Given(flags)
	o.toleranceGiven = given["tolerance"]
	if err := o.take(given); err != nil {
		return nil, err
	}
	if o.runtimes, err = parseRuntimes(runtimes); err != nil {
		return nil, err
	}
	return o, o.check(given)
}

// parseRuntimes returns the runtimes of A and of B.
func parseRuntimes(text string) ([]string, error) {
	names := strings.Split(text, ",")
	for _, name := range names {
		if err := infer.CheckRuntimeName(name); err != nil {
			return nil, fmt.Errorf("-runtimes: %w", err)
		}
	}
	switch len(names) {
	case 1:
		return []string{names[0], names[0]}, nil
	case 2:
		return names, nil
	}
	return nil, fmt.Errorf("-runtimes %s: one or two are compared at a time, not %d", text, len(names))
}

func (o *compareOptions) check(given map[string]bool) error {
	switch {
	case len(o.models) == 0:
		return errors.New(
			"the models are missing: infer compare A.onnx B.onnx, or infer compare A.onnx -runtimes onnxruntime,onnx-go")
	case len(o.models) > 2:
		return fmt.Errorf("unexpected argument %q: two models are compared at a time", o.models[2])
	case len(o.models) == 1 && o.runtimes[0] == o.runtimes[1]:
		return fmt.Errorf(
			"one model in %s alone has nothing to be compared with: name a second model, or two runtimes (-runtimes %s)",
			o.runtimes[0], strings.Join(infer.RuntimeNames()[:2], ","))
	case !(o.tolerance > 0 && o.tolerance < 1):
		return fmt.Errorf(
			"-tolerance %v: it is a fraction of the logits' range, larger than 0 and smaller than 1",
			o.tolerance)
	case given["sheet"] && !strings.EqualFold(filepath.Ext(o.sheet), ".png"):
		return fmt.Errorf("-sheet %s: the contact sheet is a PNG, give a name that ends in .png", o.sheet)
	}
	return o.runFlags.check(given)
}
