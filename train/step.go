package train

import (
	"context"
	"errors"
	"time"

	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
)

// StepReport is what one step came to.
type StepReport struct {
	// Epoch and Step count from 1; Steps is the number of steps in the epoch.
	Epoch, Step, Steps int
	// Loss is that of the batch, penalties included. On a Device it is that of
	// the last step that was looked at, one in 16.
	Loss float64
	// Images is the number of images in the step.
	Images int
}

// errStepInterrupted says that the context ended between two parts of a step, which has
// changed neither weights nor the optimizer's state.
var errStepInterrupted = errors.New("the step was interrupted")

// orInterrupted returns errStepInterrupted for an error that says that the context has ended, and
// any other as it is.
func orInterrupted(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return errStepInterrupted
	}
	return err
}

// step trains on one batch, or on those of Config.Accumulate, unless the context ends before
// its last part. A step that fails changes nothing.
func (t *Trainer) step(ctx context.Context, indices []int) (err error) {
	if t.config.Device != nil {
		return t.deviceStep(ctx, indices)
	}
	began := time.Now()
	undo := t.rememberStatistics()
	defer func() {
		if err != nil {
			undo()
		}
	}()
	result, err := t.gradients(ctx, feed{t.augmented, t.trainingInfo, indices, t.epochOf()})
	if err != nil {
		return orInterrupted(ctx, err) // while it was fed
	}
	if err := t.learn(result, indices); err != nil {
		return err
	}
	t.progress.Seconds += time.Since(began).Seconds()
	return nil
}

// learn takes the optimizer's step by the gradients of these images, and books it.
func (t *Trainer) learn(result batchResult, indices []int) error {
	if diverged(result.total) {
		return &DivergedError{Epoch: t.progress.Epochs + 1, Step: t.progress.EpochStep + 1,
			Loss: result.total, Indices: indices}
	}
	norm, err := t.clipper.clip(result.model)
	if err != nil {
		return err
	}
	if !finite(norm) {
		return &DivergedError{Epoch: t.progress.Epochs + 1, Step: t.progress.EpochStep + 1,
			Loss: result.total, Indices: indices, Gradients: true}
	}
	t.progress.GradientNorm = max(t.progress.GradientNorm, norm)
	if !result.updated {
		t.setRates()
		if err := t.optimizer.Step(result.model); err != nil {
			return err
		}
	}
	if result.statistics != nil {
		result.statistics.Update()
	}
	images := len(indices)
	t.progress.Step++
	if err := t.average.take(t.variables, t.progress.Step); err != nil {
		return err
	}
	t.progress.EpochStep++
	t.progress.Images += images
	t.progress.LossSum += result.total * float64(images)
	t.progress.CrossEntropy += result.data * float64(images)
	t.progress.Correct += result.correct
	t.progress.LastLoss = result.total
	return nil
}

// batchResult is what a step came to, before the optimizer's step.
type batchResult struct {
	total, data float64 // mean loss with and without penalties
	correct     int
	// model pairs each parameter with its gradient.
	model []gorgonia.ValueGrad
	// statistics brings those of layers up to date, where the step has not yet: the graph of a batch
	// that was not in parts, since layers with statistics are of such alone, or the shards.
	statistics interface{ Update() }
	// updated says that the optimizer's step is taken.
	updated bool
}

// gradients runs a step's images forward and back, by spans. A context
// that ends makes it return errStepInterrupted before the next part.
func (t *Trainer) gradients(ctx context.Context, images feed) (batchResult, error) {
	batch := len(images.indices)
	unit := 1 // of images that are in the same part
	if t.mixer != nil {
		images.indices, unit = t.mixer.begin(t.progress.Step, images.indices), 2
	}
	weights := 0.0
	if !t.trainingInfo.MultiLabel { // whose loss is divided by the images alone
		weights = t.config.Loss.ClassWeights.sum(t.labels, images.indices)
	}
	if t.shards != nil {
		return t.dealt(ctx, images, unit, weights)
	}
	spans := t.spans(batch, unit, 0, 1)
	var result batchResult
	for i, span := range spans {
		if i > 0 && ctx.Err() != nil {
			return result, errStepInterrupted
		}
		p, part, err := t.forwardAndBack(ctx, 0, images, span, weights, nil)
		if err != nil {
			return result, err
		}
		if len(spans) == 1 {
			part.model, part.statistics = p.model, p.graph
			return part, nil
		}
		share := float64(span.end-span.first) / float64(batch)
		result.total += share * part.total
		result.data += share * part.data
		result.correct += part.correct
		if err := t.sum.take(p, i == 0, float32(share)); err != nil {
			return result, err
		}
		p.graph.Update() // of a batch among others: a part of one has no statistics
	}
	result.model = t.sum.model
	return result, nil
}

