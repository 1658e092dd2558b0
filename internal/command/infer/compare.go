package infer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"slipway/dataset"
	"slipway/infer"
	"slipway/infer/bisect"
	"slipway/internal/cli"
	"slipway/internal/pngfile"
)

const (
	// bisectImages is the number of images, those that differ most, on which both
	// graphs are run node by node.
	bisectImages = 8
	// maxSheetImages and sheetColumns bound a contact sheet to what an eye takes in.
	maxSheetImages = 400
	sheetColumns   = 10
)

// side is one of the two that are compared.
type side struct {
	*loaded
	name    string // runtime
	runtime infer.Runtime
	result  *infer.Result
	answers infer.Answers
	source  *source
}

// comparison is everything that compare prints.
type comparison struct {
	options   *compareOptions
	set       *dataset.Set
	a, b      *side
	logits    verdict
	histogram infer.Histogram
	changed   []infer.LabelChange
	sheet     string // the file drawn, "" for none
	bisected  *bisect.Finding
	notes     []string
}

// runCompare is run for infer compare.
func runCompare(ctx context.Context, args []string, stdout, stderr, progress io.Writer) int {
	const command = "infer compare"
	options, err := parseCompare(args, stdout)
	if code, done := cli.Parsed(command, err, err == nil && options.version, stdout, stderr); done {
		return code
	}
	return exitCode(command, compareSides(ctx, options, stdout, stderr, progress), stderr)
}

func compareSides(ctx context.Context, o *compareOptions, stdout, stderr,
	progress io.Writer) (err error) {
	c := &comparison{options: o, a: &side{name: o.runtimes[0]}, b: &side{name: o.runtimes[1]}}
	if c.a.loaded, err = loadModel(o.models[0], o.output, o.pixels, infer.LoadModel); err != nil {
		return err
	}
	if c.b.loaded, err = loadModel(o.models[len(o.models)-1], o.output, o.pixels,
		infer.LoadModel); err != nil {
		return err
	}
	if c.set, err = o.loadData(ctx, []*loaded{c.a.loaded, c.b.loaded}, stderr); err != nil {
		return err
	}
	if o.sheet != "" {
		if err := pngfile.MayReplace(o.sheet); err != nil {
			return fmt.Errorf("-sheet: %w", err)
		}
	}
	defer func() { err = errors.Join(err, c.a.close(), c.b.close()) }()
	for _, s := range []*side{c.a, c.b} {
		if err := s.run(ctx, o, c.set, progress); err != nil {
			return c.explain(s, err)
		}
		c.notes = append(c.notes, s.result.Info.Notes...)
	}
	if err := c.compare(ctx); err != nil {
		return err
	}
	if o.json {
		err = c.writeJSON(stdout)
	} else {
		err = c.writeText(stdout)
	}
	if err != nil {
		return fmt.Errorf("print the comparison: %w", err)
	}
	if !c.logits.Agree() {
		return fmt.Errorf("%w: %s", errDisagree, c.logits.Reason())
	}
	return nil
}

func (s *side) run(ctx context.Context, o *compareOptions, set *dataset.Set,
	progress io.Writer) (err error) {
	if s.runtime, err = o.open(ctx, s.name, s.model, 0, false); err != nil {
		return err
	}
	s.result, err = runOn(ctx, s.runtime, set, s.loaded, o.batch, progress)
	return err
}

func (s *side) close() error {
	if s.runtime == nil {
		return nil
	}
	return s.runtime.Close()
}

// explain adds to the failure of one side what its graph has that the other's has
// not: the reason, as a rule.
func (c *comparison) explain(failed *side, err error) error {
	if c.a.model == c.b.model || len(c.options.models) == 1 || errors.Is(err, context.Canceled) {
		return err
	}
	which := "A"
	if failed == c.b {
		which = "B"
	}
	finding := bisect.Static(c.a.model, c.b.model)
	for _, difference := range finding.Structure {
		err = fmt.Errorf("%w; %s", err, difference.Text)
	}
	for _, node := range finding.Nodes {
		for _, content := range node.Contents {
			err = fmt.Errorf("%w; %s %s has another %v", err, node.Operator, node.Name, content)
		}
	}
	return fmt.Errorf("%s cannot be compared: %w", which, err)
}

func (c *comparison) compare(ctx context.Context) error {
	head, err := c.findAnswers(ctx)
	if err != nil {
		return err
	}
	measure := func() (*infer.Rounding, error) { return c.measureRounding(ctx) }
	if c.logits, err = settle(c.a.answers, c.b.answers, head, c.options.tolerance,
		c.options.toleranceGiven, nil, measure); err != nil {
		return err
	}
	a, b := infer.Compared(c.a.answers, c.b.answers, head)
	if c.histogram, err = infer.NewHistogram(a, b); err != nil {
		return err
	}
	if c.changed, err = infer.ChangedLabels(c.a.answers.Scores, c.b.answers.Scores); err != nil {
		return err
	}
	if c.options.sheet != "" {
		if err := c.drawSheet(ctx); err != nil {
			return err
		}
	}
	if c.logits.Agree() || !c.options.bisect {
		return nil
	}
	return c.bisect(ctx)
}

