package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/display"
)

// Trainer fits one network to one training set.
type Trainer struct {
	network    *builder.Network
	config     Config
	phase      Config      // as it holds in the epoch under way
	sets       func() Sets // computed once
	training   dataset.Source
	validation dataset.Source // nil if nothing is held out
	pixels     dataset.Pixels
	batches    *dataset.Batches
	// augmented is training as the steps see it; trainingInfo is its Info.
	augmented    dataset.Source
	trainingInfo dataset.Info
	labels       []int32 // of training, where the loss or the sampling asks for them
	engine       *builder.Engine
	feeder       *feeder
	mixer        *mixer // nil if no images are mixed
	variables    *builder.Variables
	sum          *sum       // of the parts of a step; nil with an engine that takes it whole
	clipper      *clipper   // nil without Config.ClipNorm
	spanned      []span     // the memory of spans
	sweep        *RateSweep // takes the place of the schedule, if not nil
	optimizer    *Optimizer
	programs     map[programKey]*program
	features     *features      // nil where all is computed in each step
	tested       dataset.Source // nil if there is none
	device       onDevice       // used if config.Device is not nil
	progress     Progress
	average      *average // nil without Config.EMA
	best         builder.Weights
	// last holds the weights of the last step once the variables hold those that the run
	// came to.
	last builder.Weights
}

type programKey struct {
	batch    int
	training bool
	from     string // the layer that it takes the output of, empty if it takes images
}

// New returns a trainer at the start of its first epoch, to be closed when it is
// done with. The weights are drawn from the seed if initial is nil.
func New(network *builder.Network, source dataset.Source, config Config, initial builder.Weights) (*Trainer, error) {
	config, err := config.WithDefaults(network)
	if err != nil {
		return nil, err
	}
	if err := config.restsAtZero(); err != nil {
		return nil, err
	}
	if initial == nil {
		initial = network.InitialWeights(config.Seed)
	}
	if err := checkValues(network, initial); err != nil {
		return nil, fmt.Errorf("the weights to start from: %w", err)
	}
	return newTrainer(network, source, config, initial)
}

// Resume returns a trainer that goes on from the checkpoint as if it had never
// stopped. Only Data, Epochs, UntilLoss, Patience, Best and the keeping of checkpoints may
// differ between the checkpoint's Config and config, and the length of a schedule that is
// shorter than Epochs; the set must have the same content.
func Resume(checkpoint *Checkpoint, source dataset.Source, config Config) (*Trainer, error) {
	config, err := config.WithDefaults(checkpoint.Network)
	if err != nil {
		return nil, err
	}
	if err := resumable(checkpoint.Config, config); err != nil {
		return nil, err
	}
	t, err := newTrainer(checkpoint.Network, source, config, checkpoint.Weights)
	if err != nil {
		return nil, err
	}
	if digest := t.sets().Training.SHA256; !checkpoint.holds(source, digest) {
		t.Close()
		return nil, fmt.Errorf("cannot resume with other data: the set of the checkpoint has the sha256 %s, %s has %s; name the place of the former with -data",
			checkpoint.Data, source.Info().Name, digest)
	}
	if err := goesOnWith(checkpoint.Config, t.config); err != nil {
		t.Close()
		return nil, err
	}
	t.average.setWeights(t.variables, checkpoint.Average)
	t.progress = checkpoint.Progress
	if err := t.enter(); err != nil {
		t.Close()
		return nil, err
	}
	t.optimizer.SetState(t.variables, checkpoint.OptimizerState, checkpoint.Progress.Step)
	t.progress.Finished = ""
	if pretrained := checkpoint.Sets.Pretrained; pretrained != "" {
		t.BeganFrom(pretrained)
	}
	if checkpoint.Config.KeepsBest() && checkpoint.Config.best().name == t.config.best().name {
		t.best = checkpoint.Best
	} else {
		// Nothing was kept, or by another measure: that best epoch is not the best of all.
		t.progress.BestEpoch, t.progress.BestLoss = 0, 0
	}
	return t, nil
}

