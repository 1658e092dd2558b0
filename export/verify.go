package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"slipway/infer"
	"slipway/onnx"
)

// verify compares every runtime with the trainer, on a copy of the file.
func (g *graph) verify(ctx context.Context, options Options, say func(string, ...any)) error {
	if len(options.Verify) == 0 {
		return nil
	}
	temporary, err := os.MkdirTemp("", "slipway-export")
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer os.RemoveAll(temporary)
	path := filepath.Join(temporary, g.name+".onnx")
	if err := os.WriteFile(path, g.bytes, 0o666); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := os.Mkdir(folder(path), 0o777); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := g.writeLogits(folder(path)); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	model, err := infer.LoadModel(path)
	if err != nil {
		return err
	}
	if !g.unlabelled {
		say("trainer: %s = %.2f %%", g.accuracyName(), 100*g.answer.Accuracy)
	}
	names, passed, err := judges(ctx, model, options)
	if err != nil {
		return err
	}
	for _, p := range passed {
		say("%s is not asked, as it does not run the graph: %s", p.Runtime, p.Reason)
	}
	g.passed = passed
	for _, name := range names {
		if !slices.Contains(Runtimes(), name) {
			continue
		}
		a, err := g.ask(ctx, name, model, options)
		if err != nil {
			return fmt.Errorf("verify with %s: %w", name, err)
		}
		say("%s", a.line(g.test.Len(), g.accuracyName(), g.unlabelled))
		if a.rounding != nil {
			say("  the tolerance is %.2g of the range: %v", a.comparison.Tolerance, a.rounding)
		}
		if !a.comparison.Agree() {
			return fmt.Errorf("%s does not answer as the trainer does: %s; nothing was written", name,
				a.comparison.Reason())
		}
		g.answers = append(g.answers, a)
	}
	others := foreign(names)
	if len(others) == 0 {
		return nil
	}
	return g.askForeign(ctx, others, path, options.tolerance(), options, say)
}

// accuracyName is what the share of test images that are answered right is called.
func (g *graph) accuracyName() string { return g.sets.Training.AccuracyName() }

// line says how the runtime agreed, over so many images.
func (a answer) line(images int, accuracyName string, unlabelled bool) string {
	accuracy := fmt.Sprintf("%s = %.2f %%, ", accuracyName, 100*float64(a.correct)/float64(images))
	if unlabelled {
		accuracy = ""
	}
	return fmt.Sprintf(
		"%s %s (%s): %s%d labels differ, largest logit difference %.3g (%.2g of the range), %.0f images/s",
		a.info.Runtime, a.info.Version, a.info.Provider, accuracy,
		a.comparison.LabelsDiffer, a.comparison.MaxAbsDiff, a.comparison.MaxRelDiff, a.speed)
}

// ask compares a runtime with the trainer. The default tolerance is for graphs of a few
// layers; where it is passed, what rounding does to this graph is measured.
func (g *graph) ask(ctx context.Context, name string, model *onnx.Model, options Options) (answer,
	error) {
	opening := infer.RuntimeOptions{Device: infer.DeviceCPU, Worker: options.Worker}
	runtime, err := infer.OpenRuntime(ctx, name, model, opening)
	if err != nil {
		return answer{}, err
	}
	pixels, err := infer.PixelsOfModel(model)
	if err != nil {
		return answer{}, errors.Join(err, runtime.Close())
	}
	result, err := infer.Evaluate(ctx, runtime, g.test,
		infer.EvaluateOptions{Pixels: pixels, Scale: infer.ScaleOf(model, ""), KeepLogits: true})
	a := answer{info: runtime.Info()}
	if err := errors.Join(err, runtime.Close()); err != nil {
		return answer{}, err
	}
	a.correct, a.speed = result.Correct, result.ImagesPerSecond()
	allowed := infer.Allowance{Tolerance: options.tolerance(), Told: result.Told()}
	if a.comparison, err = g.compare(model, result.Logits, allowed); err != nil {
		return answer{}, err
	}
	if a.comparison.Agree() || options.Tolerance != 0 || !infer.FindHead(model, "").None() {
		return a, nil
	}
	rounding, err := infer.MeasureRounding(ctx, name, model, opening, g.test, pixels, result.Logits)
	if errors.Is(err, infer.ErrUnsupported) {
		return a, nil // it computes in one way alone
	}
	if err != nil {
		return answer{}, err
	}
	a.rounding = &rounding
	allowed = rounding.Allowance()
	allowed.Told = result.Told()
	a.comparison, err = g.compare(model, result.Logits, allowed)
	return a, err
}

// compare holds a runtime's scores against the trainer's: where the graph ends in
// Softmax, against the logits before it.
func (g *graph) compare(model *onnx.Model, scores infer.Logits,
	allowed infer.Allowance) (infer.Comparison, error) {
	trainer := infer.Answers{Scores: g.trainerScores()}
	head := infer.FindHead(model, "")
	if !head.None() {
		trainer.Logits = g.trainerLogits()
	}
	return infer.CompareAnswers(trainer, infer.Answers{Scores: scores}, head, allowed)
}

func (o Options) tolerance() float64 {
	if o.Tolerance == 0 {
		return infer.DefaultTolerance
	}
	return o.Tolerance
}

func (g *graph) trainerLogits() infer.Logits {
	return infer.Logits{N: g.test.Len(), K: g.answer.Classes, Values: g.answer.Logits}
}

// trainerScores are the trainer's answers as the graph gives them.
func (g *graph) trainerScores() infer.Logits {
	scores := g.trainerLogits()
	if nodes := g.checkpoint.Network.Nodes(); nodes[len(nodes)-1].Layer.Kind() == "Softmax" {
		scores.Values = softmax(scores)
	}
	return scores
}
