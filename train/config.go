package train

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"slipway/builder"
	"slipway/dataset/augment"
	"slipway/internal/device"
)

// Config is everything that a training run depends on beside the network and
// the data. The same Config, network, data, engine and kernel set give the same bits.
type Config struct {
	// Data names the training set, for the record.
	Data string `json:"data"`
	// Pixels says how the bytes 0…255 are fed: PixelsRaw, the protocol of the
	// experiments and used if empty, PixelsUnit, PixelsHalf, PixelsImageNet,
	// PixelsMeasured, MEAN,STD, or mean=…,std=… with a number for each channel. A
	// trainer's own Config has constants in place of PixelsMeasured.
	Pixels string `json:"pixels"`
	// BatchSize is the number of images in a batch, which is a step unless Accumulate says
	// otherwise, 32 if zero. The last batch of an epoch may be shorter.
	BatchSize int `json:"batch_size"`
	// Accumulate is how many batches there are in a step of the optimizer, 1 if zero: their
	// gradients are averaged by image, and only one batch is in memory at a time.
	Accumulate int `json:"accumulate,omitempty"`
	// Shards is to how many shards the images of a batch are dealt, a power of two; 0 and 1 do not
	// deal it. Each shard's gradients are computed by itself, and they are added up in one fixed
	// tree, so that the same Shards give the same bits, whoever computes which. Losses, masks,
	// mixing, clipping, the optimizer's step and, unless BatchNorm says otherwise, normalisation
	// are the whole batch's.
	Shards int `json:"shards,omitempty"`
	// BatchNorm is whose statistics batch normalisation trains with: a batch's if empty or
	// BatchNormBatch, or of a batch that is dealt each shard's (BatchNormShard); then running
	// statistics are the mean of what the shards have.
	BatchNorm string `json:"batch_norm,omitempty"`
	// Epochs is the number of passes over the training set, 10 if zero. With
	// UntilLoss or Patience it is the cap.
	Epochs int `json:"epochs"`
	// UntilLoss stops after the first epoch whose mean loss, penalties
	// included, is below it. 0 means no such rule.
	UntilLoss float64 `json:"until_loss,omitempty"`
	// ValidationFraction of the training set is held out, to watch the loss on;
	// 0 holds out nothing.
	ValidationFraction float64 `json:"validation_fraction,omitempty"`
	// Patience stops once the measure that Best names has not been better for that many
	// epochs, and goes back to the weights of the best one. 0 means no such
	// rule.
	Patience int `json:"patience,omitempty"`
	// Best names the measure of an epoch (BestNames) by which the best weights are kept:
	// the run comes to those of the epoch where it was best, and Patience watches it. With
	// Patience it is BestValidationLoss if empty; without, nothing is kept then.
	Best string `json:"best,omitempty"`
	// Optimizer is the update rule.
	Optimizer OptimizerConfig `json:"optimizer"`
	// Schedule is how the learning rate goes over the steps, constant if zero.
	Schedule Schedule `json:"schedule,omitzero"`
	// ClipNorm limits the norm of all gradients together, penalties' included; 0 does not.
	ClipNorm float64 `json:"clip_norm,omitempty"`
	// EMA keeps an average of the weights over the steps, which is what the run comes to;
	// none if zero.
	EMA EMA `json:"ema,omitzero"`
	// Augmentation changes the training images, not at all if empty. What an image becomes
	// is a function of Seed, the epoch and the image's index in the training set, so that
	// it depends neither on the batches nor on threads, and a resumed run sees what an
	// unbroken one does. Evaluation sees the images as they are.
	Augmentation augment.Record `json:"augmentation,omitzero"`
	// Loss is what is made small, the mean cross-entropy if zero.
	Loss Loss `json:"loss,omitzero"`
	// Sampling is how an epoch's images are chosen: SamplingShuffled, used if empty, or
	// SamplingBalanced.
	Sampling string `json:"sampling,omitempty"`
	// Mix makes one training image of two, not at all if zero.
	Mix Mix `json:"mix,omitzero"`
	// ParameterPenalty is added to the loss over the parameters that are trained:
	// λ1·Σ‖p‖₁ + λ2·Σ‖p‖₂.
	ParameterPenalty Penalty `json:"parameter_penalty"`
	// Freeze are names of parameters that stay as they are, or of their layers; * stands for any
	// text, as in layer1.* or *.bias. The word head is the classifier (builder.Network.Head), and
	// trunk all else. Nothing is computed for them on the way back. Statistics of batch
	// normalisation are no parameters: FreezeStatistics keeps those.
	Freeze []string `json:"freeze,omitempty"`
	// FineTune is how a network that has learned elsewhere is trained on.
	FineTune FineTune `json:"fine_tune,omitzero"`
	// Decay is what weight decay and ParameterPenalty are of: DecayAll, used if empty, or
	// DecayWeights.
	Decay string `json:"decay,omitempty"`
	// ActivationPenalties are added to the loss for the outputs of the named
	// layers: the batch's mean of λ1·Σ|a| + λ2·Σa².
	ActivationPenalties map[string]Penalty `json:"activation_penalties,omitempty"`
	// Seed decides the initial weights, the shuffles, the dropout masks, the
	// augmentation and the validation split.
	Seed uint64 `json:"seed"`
	// Engine is native or gorgonia; builder.DefaultEngine if empty.
	Engine string `json:"engine"`
	// Threads is the number of threads that the native engine computes on, one
	// for each core if 0. It does not change the results.
	Threads int `json:"-"`
	// Device is where the steps are computed, on this CPU if nil. It is not part of
	// a run's identity: a run can go on on another device, where sums are rounded
	// in another order. It needs the native engine.
	Device device.Device `json:"-"`
	// Precision is what the steps' products are computed in: PrecisionFloat32, used if empty,
	// PrecisionTF32, which needs a Device that has it, or PrecisionBF16, which needs such a Device or
	// a CPU that has it (CheckCPU).
	Precision string `json:"precision,omitempty"`
	// Communicator joins the ranks that train the run together; nil if one process does. Each rank
	// has a trainer of its own with the same configuration, network and data, and computes its part of
	// the Shards. It is not part of a run's identity, and neither is the number of ranks.
	Communicator Communicator `json:"-"`
	// ExchangeTimeout is how long a rank waits for another, DefaultExchangeTimeout if zero. Rank 0
	// reports and saves meanwhile.
	ExchangeTimeout time.Duration `json:"-"`
	// CheckpointEvery saves a checkpoint after that many epochs, 1 if zero.
	CheckpointEvery int `json:"checkpoint_every"`
	// KeepCheckpoints is how many of them stay, 3 if zero.
	KeepCheckpoints int `json:"keep_checkpoints"`
}