// forwardAndBack runs a span of a step's images, whose class weights come to that sum. A part of a
// batch is divided by its share of the whole batch's divisor, since the mean over a batch is not
// that of its parts' means. Spans of several slots may be under way at the same time. The gradients
// are written to a leaf of the shards', unless it is nil.
func (t *Trainer) forwardAndBack(ctx context.Context, slot int, images feed, span span,
	weights float64, leaf *leaf) (*program, batchResult, error) {
	batch, some := len(images.indices), images.of(span)
	divisor := weights * float64(span.end-span.first) / float64(batch)
	return t.pass(ctx, programKey{training: true, slot: slot}, some, span.first, divisor, leaf)
}

// pass feeds images, the first of which is image first of its batch, and runs them through the
// key's program for as many. The loss that trains is divided by the divisor, by the images' own
// weights if that is 0. The result has no model.
func (t *Trainer) pass(ctx context.Context, key programKey, images feed, first int, divisor float64,
	leaf *leaf) (*program, batchResult, error) {
	var result batchResult
	p, err := t.fed(ctx, key, images, first, divisor)
	if err != nil {
		return nil, result, err
	}
	if err := t.runInto(p, leaf); err != nil {
		return nil, result, err
	}
	if result.total, result.data, err = p.losses(); err != nil {
		return nil, result, err
	}
	result.correct, err = p.correct(images.info.Combinations)
	return p, result, err
}

// fed returns the key's program for as many images, which lie in it.
func (t *Trainer) fed(ctx context.Context, key programKey, images feed, first int,
	divisor float64) (
	*program, error) {
	kept, err := t.features.of(ctx, key.training, images.source)
	if err != nil {
		return nil, err
	}
	key.batch = len(images.indices)
	if kept != nil {
		key.from = t.features.cut
	}
	p, err := t.programOf(key)
	if err != nil {
		return nil, err
	}
	if kept != nil {
		kept.fill(p.graph.Images(), p.labels, images.indices)
	} else if err := t.feeder.fill(ctx, p.graph.Images(), p.labels, images); err != nil {
		return nil, &ReadError{err}
	}
	if p.graph.targets != nil {
		p.graph.targets.Divisor, p.graph.targets.Combinations = divisor, images.info.Combinations
	}
	if key.training && t.mixer != nil {
		t.mixer.apply(p.graph.Images(), p.labels, p.graph.targets)
	}
	p.graph.SetStep(uint64(t.progress.Step), first)
	return p, nil
}

// runInto runs a program, whose gradients are written to a leaf of the shards' unless it is nil.
func (t *Trainer) runInto(p *program, leaf *leaf) error {
	if leaf == nil {
		return p.run()
	}
	defer p.home()
	if err := p.place(leaf, t.shards); err != nil {
		return err
	}
	if err := p.run(); err != nil {
		return err
	}
	return p.rest(leaf, t.shards)
}

// setRates gives the optimizer those of the next step.
func (t *Trainer) setRates() {
	t.optimizer.config.LearningRate, t.optimizer.factor = t.learningRate(), t.rateFactor()
}

// learningRate is that of the next step.
func (t *Trainer) learningRate() float64 {
	if t.sweep != nil {
		return t.sweep.rate(t.progress.Step)
	}
	return t.config.Optimizer.LearningRate * t.rateFactor()
}

// rateFactor is what the schedule, or a sweep in its place, multiplies all rates by at the next
// step.
func (t *Trainer) rateFactor() float64 {
	if t.sweep != nil {
		return t.sweep.rate(t.progress.Step) / t.config.Optimizer.LearningRate
	}
	return t.rateFactorAt(t.progress.Step)
}

// rateFactorAt is the schedule's factor at a step of the epoch under way.
func (t *Trainer) rateFactorAt(step int) float64 {
	schedule := t.config.Schedule
	factor := schedule.Factor(step, t.batches.Steps())
	if schedule.Name == SchedulePlateau {
		factor *= schedule.plateauFactor(t.progress.History, t.config.best())
	}
	return factor
}

// program returns the compiled graph of images for a batch size, making it once.
func (t *Trainer) program(batch int, training bool) (*program, error) {
	return t.programOf(programKey{batch: batch, training: training})
}

// programOf returns a compiled graph, making it once.
func (t *Trainer) programOf(key programKey) (*program, error) {
	if p, ok := t.programs[key]; ok {
		return p, nil
	}
	var sync func(layer string) kernel.BatchSync
	if t.shards != nil && t.shards.sync != nil && key.training {
		sync = t.shards.sync.layersOf(key.slot, key.shards > 0)
	}
	p, err := compile(t.network, t.engine, t.variables, t.phase, key, sync)
	if err != nil {
		return nil, err
	}
	t.programs[key] = p
	return p, nil
}
