package train

import (
	"context"
	"errors"
	"fmt"

	"slipway/builder"
	"slipway/internal/display"
)

// Callbacks are called by Fit, each if it is not nil. An error from one stops
// the run.
type Callbacks struct {
	// Step is called after every step.
	Step func(StepReport) error
	// Save is called whenever the state should be saved, before anything is told of
	// it: what an epoch learned is not lost because it could not be reported.
	Save func() error
	// Epoch is called after every epoch, once it is recorded and saved. It may fill in
	// what it measures, such as the test accuracy, which the next Save keeps. An
	// epoch that was saved, but not reported to its end, is when the run goes on.
	// If it returns an error because Fit's context ended, the run was interrupted.
	Epoch func(*Epoch) error
}

// Fit trains until a stop rule says so, and says in Progress.Finished which. With
// Patience or Best the trainer has the best epoch's weights then. It can be called again
// after a Resume only.
//
// With a Communicator all ranks call it, and only one of them needs callbacks, unless one calls
// what all have to, as EvaluateTogether. When the context of any of them ends, all stop after the
// same step. What errors mean there, OnAllRanks says.
func (t *Trainer) Fit(ctx context.Context, callbacks Callbacks) error {
	if err := t.Agree(ctx); err != nil {
		return err
	}
	for {
		if err := t.report(ctx, callbacks); err != nil {
			return err
		}
		if t.progress.Finished = t.StopRule(); t.progress.Finished != "" {
			break
		}
		if err := t.CheckSteps(); err != nil {
			return err // before the first step: what is done can be reported anywhere
		}
		if err := t.epoch(ctx, callbacks); err != nil {
			return err
		}
		t.progress.Unreported = callbacks.Epoch != nil
		due := t.progress.Epochs%t.config.CheckpointEvery == 0
		if t.StopRule() != "" {
			due = t.progress.Unreported // without a report it is saved below
		}
		if due {
			if err := save(callbacks); err != nil {
				return err
			}
		}
	}
	// The last epoch is saved with what was measured of it. A run that goes on later
	// goes on from the last weights, not from the best.
	if err := save(callbacks); err != nil {
		return err
	}
	return t.takeResult()
}

// report has the last epoch measured and told, if it is not yet.
func (t *Trainer) report(ctx context.Context, callbacks Callbacks) error {
	now := &t.progress
	if !now.Unreported || callbacks.Epoch == nil {
		now.Unreported = false
		return nil
	}
	if t.ended(ctx) {
		return t.interrupted(callbacks)
	}
	err := callbacks.Epoch(&now.History[len(now.History)-1])
	// Of several ranks the others do not know of it: then it is this one's failure.
	if err != nil && t.config.Communicator == nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return t.interrupted(callbacks)
	}
	if err == nil {
		now.Unreported = false
	}
	return err
}

// takeResult gives the variables the weights that the run came to, where they are not those
// of the last step: the best ones of early stopping, or the averaged ones.
func (t *Trainer) takeResult() error {
	var result builder.Weights
	switch {
	case t.config.KeepsBest() && t.best != nil:
		result = t.best
	case t.average != nil:
		result = t.average.weights(t.variables)
	default:
		return nil
	}
	t.last = t.variables.Weights()
	for i, tensor := range result {
		t.variables.FromPublic(i, t.variables.Values()[i].Float32s(), tensor.Data)
	}
	if t.device.session == nil {
		return nil
	}
	return t.load()
}

func save(callbacks Callbacks) error {
	if callbacks.Save == nil {
		return nil
	}
	return callbacks.Save()
}

// epoch runs what is left of the epoch under way.
func (t *Trainer) epoch(ctx context.Context, callbacks Callbacks) error {
	if t.config.Device != nil {
		if err := t.beginEpoch(ctx); err != nil {
			return t.failed(err, t.progress.EpochStep+1, callbacks)
		}
	}
	for step, indices := range t.batches.Epoch(t.progress.Epochs, t.progress.EpochStep) {
		if t.ended(ctx) {
			return t.interrupted(callbacks)
		}
		if err := t.step(ctx, indices); err != nil {
			return t.failed(err, step+1, callbacks)
		}
		if callbacks.Step != nil {
			err := callbacks.Step(StepReport{t.progress.Epochs + 1, step + 1, t.batches.Steps(),
				t.progress.LastLoss, len(indices)})
			if err != nil {
				return err
			}
		}
	}
	return t.finishEpoch(ctx)
}

// failed saves what was learned before a step of the epoch under way failed, where it is to be, and
// returns what Fit returns then. The step counts from 1.
func (t *Trainer) failed(err error, step int, callbacks Callbacks) error {
	if errors.Is(err, errStepInterrupted) {
		return t.interrupted(callbacks)
	}
	var diverged *DivergedError
	if errors.As(err, &diverged) {
		return err // it says where
	}
	err = fmt.Errorf("epoch %d, step %d: %w", t.progress.Epochs+1, step, err)
	if unsaved := (*UnsavedError)(nil); savesBefore(err) &&
		errors.As(t.interrupted(callbacks), &unsaved) {
		err = fmt.Errorf("%w; and the run's state could not be saved: %w", err, unsaved.Err)
	}
	return err
}

