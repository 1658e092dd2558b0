package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/device"
)

// borrowed is a device whose sessions compute with a trainer of their own on this CPU: a run on
// it comes to the bits of a run without it.
type borrowed struct {
	config Config
	// set is trained on, where the job has none since batches are fed.
	set *dataset.Set
	// most is SetBytes, enough for any set if 0.
	most int64
}

func (borrowed) String() string { return "borrowed" }

func (borrowed) CheckTF32() error { return nil }

func (borrowed) CheckBF16() error { return nil }

func (b borrowed) SetBytes() int64 {
	if b.most == 0 {
		return math.MaxInt64
	}
	return b.most
}

func (b borrowed) NewSession(job device.Job) (device.Session, error) {
	config := b.config
	config.ValidationFraction, config.Patience = 0, 0
	config.Schedule = Schedule{} // the paces say it
	if len(job.Trained) == len(job.Network.Parameters()) {
		config.Freeze, config.FineTune.FreezeUntil = nil, 0
	}
	set := job.Set
	if set == nil {
		set = b.set
	}
	trainer, err := New(job.Network, set, config, nil)
	if err != nil {
		return nil, err
	}
	for i, trained := range job.Trained {
		parameter := &trainer.optimizer.parameters[i]
		rate := parameter.rate
		if rate == 0 {
			rate = job.Optimizer.LearningRate
		}
		if parameter.at != trained.Tensor || rate != trained.LearningRate ||
			parameter.decays != (trained.WeightDecay != 0) && config.Optimizer.WeightDecay != 0 {
			return nil, fmt.Errorf("%s is trained by %+v", parameter.spec.Name, trained)
		}
		parameter.since = trained.Since
	}
	return &borrowedSession{inner: trainer, job: job}, nil
}

type borrowedSession struct {
	inner  *Trainer
	job    device.Job
	order  []int
	next   int
	before int // steps before the account began
	paces  []device.Pace
	wrong  *DivergedError
	fed    fedBatch
}

func (s *borrowedSession) Load(state device.State) error {
	for i, tensor := range state.Weights {
		s.inner.variables.FromPublic(i, s.inner.variables.Values()[i].Float32s(), tensor.Data)
	}
	s.inner.average.setWeights(s.inner.variables, state.Average)
	s.inner.optimizer.SetState(s.inner.variables, state.Optimizer, state.Steps)
	s.inner.progress = Progress{Step: state.Steps}
	return nil
}

func (s *borrowedSession) State() (device.State, error) {
	slots := s.inner.optimizer.State(s.inner.variables)
	return device.State{
		Weights: s.inner.variables.Weights(), Optimizer: slots, Steps: s.inner.progress.Step,
		Average: s.inner.average.weights(s.inner.variables),
	}, nil
}

func (s *borrowedSession) BeginEpoch(order []int, first int, paces []device.Pace) error {
	s.order, s.next, s.before = slices.Clone(order), first, s.inner.progress.Step
	s.inner.progress = Progress{Step: s.before}
	s.paces = paces
	return nil
}

// pace has the next step go by its own.
func (s *borrowedSession) pace() error {
	if s.paces == nil {
		return nil
	}
	pace := s.paces[s.inner.progress.Step-s.before]
	s.inner.config.Optimizer.LearningRate = s.job.Optimizer.LearningRate * pace.Factor
	for i, trained := range s.job.Trained {
		s.inner.optimizer.parameters[i].rate = trained.LearningRate * pace.Factor
	}
	if share := s.inner.config.EMA.share(s.inner.progress.Step + 1); share != pace.Average {
		return fmt.Errorf("the average goes %v of the way, want %v", pace.Average, share)
	}
	return nil
}

func (s *borrowedSession) Step(images int) error {
	if s.wrong != nil {
		return nil
	}
	if err := s.pace(); err != nil {
		return err
	}
	err := s.inner.step(context.Background(), s.order[s.next:s.next+images])
	if errors.As(err, &s.wrong) {
		return nil
	}
	s.next += images
	return err
}

func (s *borrowedSession) Account() (device.Account, error) {
	sums := s.inner.progress
	account := device.Account{Steps: sums.Step - s.before, Images: sums.Images, LossSum: sums.LossSum,
		CrossEntropy: sums.CrossEntropy, Correct: sums.Correct, LastLoss: sums.LastLoss,
		GradientNorm: sums.GradientNorm}
	if s.wrong != nil {
		account.Diverged, account.DivergedLoss = true, s.wrong.Loss
		account.DivergedGradients = s.wrong.Gradients
	}
	return account, nil
}

func (s *borrowedSession) Evaluate(set *dataset.Set, first, images int, averaged bool,
	logits []float32) (float64, int, error) {
	indices := make([]int, images)
	for i := range indices {
		indices[i] = first + i
	}
	if averaged {
		s.inner.average.swap(s.inner.variables)
		defer s.inner.average.swap(s.inner.variables)
	}
	p, result, err := s.inner.pass(context.Background(), programKey{},
		feed{set, set.Info(), indices, 0}, 0, 0, nil)
	if err != nil {
		return 0, 0, err
	}
	values, err := p.logits()
	if copied := copy(logits, values); copied != len(logits) {
		return 0, 0, errors.New("there is another number of logits")
	}
	return result.data, result.correct, err
}

func (s *borrowedSession) Close() error {
	s.inner.Close()
	return nil
}