func newTrainer(network *builder.Network, source dataset.Source, config Config, initial builder.Weights) (*Trainer, error) {
	if err := fits(network, source); err != nil {
		return nil, err
	}
	if err := tellsApart(source); err != nil {
		return nil, err
	}
	t := &Trainer{network: network, config: config, training: source, programs: make(map[programKey]*program)}
	var err error
	if config.ValidationFraction > 0 {
		if t.training, t.validation, err = dataset.SplitSource(source, config.ValidationFraction, config.Seed); err != nil {
			return nil, err
		}
	}
	t.trainingInfo = t.training.Info()
	if t.config.Pixels, t.pixels, err = readyPixels(config.Pixels, t.training, t.trainingInfo); err != nil {
		return nil, err
	}
	if err := t.takeWeights(); err != nil {
		return nil, err
	}
	t.sets = sync.OnceValue(func() Sets { return describeSets(source, t.validation) })
	if t.batches, err = t.newBatches(); err != nil {
		return nil, err
	}
	if t.augmented, err = augment.Source(t.training, augment.List(config.Augmentation), config.Seed); err != nil {
		return nil, err
	}
	t.augmented = t.asDrawn(t.augmented)
	if t.engine, err = builder.NewEngine(config.Engine, config.Threads); err != nil {
		return nil, err
	}
	t.feeder = newFeeder(t.engine, t.pixels)
	t.mixer = newMixer(config, t.engine, t.trainingInfo)
	if t.variables, err = builder.NewVariables(network, t.engine, initial); err != nil {
		t.engine.Close()
		return nil, err
	}
	if t.clipper, err = newClipper(config, t.engine); err != nil {
		t.engine.Close()
		return nil, err
	}
	if err := t.enter(); err != nil {
		t.engine.Close()
		return nil, err
	}
	if t.average, err = newAverage(config.EMA, t.engine, t.variables); err != nil {
		t.engine.Close()
		return nil, err
	}
	return t, nil
}

// Close ends the engine's threads and frees what the trainer holds on its device.
func (t *Trainer) Close() {
	if t.device.session != nil {
		// All that the run learned was read before; a device that cannot free its
		// memory has said so at an earlier call.
		_ = t.device.session.Close()
		t.device.session = nil
	}
	t.engine.Close()
}

// Network returns the network.
func (t *Trainer) Network() *builder.Network { return t.network }

// Engine returns the engine that the trainer computes with.
func (t *Trainer) Engine() *builder.Engine { return t.engine }

// KernelSet names the kernels that the native engine computes the steps with, empty
// where another engine or a device does. Other kernels round in another order.
func (t *Trainer) KernelSet() string {
	kernels, native := t.engine.Kernels()
	if !native || t.config.Device != nil {
		return ""
	}
	return kernels.Set.Name()
}

// Config returns the configuration with its defaults filled in.
func (t *Trainer) Config() Config { return t.config }

// Progress returns where the run stands.
func (t *Trainer) Progress() Progress { return t.progress }

// StepsPerEpoch returns the number of steps in an epoch.
func (t *Trainer) StepsPerEpoch() int { return t.batches.Steps() }

// Weights returns a copy of the weights as they are now, averaged where Config.EMA says
// so: after a Fit that keeps the best ones those; on a Device, as they were when they were
// last saved or the last epoch ended.
func (t *Trainer) Weights() builder.Weights {
	if t.averages() {
		return t.average.weights(t.variables)
	}
	return t.variables.Weights()
}

// averages reports whether the run's weights are the averaged ones and the variables hold
// those of the last step.
func (t *Trainer) averages() bool { return t.average != nil && t.last == nil }

