package train

import (
	"fmt"
	"slices"
	"sync"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
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
	stepsError   func() error // checkSteps, computed once
	withoutBF16  error        // why a run in bf16 has none on this CPU; nil where it has, and of other runs
	feeder       *feeder
	mixer        *mixer // nil if no images are mixed
	variables    *builder.Variables
	sum          *sum       // of the parts of a step; nil with an engine that takes it whole
	shards       *shards    // nil of steps that are not dealt
	together     *together  // nil where one process trains alone
	clipper      *clipper   // nil without Config.ClipNorm
	spanned      []span     // the memory of spans
	sweep        *RateSweep // takes the place of the schedule, if not nil
	optimizer    *optimizer
	programs     map[programKey]*program
	features     *features      // nil where all is computed in each step
	tested       dataset.Source // nil if there is none
	device       onDevice       // used if config.Device is not nil
	progress     Progress
	average      *average // nil without Config.EMA
	best         builder.Weights
	// torn, if not nil, is why the state is of no step.
	torn error
	// last holds the weights of the last step once the variables hold those that the run
	// came to.
	last builder.Weights
}

type programKey struct {
	batch    int
	training bool
	slot     int    // which of those that have values between the layers at the same time
	from     string // the layer that it takes the output of, empty if it takes images
	shards   int    // that the batch is, 0 if it is no matter
}

// New returns a trainer at the start of its first epoch, to be closed when it is
// done with. The weights are drawn from the seed if initial is nil.
func New(network *builder.Network, source dataset.Source, config Config,
	initial builder.Weights) (*Trainer, error) {
	config, err := config.For(source)
	if err != nil {
		return nil, err
	}
	if config, err = config.WithDefaults(network); err != nil {
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
	if checkpoint.torn != nil {
		return nil, fmt.Errorf("cannot resume: %w", checkpoint.torn)
	}
	config, err := config.For(source)
	if err != nil {
		return nil, err
	}
	if config, err = config.WithDefaults(checkpoint.Network); err != nil {
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
		return nil, fmt.Errorf(
			"cannot resume with other data: the set of the checkpoint has the sha256 %s, %s has %s; name the place of the former with -data",
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
	if checkpoint.knowsBest(t.config) {
		t.best = checkpoint.Best
	} else {
		t.progress.BestEpoch, t.progress.BestLoss = 0, 0
	}
	return t, nil
}

func newTrainer(network *builder.Network, source dataset.Source, config Config,
	initial builder.Weights) (*Trainer, error) {
	// A network for a single class has not to be made first.
	if err := tellsApart(source); err != nil {
		return nil, err
	}
	if err := fits(network, source); err != nil {
		return nil, err
	}
	t := &Trainer{network: network, config: config, training: source,
		programs: make(map[programKey]*program)}
	var err error
	if config.ValidationFraction > 0 {
		if t.training, t.validation, err = dataset.SplitSource(source, config.ValidationFraction,
			config.Seed); err != nil {
			return nil, err
		}
	}
	t.trainingInfo = t.training.Info()
	if t.config.Pixels, t.pixels, err = readyPixels(config.Pixels, t.training,
		t.trainingInfo); err != nil {
		return nil, err
	}
	if err := t.takeWeights(); err != nil {
		return nil, err
	}
	t.sets = sync.OnceValue(func() Sets { return describeSets(source, t.validation) })
	if t.batches, err = t.newBatches(); err != nil {
		return nil, err
	}
	if t.augmented, err = augment.Source(t.training, augment.List(config.Augmentation),
		config.Seed); err != nil {
		return nil, err
	}
	t.augmented = t.asDrawn(t.augmented)
	if err := t.takeEngine(); err != nil {
		return nil, err
	}
	t.stepsError = sync.OnceValue(t.checkSteps)
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
	t.together = newTogether(config)
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

// Checkpoint returns a copy of the whole state. There is none to be written, or to go on from, where
// Fit has ended because an exchange failed while ranks, this one or others, may have updated the
// weights together.
func (t *Trainer) Checkpoint() *Checkpoint {
	t.shards.fetch()
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
		Data: t.sets().Training.SHA256, Sets: t.sets(), KernelSet: t.KernelSet(), torn: t.torn,
	}
}