// onBorrowed is a configuration of epochs longer than the account's, and the same on a device.
func onBorrowed() (here, there Config) {
	here = smallConfig(builder.EngineNative)
	here.BatchSize, here.Epochs, here.ValidationFraction, here.Patience = 2, 3, 0.2, 9
	there = here
	there.Device = borrowed{config: here}
	return here, there
}

// sameRun compares what two runs come to, but for their times.
func sameRun(t *testing.T, got, want *Checkpoint) {
	t.Helper()
	encoded(t, got) // sets the times to zero
	encoded(t, want)
	if !reflect.DeepEqual(got.Progress, want.Progress) {
		t.Errorf("the progress is\n%+v, want\n%+v", got.Progress, want.Progress)
	}
	if !reflect.DeepEqual(got.Weights, want.Weights) || !reflect.DeepEqual(got.Best, want.Best) ||
		!reflect.DeepEqual(got.OptimizerState, want.OptimizerState) {
		t.Error("the weights or the optimizer's state are others")
	}
}

// A run on a device comes to what it comes to on the CPU, also if it is interrupted and goes on.
func TestARunOnADevice(t *testing.T) {
	here, there := onBorrowed()
	whole := newSmallTrainer(t, here)
	defer whole.Close()
	if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	away := newSmallTrainer(t, there)
	defer away.Close()
	if err := away.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	sameRun(t, away.Checkpoint(), whole.Checkpoint())
	var evaluations [2]*Evaluation
	for i, trainer := range []*Trainer{whole, away} {
		var err error
		if evaluations[i], err = trainer.Evaluate(t.Context(), datasettest.Bars(t,
			260)); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(evaluations[0], evaluations[1]) {
		t.Error("the device evaluates otherwise")
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken := newSmallTrainer(t, there)
	defer broken.Close()
	err := broken.Fit(ctx, Callbacks{Step: func(report StepReport) error {
		if done := broken.Progress(); done.Seconds <= 0 || done.EpochStep != report.Step ||
			done.Images != 2*report.Step || done.Step != 24*(report.Epoch-1)+report.Step {
			t.Errorf("after step %d: %+v", report.Step, done)
		}
		if report.Epoch == 2 && report.Step == 21 {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatalf("Fit returned %v", err)
	}
	resumed, err := Resume(broken.Checkpoint(), datasettest.Bars(t, 60), there)
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Close()
	if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	sameRun(t, resumed.Checkpoint(), whole.Checkpoint())
}

// The losses of a device are looked at now and then, and what is told of the last look is right.
func TestLossesOfADevice(t *testing.T) {
	here, there := onBorrowed()
	var losses [2][]float64
	for i, config := range []Config{here, there} {
		trainer := newSmallTrainer(t, config)
		defer trainer.Close()
		err := trainer.Fit(t.Context(), Callbacks{Step: func(report StepReport) error {
			losses[i] = append(losses[i], report.Loss)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := 0.0
	for step, loss := range losses[1] {
		if n := step%24 + 1; n%device.AccountEvery == 0 || n == 24 {
			seen = losses[0][step]
		}
		if loss != seen {
			t.Errorf("after step %d the loss is %v, want %v", step+1, loss, seen)
		}
	}
}

// A run that diverges on a device says where, as one on the CPU does.
func TestARunThatDivergesOnADevice(t *testing.T) {
	here, there := onBorrowed()
	here.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 1e4}
	there.Optimizer, there.Device = here.Optimizer, borrowed{config: here}
	var found [2]*DivergedError
	for i, config := range []Config{here, there} {
		trainer := newSmallTrainer(t, config)
		defer trainer.Close()
		if err := trainer.Fit(t.Context(), Callbacks{}); !errors.As(err, &found[i]) {
			t.Fatalf("Fit returned %v", err)
		}
	}
	if len(found[0].Indices) == 0 || !reflect.DeepEqual(found[0], found[1]) {
		t.Errorf("on the device %+v, want %+v", found[1], found[0])
	}
}

// An interruption between two epochs keeps the loss that was looked at last.
func TestAnInterruptionBeforeTheFirstStepOnADevice(t *testing.T) {
	_, there := onBorrowed()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	trainer := newSmallTrainer(t, there)
	defer trainer.Close()
	loss := 0.0
	err := trainer.Fit(ctx, Callbacks{Step: func(report StepReport) error {
		if loss = report.Loss; report.Step == report.Steps {
			cancel()
		}
		return nil
	}})
	if done := trainer.Progress(); !errors.Is(err, ErrInterrupted) || done.Epochs != 1 ||
		loss == 0 || done.LastLoss != loss {
		t.Errorf("Fit returned %v after %+v, the loss being %v", err, done, loss)
	}
}

// absurd is a device that goes on where a loss is finite, but far from any that trains.
type absurd struct{ borrowed }

type absurdSession struct{ device.Session }

func (a absurd) NewSession(job device.Job) (device.Session, error) {
	session, err := a.borrowed.NewSession(job)
	return absurdSession{session}, err
}

func (a absurdSession) Account() (device.Account, error) {
	account, err := a.Session.Account()
	account.LastLoss = math.MaxFloat32
	return account, err
}

func TestAnAbsurdLossOnADevice(t *testing.T) {
	here, there := onBorrowed()
	there.Device = absurd{borrowed{config: here}}
	trainer := newSmallTrainer(t, there)
	defer trainer.Close()
	var found *DivergedError
	err := trainer.Fit(t.Context(), Callbacks{})
	if !errors.As(err, &found) || found.Epoch != 1 || found.Step != device.AccountEvery ||
		found.Loss != math.MaxFloat32 {
		t.Errorf("Fit returned %v", err)
	}
}