// Checkpoint returns a copy of the whole state.
func (t *Trainer) Checkpoint() *Checkpoint {
	progress := t.progress
	progress.History = slices.Clone(progress.History)
	weights := t.variables.Weights()
	if t.last != nil {
		weights = t.last.Clone()
	}
	return &Checkpoint{
		Network: t.network, Config: t.config, Weights: weights, Average: t.average.weights(t.variables),
		OptimizerState: t.optimizer.State(t.variables),
		Best:           t.best.Clone(), Progress: progress,
		Data: t.sets().Training.SHA256, Sets: t.sets(), KernelSet: t.KernelSet(),
	}
}

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
func (t *Trainer) Fit(ctx context.Context, callbacks Callbacks) error {
	for {
		if err := t.report(ctx, callbacks); err != nil {
			return err
		}
		if t.progress.Finished = t.StopRule(); t.progress.Finished != "" {
			break
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
	if ctx.Err() != nil {
		return t.interrupted(callbacks)
	}
	err := callbacks.Epoch(&now.History[len(now.History)-1])
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
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
			return err
		}
	}
	for step, indices := range t.batches.Epoch(t.progress.Epochs, t.progress.EpochStep) {
		if ctx.Err() != nil {
			return t.interrupted(callbacks)
		}
		err := t.step(ctx, indices)
		if errors.Is(err, errStepInterrupted) {
			return t.interrupted(callbacks)
		}
		var diverged *DivergedError
		if errors.As(err, &diverged) {
			return err // it says where
		}
		if err != nil {
			err = fmt.Errorf("epoch %d, step %d: %w", t.progress.Epochs+1, step+1, err)
			var unread *ReadError
			if unsaved := (*UnsavedError)(nil); errors.As(err, &unread) && errors.As(t.interrupted(callbacks), &unsaved) {
				err = fmt.Errorf("%w; and the run's state could not be saved: %w", err, unsaved.Err)
			}
			return err
		}
		if callbacks.Step != nil {
			err := callbacks.Step(StepReport{t.progress.Epochs + 1, step + 1, t.batches.Steps(), t.progress.LastLoss, len(indices)})
			if err != nil {
				return err
			}
		}
	}
	return t.finishEpoch(ctx)
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
				return &DivergedError{Epoch: t.progress.Epochs + 1, Step: t.progress.EpochStep, Loss: t.progress.LastLoss, Weights: true}
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
	if err := t.checkWeights(); err != nil {
		return err
	}
	now := &t.progress
	images := float64(now.Images)
	epoch := Epoch{
		Epoch: now.Epochs + 1, Steps: now.EpochStep,
		MeanLoss: now.LossSum / images, LastLoss: now.LastLoss, MeanCrossEntropy: now.CrossEntropy / images,
		TrainAccuracy: float64(now.Correct) / images,
		Seconds:       now.Seconds, ImagesPerSecond: images / now.Seconds,
	}
	if t.clipper != nil {
		norm := now.GradientNorm
		epoch.GradientNorm = &norm
	}
	if t.validation != nil {
		// The epoch is trained: an interruption waits until it is recorded.
		evaluation, err := t.Evaluate(context.WithoutCancel(ctx), t.validation)
		if err != nil {
			return err
		}
		if diverged(evaluation.Loss) {
			return &DivergedError{Epoch: epoch.Epoch, Step: epoch.Steps, Loss: evaluation.Loss, Validation: true}
		}
		epoch.ValidationLoss, epoch.ValidationAccuracy = &evaluation.Loss, &evaluation.Accuracy
		if t.average != nil {
			raw, err := t.evaluate(context.WithoutCancel(ctx), t.validation, evaluationBatch(t.network))
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
func (t *Trainer) StopRule() string {
	if t.progress.EpochStep > 0 || len(t.progress.History) == 0 {
		return ""
	}
	last := t.progress.History[len(t.progress.History)-1]
	switch {
	case t.config.UntilLoss > 0 && last.MeanLoss < t.config.UntilLoss:
		return fmt.Sprintf("the mean loss %.4f of epoch %d is below %v", last.MeanLoss, last.Epoch, t.config.UntilLoss)
	case t.config.Patience > 0 && t.progress.BestEpoch > 0 && last.Epoch-t.progress.BestEpoch >= t.config.Patience:
		return fmt.Sprintf("%s in epoch %d, %s ago", t.config.best().was(), t.progress.BestEpoch,
			display.Count(last.Epoch-t.progress.BestEpoch, "epoch"))
	case t.progress.Epochs >= t.config.Epochs:
		verb := "are"
		if t.progress.Epochs == 1 {
			verb = "is"
		}
		return fmt.Sprintf("%s %s done", display.Count(t.progress.Epochs, "epoch"), verb)
	}
	return ""
}