// findAnswers adds to both sides what lies before their last Softmax, where both
// end in one, and returns it: none where the outputs are compared as they are.
func (c *comparison) findAnswers(ctx context.Context) (infer.Head, error) {
	o := c.options
	for _, s := range []*side{c.a, c.b} {
		s.source = &source{flags: &o.runFlags, model: s.model, set: c.set, pixels: s.pixels,
			head: infer.FindHead(s.model, o.output)}
		s.answers = infer.Answers{Scores: s.result.Logits}
	}
	if first, second := c.a.source.head, c.b.source.head; first.Operator != second.Operator {
		c.notes = append(c.notes,
			fmt.Sprintf("A ends in %v, B in %v: their outputs are compared as they are", first, second))
		c.a.source.head, c.b.source.head = infer.Head{}, infer.Head{}
	}
	for _, s := range []*side{c.a, c.b} {
		answers, note, err := s.source.answers(ctx, s.name, s.result)
		if err != nil {
			return infer.Head{}, err
		}
		if s.answers = answers; note != "" {
			c.notes = append(c.notes, note)
		}
	}
	return c.a.source.head, nil
}

// measureRounding measures the rounding of both sides. Of one model in two runtimes
// the larger counts, since each is a sound computation of it; of two models the
// smaller, since what one of them rounds off says nothing of the other.
func (c *comparison) measureRounding(ctx context.Context) (*infer.Rounding, error) {
	oneModel := len(c.options.models) == 1
	var chosen *infer.Rounding
	for _, s := range []*side{c.a, c.b} {
		rounding, err := s.source.rounding(ctx, s.name, s.answers)
		switch {
		case ctx.Err() != nil:
			return nil, err
		case err != nil:
			c.notes = append(c.notes, fmt.Sprintf("the rounding of %s in %s was not measured: %v",
				s.modelPath, s.name, err))
			if !oneModel {
				return nil, nil
			}
		case chosen == nil || (rounding.Measured > chosen.Measured) == oneModel:
			chosen = &rounding
		}
	}
	return chosen, nil
}

// nodeTolerance is the one for values inside: that of the logits, or the default
// where the logits are within it and something else is not.
func (c *comparison) nodeTolerance() float64 {
	if c.logits.MaxRelDiff <= c.logits.Tolerance {
		return min(infer.DefaultTolerance, c.logits.Tolerance)
	}
	return c.logits.Tolerance
}

// bisect looks for the node where the two part, on the images that differ most.
func (c *comparison) bisect(ctx context.Context) error {
	a, b := infer.Compared(c.a.answers, c.b.answers, c.logits.Head)
	worst, err := infer.WorstImages(a, b, bisectImages)
	if err != nil {
		return err
	}
	if len(worst) == 1 {
		worst = append(worst, worst[0]) // onnx-go needs two
	}
	sides := make([]bisect.Side, 2)
	for i, s := range []*side{c.a, c.b} {
		tracer, ok := s.runtime.(infer.Tracer)
		if !ok {
			c.bisected = bisect.Static(c.a.model, c.b.model)
			c.bisected.Notes = append(c.bisected.Notes,
				fmt.Sprintf("%s does not show what a graph computes inside: the graphs were compared, not run",
					s.name))
			return nil
		}
		pixels := make([]float32, len(worst)*c.set.ImageSize())
		if err := c.set.Fill(pixels, nil, worst, s.pixels); err != nil {
			return err
		}
		sides[i] = bisect.Side{Model: s.model, Tracer: tracer, Output: c.options.output,
			Images: infer.Batch{
				N: len(worst), C: c.set.Channels, H: c.set.Height, W: c.set.Width, Pixels: pixels,
			}}
	}
	c.bisected, err = bisect.Run(ctx, sides[0], sides[1], c.nodeTolerance())
	return err
}

// drawSheet draws the images whose label changed, those with the largest margin first.
func (c *comparison) drawSheet(ctx context.Context) error {
	if len(c.changed) == 0 {
		c.notes = append(c.notes, "no label changed: there is nothing to draw on "+c.options.sheet)
		return nil
	}
	drawn := c.changed
	if len(drawn) > maxSheetImages {
		drawn = drawn[:maxSheetImages]
		c.notes = append(c.notes, fmt.Sprintf("%s shows the first %d of %d changed images",
			c.options.sheet, len(drawn), len(c.changed)))
	}
	indices, captions := make([]int, len(drawn)), make([]string, len(drawn))
	for i, change := range drawn {
		indices[i] = change.Image
		captions[i] = fmt.Sprintf("%d:%s>%s", c.set.Label(change.Image), answerText(change.A),
			answerText(change.B))
	}
	picture, err := dataset.CaptionedSheet(c.set, indices, captions, sheetColumns)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := pngfile.Write(c.options.sheet, picture); err != nil {
		return fmt.Errorf("-sheet: %w", err)
	}
	c.sheet = c.options.sheet
	return nil
}

// answerText is a label, or - for none.
func answerText(label int) string {
	if label < 0 {
		return "-"
	}
	return fmt.Sprint(label)
}