// Penalty holds the factors of an L1 and an L2 term of the loss.
type Penalty struct {
	L1 float64 `json:"l1"`
	L2 float64 `json:"l2"`
}

// IsZero reports whether the penalty adds nothing.
func (p Penalty) IsZero() bool { return p == Penalty{} }

// UntilLossEpochs is how many epochs there are at most, in the command and in studies, where
// UntilLoss is given and no number of epochs.
const UntilLossEpochs = 100

// WithDefaults fills in what is zero and reports what is out of range or does
// not fit the network.
func (c Config) WithDefaults(network *builder.Network) (Config, error) {
	c, err := c.withValues()
	if err != nil {
		return c, err
	}
	if err := checkPixels(c.Pixels, network); err != nil {
		return c, err
	}
	if err := c.Loss.ClassWeights.check(network); err != nil {
		return c, err
	}
	if err := c.checkShards(network); err != nil {
		return c, err
	}
	if err := c.checkRanks(); err != nil {
		return c, err
	}
	if err := c.checkTrained(network); err != nil {
		return c, err
	}
	if err := c.checkFineTune(network); err != nil {
		return c, err
	}
	if err := c.checkNames(network); err != nil {
		return c, err
	}
	if c.Device != nil {
		if err := network.CheckDevice(); err != nil {
			return c, fmt.Errorf("device %s: %w", c.Device, err)
		}
		if err := c.CheckDevice(network); err != nil {
			return c, fmt.Errorf("device %s: %w", c.Device, err)
		}
	}
	for layer := range c.ActivationPenalties {
		if _, ok := network.Node(layer); !ok {
			return c, fmt.Errorf("activation penalty: network %s has no layer %q; it has %s", network.Name(),
				layer, strings.Join(layerNames(network), ", "))
		}
	}
	return c, nil
}

// withValues is WithDefaults for any network.
func (c Config) withValues() (Config, error) {
	setDefault(&c.Pixels, PixelsRaw)
	setDefault(&c.BatchSize, 32)
	setDefault(&c.Epochs, 10)
	setDefault(&c.CheckpointEvery, 1)
	setDefault(&c.KeepCheckpoints, 3)
	setDefault(&c.Engine, builder.DefaultEngine)
	if !slices.Contains(builder.EngineNames(), c.Engine) {
		return c, wrongSetting("engine", "unknown engine %q; there are %s", c.Engine,
			strings.Join(builder.EngineNames(), ", "))
	}
	if c.Device != nil && c.Engine != builder.EngineNative {
		return c, fmt.Errorf("engine %s computes on the CPU alone; device %s needs engine %s", c.Engine,
			c.Device, builder.EngineNative)
	}
	optimizer, err := c.Optimizer.withDefaults()
	if err != nil {
		return c, err
	}
	c.Optimizer = optimizer
	if err := c.checkNumbers(); err != nil {
		return c, err
	}
	if c.Schedule, err = c.Schedule.withDefaults(c.Epochs); err != nil {
		return c, err
	}
	if c.FineTune, err = c.FineTune.withDefaults(); err != nil {
		return c, err
	}
	if c.Loss, err = c.Loss.withDefaults(); err != nil {
		return c, err
	}
	if err := c.checkSampling(); err != nil {
		return c, err
	}
	if c.Mix, err = c.Mix.withDefaults(); err != nil {
		return c, err
	}
	if err := c.checkBest(); err != nil {
		return c, err
	}
	if err := c.checkShardValues(); err != nil {
		return c, err
	}
	for _, check := range []func() error{c.EMA.check, c.checkClip, c.checkAccumulate, c.checkDecay,
		c.checkFreezing, c.checkPenalties} {
		if err := check(); err != nil {
			return c, err
		}
	}
	if err := c.checkPrecision(); err != nil {
		return c, err
	}
	if c.Accumulate == 1 {
		c.Accumulate = 0 // the default, of which a run's record says nothing
	}
	if what := c.CPUOnly(); c.Device != nil && what != "" {
		return c, fmt.Errorf("%s computed on the CPU alone, not on device %s; train with -device cpu",
			what, c.Device)
	}
	return c, nil
}

