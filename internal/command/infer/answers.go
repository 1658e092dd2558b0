package infer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"slipway/dataset"
	"slipway/infer"
	"slipway/infer/port"
	"slipway/onnx"
)

// A source is where the answers of one model come from, in any runtime.
type source struct {
	flags    *runFlags
	model    *onnx.Model
	set      dataset.Source
	pixels   dataset.Pixels
	tf32     bool
	progress io.Writer
	// head is what the model ends in, if what is compared lies before it.
	head infer.Head
	// before is the model as far as the head, made when it is first needed.
	before *onnx.Model
}

// compared is the model as far as it is compared, with the flags to run it.
func (s *source) compared() (*onnx.Model, *runFlags, error) {
	if s.head.None() {
		return s.model, s.flags, nil
	}
	if s.before == nil {
		var err error
		if s.before, err = onnx.Extract(s.model, []string{s.head.Logits}); err != nil {
			return nil, nil, err
		}
	}
	flags := *s.flags
	flags.output = s.head.Logits
	return s.before, &flags, nil
}

// answers are the scores of a result and, where the model ends in a head and the
// runtime shows them, the logits before it. The note says why it does not.
func (s *source) answers(ctx context.Context, name string,
	result *infer.Result) (answers infer.Answers, note string, err error) {
	answers.Scores = result.Logits
	if s.head.None() {
		return answers, "", nil
	}
	answers.Logits, err = s.logits(ctx, name)
	if err == nil && (answers.Logits.N != result.Logits.N || answers.Logits.K != result.Logits.K) {
		err = fmt.Errorf("they are %d×%d and the scores %d×%d", answers.Logits.N, answers.Logits.K,
			result.Logits.N, result.Logits.K)
	}
	if err != nil && ctx.Err() == nil {
		return infer.Answers{Scores: result.Logits}, fmt.Sprintf(
			"%s does not show the logits before %v: %v", name, s.head, err), nil
	}
	return answers, "", err
}

func (s *source) logits(ctx context.Context, name string) (infer.Logits, error) {
	model, flags, err := s.compared()
	if err != nil {
		return infer.Logits{}, err
	}
	runtime, err := flags.open(ctx, name, model, flags.batch, s.tf32)
	if err != nil {
		return infer.Logits{}, err
	}
	before := &loaded{pixels: s.pixels}
	if s.set.Info().MultiLabel {
		before.scale = port.OfIndependentLogits // what lies before a Sigmoid
	}
	result, err := runOn(ctx, runtime, s.set, before, flags.batch, s.progress)
	if err := errors.Join(err, runtime.Close()); err != nil {
		return infer.Logits{}, err
	}
	return result.Logits, nil
}

// rounding measures that of the model in a runtime, whose answers are given.
func (s *source) rounding(ctx context.Context, name string, answers infer.Answers) (infer.Rounding,
	error) {
	model, flags, err := s.compared()
	if err != nil {
		return infer.Rounding{}, err
	}
	logits := answers.Scores
	if !s.head.None() {
		if logits = answers.Logits; len(logits.Values) == 0 {
			return infer.Rounding{}, fmt.Errorf("%s does not show the logits before %v", name, s.head)
		}
	}
	options, err := flags.runtimeOptions(name, flags.batch, s.tf32)
	if err != nil {
		return infer.Rounding{}, err
	}
	return infer.MeasureRounding(ctx, name, model, options, s.set, s.pixels, logits)
}

// A verdict is a comparison with what its tolerance comes from.
type verdict struct {
	infer.Comparison
	// rounding is what the tolerance comes from, nil for the default and for one that was given.
	rounding *infer.Rounding
	given    bool
}

// from says where the tolerance comes from.
func (v verdict) from() string {
	switch {
	case v.given:
		return "given"
	case v.rounding != nil:
		return v.rounding.String()
	}
	return "the default"
}

// settle compares two answers. The default tolerance is for graphs of a few layers; where it is
// passed, and no other was given, what rounding does to this graph is measured, and the answers are
// held to that. told is how labels are told from scores, as Result.Told has it.
func settle(a, b infer.Answers, head infer.Head, tolerance float64, given bool, told *float32,
	measure func() (*infer.Rounding, error)) (verdict, error) {
	v := verdict{given: given}
	var err error
	if v.Comparison, err = infer.CompareAnswers(a, b, head,
		infer.Allowance{Tolerance: tolerance, Told: told}); err != nil {
		return v, err
	}
	if given || v.Agree() || v.NotFinite > 0 {
		return v, nil
	}
	rounding, err := measure()
	if err != nil || rounding == nil || rounding.Allowance().Tolerance <= tolerance {
		return v, err
	}
	v.rounding = rounding
	allowed := rounding.Allowance()
	allowed.Told = told
	v.Comparison, err = infer.CompareAnswers(a, b, head, allowed)
	return v, err
}
