package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/collective"
	"slipway/internal/datasettest"
)

// onRanks runs a function on each of so many ranks of this process, and returns their errors.
func onRanks(ranks int, do func(rank *LocalRank) error) []error {
	failures := make([]error, ranks)
	var all sync.WaitGroup
	for _, rank := range LocalRanks(ranks) {
		all.Go(func() {
			defer rank.Close()
			failures[rank.Rank()] = do(rank)
		})
	}
	all.Wait()
	return failures
}

// fitOnRanks trains on so many ranks, and returns the checkpoint of each.
func fitOnRanks(t *testing.T, ranks int, start func(config Config) (*Trainer, error),
	config Config) []*Checkpoint {
	t.Helper()
	checkpoints := make([]*Checkpoint, ranks)
	for rank, err := range onRanks(ranks, func(rank *LocalRank) error {
		config := config
		config.Communicator = rank
		trainer, err := start(config)
		if err != nil {
			return err
		}
		defer trainer.Close()
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			return err
		}
		checkpoints[rank.Rank()] = trainer.Checkpoint()
		return nil
	}) {
		if err != nil {
			t.Fatalf("rank %d of %d: %v", rank, ranks, err)
		}
	}
	return checkpoints
}

// digestOfRun is that of the weights, the averaged ones, and the figures of the epochs.
func digestOfRun(t *testing.T, c *Checkpoint) string {
	t.Helper()
	sum := sha256.New()
	for _, weights := range []builder.Weights{c.Weights, c.Average, c.OptimizerState["exp_avg"]} {
		for _, tensor := range weights {
			if err := binary.Write(sum, binary.LittleEndian, tensor.Data); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, epoch := range c.Progress.History {
		epoch.Seconds, epoch.ImagesPerSecond = 0, 0
		validation := ""
		if epoch.ValidationLoss != nil {
			validation = fmt.Sprint(*epoch.ValidationLoss, *epoch.ValidationAccuracy)
		}
		fmt.Fprintln(sum, epoch.MeanLoss, epoch.LastLoss, epoch.MeanCrossEntropy, epoch.TrainAccuracy,
			validation)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:8])
}

// runs are what ranks share in tests: the experiments' network, a graph with BatchNorm, and
// everything that knows of the batch, all with a short last batch.
func runs(t *testing.T) map[string]struct {
	network *builder.Network
	set     *dataset.Set
	config  Config
} {
	t.Helper()
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	graph := builder.NewGraph("residual", builder.Shape{1, 6, 6})
	conv := func(name string) builder.Layer {
		return builder.Conv2D{Name: name, Filters: 4, Kernel: builder.Square(3),
			Padding: builder.Square(1), NoBias: true}
	}
	x := graph.Then(graph.Input(), conv("stem"), builder.BatchNorm{Name: "bn0"},
		builder.ReLU{Name: "relu0"})
	y := graph.Then(x, conv("a"), builder.BatchNorm{Name: "bn1"}, builder.ReLU{Name: "relu1"},
		conv("b"), builder.BatchNorm{Name: "bn2"})
	x = graph.Then(graph.Join(builder.Add{Name: "add"}, y, x), builder.ReLU{Name: "relu"},
		builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dropout{P: 0.2},
		builder.Dense{Name: "fc", Units: 3})
	residual, err := graph.Network(x)
	if err != nil {
		t.Fatal(err)
	}
	trunk, err := builder.New("trunk", builder.Shape{1, 6, 6},
		builder.Conv2D{Name: "kept", Filters: 2, Kernel: builder.Square(3)}, builder.ReLU{},
		conv("learned"), builder.BatchNorm{}, builder.ReLU{}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	wide, err := builder.New("wide", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 14_000}, builder.ReLU{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got := collective.Pieces(wide.ParameterCount(), 2); got != 2 {
		t.Fatalf("gradients of two ranks go in %d pieces, want 2", got)
	}
	everything := smallConfig(builder.EngineNative)
	everything.BatchSize, everything.Accumulate, everything.Shards, everything.Epochs = 16, 2, 8, 3
	everything.Mix, everything.ClipNorm, everything.EMA = Mix{MixUp: 1}, 0.5, EMA{Decay: 0.9}
	everything.Loss = Loss{Smoothing: 0.1, ClassWeights: ClassWeights{Balanced: true}}
	everything.Sampling, everything.ValidationFraction = SamplingBalanced, 0.2
	everything.Augmentation = augment.Record{augment.Shift{Pixels: 1}}
	everything.ParameterPenalty = Penalty{L1: 1e-3, L2: 1e-3}
	return map[string]struct {
		network *builder.Network
		set     *dataset.Set
		config  Config
	}{
		"e1": {e1, datasettest.Digits(t, 75), Config{BatchSize: 32, Epochs: 2, Seed: 1, Shards: 8}},
		"in pieces": {wide, datasettest.Bars(t, 36),
			Config{BatchSize: 16, Epochs: 2, Seed: 4, Shards: 4, Pixels: PixelsUnit}},
		"residual by shard": {residual, datasettest.Bars(t, 60),
			Config{BatchSize: 16, Epochs: 3, Seed: 2, Shards: 8, BatchNorm: BatchNormShard,
				Pixels: PixelsUnit}},
		// The last batch of an epoch has 5 images: 8 ranks have none or one.
		"residual": {residual, datasettest.Bars(t, 53),
			Config{BatchSize: 16, Epochs: 3, Seed: 2, Shards: 8, Pixels: PixelsUnit,
				Augmentation: augment.Record{augment.Shift{Pixels: 1}}}},
		"residual, several batches": {residual, datasettest.Bars(t, 53),
			Config{BatchSize: 8, Accumulate: 3, Epochs: 2, Seed: 3, Shards: 4, Pixels: PixelsUnit,
				Mix:  Mix{MixUp: 1},
				Loss: Loss{ClassWeights: ClassWeights{Balanced: true}}}},
		// What kept gives is computed once, also by a rank that has none of the last 5 images.
		"frozen trunk": {trunk, datasettest.Bars(t, 53),
			Config{BatchSize: 16, Epochs: 2, Seed: 3, Shards: 8, Pixels: PixelsUnit,
				Freeze: []string{"kept"}}},
		"everything": {smallNetwork(t), datasettest.Bars(t, 60), everything},
	}
}

// A run's bits are a function of its shards and not of its ranks, on every rank.
func TestRanksDoNotChangeTheBits(t *testing.T) {
	for name, run := range runs(t) {
		t.Run(name, func(t *testing.T) {
			want := ""
			for _, ranks := range []int{1, 2, 4, 8} {
				config := run.config
				if ranks > config.Shards {
					continue
				}
				config.Threads = 1 + ranks%3
				for rank, c := range fitOnRanks(t, ranks, func(config Config) (*Trainer, error) {
					return New(run.network, run.set, config, nil)
				}, config) {
					got := digestOfRun(t, c)
					if want == "" {
						want = got
					}
					if got != want {
						t.Errorf("rank %d of %d: %s, want %s", rank, ranks, got, want)
					}
				}
			}
		})
	}
}

// What 2 ranks have saved within an epoch, 1, 2 and 4 go on with, to the bits of the unbroken run.
// The signal reaches one rank, and all stop at the same step.
func TestRanksStopTogetherAndResume(t *testing.T) {
	for name, run := range runs(t) {
		t.Run(name, func(t *testing.T) {
			start := func(config Config) (*Trainer, error) { return New(run.network, run.set, config, nil) }
			want := digestOfRun(t, fitOnRanks(t, 1, start, run.config)[0])
			path := t.TempDir() + "/checkpoint.safetensors"
			steps := make([]int, 2)
			for rank, err := range onRanks(2, func(rank *LocalRank) error {
				config := run.config
				config.Communicator = rank
				trainer, err := start(config)
				if err != nil {
					return err
				}
				defer trainer.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				callbacks := Callbacks{Step: func(report StepReport) error {
					if rank.Rank() == 1 && report.Epoch == 2 && report.Step == 1 {
						cancel()
					}
					return nil
				}}
				if rank.Rank() == 0 {
					callbacks.Save = func() error { return WriteCheckpoint(path, trainer.Checkpoint()) }
				}
				err = trainer.Fit(ctx, callbacks)
				steps[rank.Rank()] = trainer.Progress().Step
				return err
			}) {
				if !errors.Is(err, ErrInterrupted) || !OnAllRanks(err) {
					t.Fatalf("rank %d: %v", rank, err)
				}
			}
			if steps[0] != steps[1] {
				t.Fatalf("the ranks stopped after steps %v", steps)
			}
			for _, ranks := range []int{1, 2, 4} {
				resume := func(config Config) (*Trainer, error) {
					checkpoint, err := ReadCheckpoint(path)
					if err != nil {
						return nil, err
					}
					return Resume(checkpoint, run.set, config)
				}
				for rank, c := range fitOnRanks(t, ranks, resume, run.config) {
					if got := digestOfRun(t, c); got != want {
						t.Errorf("resumed by %d ranks, rank %d: %s, want %s", ranks, rank, got, want)
					}
				}
			}
		})
	}
}

func TestRanksThatCannotShareShards(t *testing.T) {
	for want, numbers := range map[string][2]int{
		"3 ranks cannot share shards, whose number is a power of two": {3, 8},
		"2 ranks, and batches that are not dealt":                     {2, 1},
		"8 ranks for 4 shards of a batch":                             {8, 4},
	} {
		for rank, err := range onRanks(numbers[0], func(rank *LocalRank) error {
			config := smallConfig(builder.EngineNative)
			config.Communicator, config.Shards = rank, numbers[1]
			_, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
			return err
		}) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("rank %d: %v, want %q", rank, err, want)
			}
		}
	}
}

// Ranks that are not alike say so before the first step, all of them.
func TestRanksThatDisagree(t *testing.T) {
	small := smallNetwork(t)
	for want, change := range map[string]func(*Config, **dataset.Set){
		"setting optimizer.learning_rate is 0.01 on rank 0 and 0.02 on rank 1": func(c *Config,
			_ **dataset.Set) {
			c.Optimizer.LearningRate = 0.02
		},
		"setting clip_norm is none on rank 0 and 1 on rank 1": func(c *Config, _ **dataset.Set) {
			c.ClipNorm = 1
		},
		"training set is ": func(_ *Config, set **dataset.Set) { *set = datasettest.Bars(t, 61) },
		"engine is native on rank 0 and gorgonia on rank 1; kernel set is ": func(c *Config,
			_ **dataset.Set) {
			c.Engine = builder.EngineGorgonia
		},
		"weights is ": func(c *Config, _ **dataset.Set) { c.Seed = 8 },
	} {
		for rank, err := range onRanks(2, func(rank *LocalRank) error {
			config, set := smallConfig(builder.EngineNative), datasettest.Bars(t, 60)
			config.Communicator, config.Shards = rank, 2
			if rank.Rank() == 1 {
				change(&config, &set)
			}
			trainer, err := New(small, set, config, nil)
			if err != nil {
				return err
			}
			defer trainer.Close()
			return trainer.Fit(t.Context(), Callbacks{Step: func(StepReport) error {
				return errors.New("a step is taken")
			}})
		}) {
			var disagreement *DisagreementError
			if !errors.As(err, &disagreement) || !strings.Contains(err.Error(), want) || !OnAllRanks(err) {
				t.Errorf("rank %d: %v, want %q", rank, err, want)
			}
		}
	}
}

// differ says of which weights sixteen digits of their digests tell.
var differ = regexp.MustCompile("after epoch 1 the weights of rank 2 are [0-9a-f]{16}… " +
	"and those of rank 0 [0-9a-f]{16}…,")

// A rank whose weights are others is found at the epoch's end, before they are saved. Where ranks
// share the optimizer's work, those of before the last step are overwritten.
func TestRanksCompareTheirWeights(t *testing.T) {
	for _, shared := range []string{"", "0"} {
		t.Setenv(SharedMemoryVariable, shared)
		compareWeights(t, func(report StepReport) bool {
			return shared == "" && report.Step == report.Steps || shared == "0" && report.Step == 2
		})
	}
}

func compareWeights(t *testing.T, changes func(report StepReport) bool) {
	t.Helper()
	for rank, err := range onRanks(4, func(rank *LocalRank) error {
		config := smallConfig(builder.EngineNative)
		config.Communicator, config.Shards = rank, 4
		trainer, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
		if err != nil {
			return err
		}
		defer trainer.Close()
		return trainer.Fit(t.Context(), Callbacks{
			Step: func(report StepReport) error {
				if rank.Rank() == 2 && changes(report) {
					trainer.variables.Values()[0].Float32s()[0] *= 1 + 1e-6
				}
				return nil
			},
			Save: func() error { return errors.New("it is saved") },
		})
	}) {
		var disagreement *DisagreementError
		if !errors.As(err, &disagreement) || !differ.MatchString(err.Error()) {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// brokenSource cannot read some image.
type brokenSource struct {
	dataset.Source
	broken int
}

func (b brokenSource) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	for _, i := range indices {
		if i == b.broken {
			return errors.New("the disk is gone")
		}
	}
	return b.Source.Read(ctx, images, labels, indices, epoch)
}

// A rank that cannot read its images ends the run on all at that step, of which nothing stays, and
// what was learned before is saved.
func TestARankThatFails(t *testing.T) {
	set := datasettest.Bars(t, 60)
	saved := 0
	for rank, err := range onRanks(4, func(rank *LocalRank) error {
		config := smallConfig(builder.EngineNative)
		config.Communicator, config.Shards = rank, 8
		// All fail at the image; only the rank in whose shard it is comes to read it.
		trainer, err := New(smallNetwork(t), brokenSource{set, 17}, config, nil)
		if err != nil {
			return err
		}
		defer trainer.Close()
		callbacks := Callbacks{}
		if rank.Rank() == 0 {
			callbacks.Save = func() error { saved++; return nil }
		}
		err = trainer.Fit(t.Context(), callbacks)
		for _, indices := range trainer.batches.Epoch(0, trainer.progress.EpochStep) {
			if !strings.Contains(fmt.Sprint(indices), "17") {
				t.Errorf("rank %d stopped before the step of image 17: %v", rank.Rank(), indices)
			}
			break
		}
		return err
	}) {
		var own *OwnError
		var other *RankError
		if !(errors.As(err, &own) || errors.As(err, &other)) || !OnAllRanks(err) ||
			!strings.Contains(err.Error(), "the disk is gone") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
	if saved != 1 {
		t.Errorf("rank 0 saved %d times", saved)
	}
}

// An exchange that does not come is an error: of a rank that has ended at once, of one that hangs
// after the time that the configuration gives.
func TestARankThatIsSilent(t *testing.T) {
	for want, hangs := range map[string]bool{"exchange with rank 1: rank 1 has left": false,
		"rank 1 has not answered for 50ms": true} {
		release := make(chan struct{})
		failures := onRanks(2, func(rank *LocalRank) error {
			config := smallConfig(builder.EngineNative)
			config.Communicator, config.Shards, config.ExchangeTimeout = rank, 2, time.Hour
			if rank.Rank() == 0 {
				defer close(release)
				if hangs {
					config.ExchangeTimeout = 50 * time.Millisecond
				}
			}
			trainer, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil)
			if err != nil {
				return err
			}
			defer trainer.Close()
			stopped := errors.New("stopped here")
			return trainer.Fit(t.Context(), Callbacks{Step: func(StepReport) error {
				switch {
				case rank.Rank() == 0:
					return nil
				case hangs:
					<-release
				}
				return stopped
			}})
		})
		if err := failures[0]; err == nil || !strings.Contains(err.Error(), want) || OnAllRanks(err) {
			t.Errorf("rank 0: %v, want %q", err, want)
		}
	}
}