// savesBefore reports whether what was learned before an error is saved: images could not be read,
// or another rank could not go on.
func savesBefore(err error) bool {
	var unread *ReadError
	var other *RankError
	return errors.As(err, &unread) || errors.As(err, &other)
}

// interrupted saves what is learned, and returns ErrInterrupted once it is.
func (t *Trainer) interrupted(callbacks Callbacks) error {
	err := t.settle()
	if err == nil {
		err = t.checkWeights()
	}
	if err == nil {
		err = save(callbacks)
	}
	if err != nil {
		return &UnsavedError{err}
	}
	return ErrInterrupted
}

// checkWeights reports weights that the last step made overflow: no loss has shown it
// yet, and they must not be saved for good ones.
func (t *Trainer) checkWeights() error {
	for _, value := range t.variables.Values() {
		for _, weight := range value.Float32s() {
			if !finite(float64(weight)) {
				return &DivergedError{Epoch: t.progress.Epochs + 1, Step: t.progress.EpochStep,
					Loss: t.progress.LastLoss, Weights: true}
			}
		}
	}
	return nil
}

// finishEpoch records the epoch and begins the next.
func (t *Trainer) finishEpoch(ctx context.Context) error {
	if err := t.settle(); err != nil {
		return err
	}
	// First what all ranks do: weights that are not finite on one alone are a difference.
	if err := t.compareWeights(ctx); err != nil {
		return err
	}
	if err := t.checkWeights(); err != nil {
		return err
	}
	now := &t.progress
	images := float64(now.Images)
	epoch := Epoch{
		Epoch: now.Epochs + 1, Steps: now.EpochStep,
		MeanLoss: now.LossSum / images, LastLoss: now.LastLoss,
		MeanCrossEntropy: now.CrossEntropy / images,
		TrainAccuracy:    float64(now.Correct) / images,
		Seconds:          now.Seconds, ImagesPerSecond: images / now.Seconds,
	}
	if t.clipper != nil {
		norm := now.GradientNorm
		epoch.GradientNorm = &norm
	}
	if t.validation != nil {
		// The epoch is trained: an interruption waits until it is recorded.
		evaluation, err := t.EvaluateTogether(context.WithoutCancel(ctx), t.validation)
		if err != nil {
			return err
		}
		if diverged(evaluation.Loss) {
			return &DivergedError{Epoch: epoch.Epoch, Step: epoch.Steps, Loss: evaluation.Loss,
				Validation: true}
		}
		epoch.ValidationLoss, epoch.ValidationAccuracy = &evaluation.Loss, &evaluation.Accuracy
		if err := t.takeLabelFigures(ctx, &epoch, evaluation); err != nil {
			return err
		}
		if t.average != nil {
			raw, err := t.evaluateShares(context.WithoutCancel(ctx), t.validation,
				evaluationBatch(t.network))
			if err != nil {
				return err
			}
			if diverged(raw.Loss) {
				return &DivergedError{Epoch: epoch.Epoch, Step: epoch.Steps, Loss: raw.Loss, Validation: true}
			}
			epoch.RawValidationLoss, epoch.RawValidationAccuracy = &raw.Loss, &raw.Accuracy
		}
	}
	if t.config.KeepsBest() && now.improvedBy(epoch, t.config.best()) {
		now.BestEpoch, now.BestLoss = epoch.Epoch, 0
		if epoch.ValidationLoss != nil {
			now.BestLoss = *epoch.ValidationLoss
		}
		t.best = t.Weights()
	}
	history := append(now.History, epoch)
	*now = Progress{
		Epochs: now.Epochs + 1, Step: now.Step, LastLoss: now.LastLoss,
		BestEpoch: now.BestEpoch, BestLoss: now.BestLoss, History: history, ThawStep: now.ThawStep,
	}
	return t.thaw()
}

// StopRule says which stop rule ends the training where it stands, or nothing if none
// does.
func (t *Trainer) StopRule() string { return t.progress.stopRule(t.config) }

func (p Progress) stopRule(config Config) string {
	if p.EpochStep > 0 || len(p.History) == 0 {
		return ""
	}
	last := p.History[len(p.History)-1]
	switch {
	case config.UntilLoss > 0 && last.MeanLoss < config.UntilLoss:
		return fmt.Sprintf("the mean loss %.4f of epoch %d is below %v", last.MeanLoss, last.Epoch,
			config.UntilLoss)
	case config.Patience > 0 && p.BestEpoch > 0 && last.Epoch-p.BestEpoch >= config.Patience:
		return fmt.Sprintf("%s in epoch %d, %s ago", config.best().was(), p.BestEpoch,
			display.Count(last.Epoch-p.BestEpoch, "epoch"))
	case p.Epochs >= config.Epochs:
		verb := "are"
		if p.Epochs == 1 {
			verb = "is"
		}
		return fmt.Sprintf("%s %s done", display.Count(p.Epochs, "epoch"), verb)
	}
	return ""
}
