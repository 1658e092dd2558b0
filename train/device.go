package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/device"
)

// onDevice is the part of a trainer that its device has.
type onDevice struct {
	session device.Session
	// began is Progress as it was when the session's account began, and underWay says that the
	// account has what Progress may lack: from there until settle.
	began    Progress
	underWay bool
	// fed says that the steps' batches are made on this CPU.
	fed bool
	// order is that of the images in the epoch under way.
	order []int
	// averaged says that the weights that are evaluated are the averaged ones.
	averaged bool
	// loaded has the sets that the device was given, by their sources.
	loaded map[dataset.Source]*dataset.Set
}

// inMemory returns a source as the set that a session takes.
func (d *onDevice) inMemory(ctx context.Context, source dataset.Source) (*dataset.Set, error) {
	if set, ok := d.loaded[source]; ok {
		return set, nil
	}
	set, err := dataset.Load(ctx, source)
	if err != nil {
		return nil, &ReadError{err}
	}
	if d.loaded == nil {
		d.loaded = make(map[dataset.Source]*dataset.Set)
	}
	d.loaded[source] = set
	return set, nil
}

// openSession brings the trainer's state to its device, once. The engine there
// has variables of its own, which only lower graphs.
func (t *Trainer) openSession(ctx context.Context) error {
	if t.device.session != nil {
		return nil
	}
	var training *dataset.Set
	if t.device.fed = t.feedsSteps(); !t.device.fed {
		var err error
		if training, err = t.device.inMemory(ctx, t.training); err != nil {
			return err
		}
	}
	plain, err := builder.NewEngine(builder.EnginePlain, 1)
	if err != nil {
		return err
	}
	variables, err := builder.NewVariables(t.network, plain, t.variables.Weights())
	if err != nil {
		return err
	}
	job := device.Job{
		Network: t.network, Info: t.trainingInfo, Set: training, Pixels: t.pixels,
		TF32: t.config.Precision == PrecisionTF32, BF16: t.config.Precision == PrecisionBF16,
		Ranks: t.ranks(),
		Lower: func(batch int, training bool) (*device.Graph, error) {
			graph, err := lossGraphOf(t.network, plain, variables, t.phase, batch, training)
			if err != nil {
				return nil, err
			}
			return &graph.Graph, nil
		},
	}
	t.updatesOf(&job)
	session, err := t.config.Device.NewSession(job)
	if err != nil {
		return fmt.Errorf("device %s: %w", t.config.Device, err)
	}
	t.device.session = session
	return t.load()
}

// load brings the trainer's weights and optimizer state to the device.
func (t *Trainer) load() error {
	err := t.device.session.Load(device.State{
		Weights:   t.variables.Weights(),
		Average:   t.average.weights(t.variables),
		Optimizer: t.optimizer.State(t.variables),
		Steps:     t.progress.Step,
	})
	if err != nil {
		return t.deviceError(err)
	}
	return nil
}

// beginEpoch tells the device what is left of the epoch under way.
func (t *Trainer) beginEpoch(ctx context.Context) error {
	ctx = t.working(ctx)
	if err := t.openSession(ctx); err != nil {
		return orInterrupted(ctx, err)
	}
	t.device.order = t.batches.Order(t.progress.Epochs)
	t.device.began = t.progress
	order := t.device.order
	if t.device.fed {
		order = nil
	}
	if err := t.device.session.BeginEpoch(order,
		t.progress.EpochStep*t.batches.Size(), t.paces()); err != nil {
		return t.deviceError(err)
	}
	t.device.underWay = true
	return nil
}

// deviceStep trains on the next batch, without waiting for it but now and then.
func (t *Trainer) deviceStep(ctx context.Context, indices []int) error {
	began := time.Now()
	if err := t.beginStep(ctx, indices); err != nil {
		return err
	}
	now := &t.progress
	now.Step++
	now.EpochStep++
	now.Images += len(indices)
	var err error
	if now.EpochStep%device.AccountEvery == 0 || now.EpochStep == t.batches.Steps() {
		err = t.account()
	}
	now.Seconds += time.Since(began).Seconds()
	return err
}

// beginStep has the device train on the next batch.
func (t *Trainer) beginStep(ctx context.Context, indices []int) error {
	var err error
	if t.device.fed {
		err = t.makeStep(t.working(ctx), indices)
	}
	if err = t.meetBefore(ctx, err); err != nil {
		return t.unmade(ctx, err)
	}
	if t.device.fed {
		err = t.device.session.StepFed()
	} else {
		err = t.device.session.Step(len(indices))
	}
	if err != nil {
		return t.deviceError(err)
	}
	return nil
}

// unmade returns what the error comes to of a step that was not begun.
func (t *Trainer) unmade(ctx context.Context, err error) error {
	var unread *ReadError
	var other *RankError
	if !errors.As(err, &unread) && !errors.As(err, &other) {
		return err
	}
	if t.together == nil {
		if err = orInterrupted(ctx, err); errors.Is(err, errStepInterrupted) {
			return err
		}
	}
	// That a step before has diverged, which nobody has looked at yet, comes first.
	if earlier := t.account(); earlier != nil {
		return earlier
	}
	return err
}

// account brings Progress up to date with the device.
func (t *Trainer) account() error {
	account, err := t.device.session.Account()
	if err != nil {
		return t.deviceError(err)
	}
	now, began := &t.progress, t.device.began
	now.Step, now.EpochStep = began.Step+account.Steps, began.EpochStep+account.Steps
	now.Images = began.Images + account.Images
	now.LossSum = began.LossSum + account.LossSum
	now.CrossEntropy = began.CrossEntropy + account.CrossEntropy
	now.Correct = began.Correct + account.Correct
	if account.Steps > 0 {
		now.LastLoss = account.LastLoss
	}
	now.GradientNorm = max(began.GradientNorm, account.GradientNorm)
	if account.Diverged {
		first := now.EpochStep * t.batches.Size()
		indices := t.device.order[first:min(first+t.batches.Size(), len(t.device.order))]
		return &DivergedError{Epoch: now.Epochs + 1, Step: now.EpochStep + 1,
			Loss: account.DivergedLoss, Indices: indices, Gradients: account.DivergedGradients}
	}
	// A loss that is absurd but finite has not stopped the device.
	if account.Steps > 0 && diverged(now.LastLoss) {
		return &DivergedError{Epoch: now.Epochs + 1, Step: now.EpochStep, Loss: now.LastLoss}
	}
	return nil
}

// settle brings Progress, the weights and the optimizer's state up to date with
// the device, if an epoch is under way there.
func (t *Trainer) settle() error {
	if !t.device.underWay {
		return nil
	}
	if err := t.account(); err != nil {
		return err
	}
	state, err := t.device.session.State()
	if err != nil {
		return t.deviceError(err)
	}
	for i, tensor := range state.Weights {
		t.variables.FromPublic(i, t.variables.Values()[i].Float32s(), tensor.Data)
	}
	t.average.setWeights(t.variables, state.Average)
	t.optimizer.SetState(t.variables, state.Optimizer, state.Steps)
	t.device.underWay = false
	return nil
}

// leaveDevice closes the session, which has no steps under way; the next one is another phase's.
func (t *Trainer) leaveDevice() error {
	if t.device.session == nil {
		return nil
	}
	err := t.device.session.Close()
	t.device.session = nil
	if err != nil {
		return t.deviceError(err)
	}
	return nil
}

func (t *Trainer) deviceError(err error) error {
	return fmt.Errorf("device %s: %w", t.config.Device, err)
}