// checkNumbers reports a number that is out of range.
func (c Config) checkNumbers() error {
	if c.Pixels != PixelsMeasured {
		if _, _, _, err := parsePixels(c.Pixels); err != nil {
			return &SettingError{"pixels", err}
		}
	}
	switch {
	case c.BatchSize < 1:
		return wrongSetting("batch_size", "batch size %d; at least 1 is needed", c.BatchSize)
	case c.Epochs < 1:
		return wrongSetting("epochs", "%d epochs; at least 1 is needed", c.Epochs)
	case c.UntilLoss < 0:
		return wrongSetting("until_loss", "loss threshold %v is negative; no loss is ever below it",
			c.UntilLoss)
	case !finite(c.UntilLoss):
		return wrongSetting("until_loss", "loss threshold %v is no finite number", c.UntilLoss)
	case !(c.ValidationFraction >= 0 && c.ValidationFraction < 1):
		return wrongSetting("validation_fraction", "validation fraction %v is outside 0 ≤ f < 1",
			c.ValidationFraction)
	case c.Patience < 0:
		return wrongSetting("patience", "patience %d is negative", c.Patience)
	case c.Threads < 0:
		return fmt.Errorf("%d threads; at least 1 is needed, or 0 for one each core", c.Threads)
	case c.CheckpointEvery < 1:
		return wrongSetting("checkpoint_every", "checkpoints: at least 1 epoch between them, not %d",
			c.CheckpointEvery)
	case c.KeepCheckpoints < 1:
		return wrongSetting("keep_checkpoints", "checkpoints: at least 1 kept, not %d", c.KeepCheckpoints)
	}
	return nil
}

// checkPenalties reports a factor of a penalty that is out of range.
func (c Config) checkPenalties() error {
	if err := checkPenalty("parameters", "parameter_penalty", c.ParameterPenalty); err != nil {
		return err
	}
	for _, layer := range slices.Sorted(maps.Keys(c.ActivationPenalties)) {
		if err := checkPenalty("layer "+layer, "activation_penalties",
			c.ActivationPenalties[layer]); err != nil {
			return err
		}
	}
	return nil
}

// CPUOnly names what of the configuration no Device does, empty if there is nothing.
func (c Config) CPUOnly() string {
	switch {
	case c.Optimizer.Name == "muon":
		return "optimizer muon is"
	case c.Accumulate > 1 && !c.Loss.ClassWeights.IsZero():
		return "a step of several batches with class weights is"
	case c.Shards > 1 && !c.Loss.ClassWeights.IsZero():
		return "a batch with class weights that is dealt to shards is"
	case c.FineTune.Features == FeaturesOnce:
		return "a feature that is computed once (-features once) is"
	case c.Precision == PrecisionBF16 && len(c.ActivationPenalties) > 0:
		return "a penalty on activations in bf16 is"
	}
	return ""
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func checkPenalty(of, setting string, penalty Penalty) error {
	// The factor that is wrong, L2 where both are.
	if good := func(factor float64) bool { return factor >= 0 && finite(factor) }; !good(penalty.L2) {
		setting += ".l2"
	} else {
		setting += ".l1"
	}
	if !finite(penalty.L1) || !finite(penalty.L2) {
		return wrongSetting(setting, "penalty of %s: λ1 = %v, λ2 = %v; both must be finite numbers", of,
			penalty.L1, penalty.L2)
	}
	if penalty.L1 < 0 || penalty.L2 < 0 {
		return wrongSetting(setting, "penalty of %s: λ1 = %v, λ2 = %v; neither may be negative", of,
			penalty.L1, penalty.L2)
	}
	return nil
}

func layerNames(network *builder.Network) []string {
	var names []string
	for _, node := range network.Nodes() {
		names = append(names, node.Name)
	}
	return names
}
