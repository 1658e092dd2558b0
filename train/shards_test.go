package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// stepOf returns what a step of the first images of an epoch comes to: its figures, and its
// gradients in the public layout.
func stepOf(t *testing.T, trainer *Trainer, images int) (batchResult, [][]float32) {
	t.Helper()
	indices := trainer.batches.Order(0)[:images]
	result, err := trainer.gradients(t.Context(),
		feed{trainer.augmented, trainer.trainingInfo, indices, 0})
	if err != nil {
		t.Fatal(err)
	}
	var gradients [][]float32
	trained := trainer.phase.trained(trainer.network)
	for i, pair := range result.model {
		value, err := pair.Grad()
		if err != nil {
			t.Fatal(err)
		}
		place := trainer.variables.Learned()[trained[i]]
		gradients = append(gradients,
			trainer.variables.ToPublic(place, value.(*tensor.Dense).Float32s()))
	}
	return result, gradients
}

// sameStep compares steps to a tolerance of rounding.
func sameStep(t *testing.T, got, want batchResult, gotGradients, wantGradients [][]float32) {
	t.Helper()
	if math.Abs(got.total-want.total) > 1e-5*want.total ||
		math.Abs(got.data-want.data) > 1e-5*want.data || got.correct != want.correct {
		t.Errorf("loss %v, of the data %v, %d right; want %v, %v, %d",
			got.total, got.data, got.correct, want.total, want.data, want.correct)
	}
	for place, gradient := range wantGradients {
		worst, scale := 0.0, 0.0
		for k, value := range gradient {
			worst = max(worst, math.Abs(float64(gotGradients[place][k]-value)))
			scale = max(scale, math.Abs(float64(value)))
		}
		if worst > 2e-5*scale {
			t.Errorf("gradient %d: %g off, of at most %g", place, worst, scale)
		}
	}
}

// What is of a batch stays of the whole batch when it is dealt, but for rounding: the loss,
// weighted or not, dropout's masks, pairs that are mixed, drawn and augmented images, and
// penalties; of even shards, of uneven ones, of a short batch that leaves some empty, in parts, and
// of several batches a step.
func TestShardsComeToTheWholeBatch(t *testing.T) {
	e2, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	tiny, err := builder.New("tiny", builder.Shape{1, 28, 28},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(4), Stride: builder.Square(4)}, builder.ReLU{},
		builder.Flatten{}, builder.Dense{Name: "fc1", Units: 12}, builder.ReLU{},
		builder.Dropout{P: 0.3}, builder.Dense{Name: "fc2", Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	cases, set := tenClasses(), datasettest.Digits(t, 300)
	cases["plain"] = func(*Config) {}
	type step struct{ shards, batch, accumulate, images int }
	all := []step{{8, 32, 0, 31}, {4, 16, 2, 29}}
	even := []step{{2, 32, 0, 32}, {16, 40, 0, 5}, {2, 140, 0, 140}, {4, 16, 3, 48}}
	for name, change := range cases {
		steps := all
		if name == "plain" {
			steps = append(steps, even...)
		}
		for _, step := range steps {
			t.Run(fmt.Sprint(name, step), func(t *testing.T) {
				network := tiny
				if step.batch > partStep*2 {
					network = e2 // whose shards are in parts
				}
				trainer := func(shards int) *Trainer {
					return penalisedTrainerFor(t, network, set, step.batch, func(c *Config) {
						change(c)
						c.Shards, c.Accumulate = shards, step.accumulate
					})
				}
				got, gotGradients := stepOf(t, trainer(step.shards), step.images)
				want, wantGradients := stepOf(t, trainer(1), step.images)
				sameStep(t, got, want, gotGradients, wantGradients)
			})
		}
	}
}

// Shards on the kernels are the reference's whole batch, over a run with a short last batch.
func TestShardsAgainstTheReference(t *testing.T) {
	fit := func(engine string, shards int) *Trainer {
		config := smallConfig(engine)
		config.Shards, config.ClipNorm = shards, 0.5
		config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 0.05, Momentum: 0.9}
		trainer := newSmallTrainer(t, config)
		t.Cleanup(trainer.Close)
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		return trainer
	}
	want := fit(builder.EngineGorgonia, 0)
	for _, engine := range builder.EngineNames() {
		for _, shards := range []int{2, 8} {
			got := fit(engine, shards)
			sameWeights(t, got.Weights(), want.Weights(), 1e-4)
			for i, epoch := range got.Progress().History {
				reference := want.Progress().History[i]
				if math.Abs(epoch.MeanLoss-reference.MeanLoss) > 1e-5 ||
					math.Abs(*epoch.GradientNorm-*reference.GradientNorm) > 1e-4 {
					t.Errorf("%s, %d shards: epoch %+v, want %+v", engine, shards, epoch, reference)
				}
			}
		}
	}
}

// A run of shards has the same bits on any threads, also where it is broken off and resumed.
func TestShardsHaveTheSameBits(t *testing.T) {
	set := datasettest.Bars(t, 60)
	for name, network := range map[string]*builder.Network{
		"small": smallNetwork(t), "normalised": smallNormalised(t),
	} {
		t.Run(name, func(t *testing.T) {
			config := smallConfig(builder.EngineNative)
			config.Shards, config.Threads = 4, 1
			resumesBitForBit(t, network, set, config, 3)
		})
	}
}

// With BatchNorm by shard, a step's gradient is the mean of what the shards come to by themselves,
// by their images, and so are the running statistics.
func TestBatchNormByShard(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		set := datasettest.Bars(t, 60)
		trainerOf := func(batch, shards int, weights builder.Weights) *Trainer {
			config := smallConfig(engine)
			config.BatchSize, config.Shards = batch, shards
			if shards > 1 {
				config.BatchNorm = BatchNormShard
			}
			config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: 0.5}
			network, err := builder.New("plain", builder.Shape{1, 6, 6},
				builder.Conv2D{Filters: 3, Kernel: builder.Square(3)}, builder.BatchNorm{},
				builder.ReLU{}, builder.Flatten{}, builder.Dense{Units: 3})
			if err != nil {
				t.Fatal(err)
			}
			trainer, err := New(network, set, config, weights)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(trainer.Close)
			return trainer
		}
		for _, images := range []int{16, 13} { // 13 are dealt 3, 3, 3 and 4
			dealt := trainerOf(16, 4, nil)
			start := dealt.Weights()
			indices := dealt.batches.Order(0)[:images]
			if err := dealt.step(t.Context(), indices); err != nil {
				t.Fatal(err)
			}
			sums := make([][]float64, len(start))
			for shard := range 4 {
				first, end := shard*images/4, (shard+1)*images/4
				alone := trainerOf(16, 1, start)
				if err := alone.step(t.Context(), indices[first:end]); err != nil {
					t.Fatal(err)
				}
				for i, tensor := range alone.Weights() {
					if sums[i] == nil {
						sums[i] = make([]float64, len(tensor.Data))
					}
					for k, value := range tensor.Data {
						sums[i][k] += float64(end-first) / float64(images) * float64(value)
					}
				}
			}
			want := start.Clone()
			for i := range want {
				for k := range want[i].Data {
					want[i].Data[k] = float32(sums[i][k])
				}
			}
			sameWeights(t, dealt.Weights(), want, 1e-5)
		}
	})
}

// Statistics that are frozen stay to the bit, beside others that are learned, also where shards
// have unequal shares.
func TestFrozenStatisticsStayInShards(t *testing.T) {
	network, err := builder.New("half", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)},
		builder.BatchNorm{Name: "kept", Frozen: true},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(3)}, builder.BatchNorm{Name: "learned"},
		builder.ReLU{}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range BatchNormModes() {
		t.Run(by, func(t *testing.T) { frozenStatisticsStay(t, network, by) })
	}
}

func frozenStatisticsStay(t *testing.T, network *builder.Network, batchNorm string) {
	config := smallConfig(builder.EngineNative)
	config.BatchSize, config.Shards, config.BatchNorm = 13, 8, batchNorm
	start := network.InitialWeights(1)
	for _, tensor := range start {
		for i := range tensor.Data {
			tensor.Data[i] += 0.1 // no power of two
		}
	}
	trainer, err := New(network, datasettest.Bars(t, 60), config, start)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	for i, tensor := range trainer.Weights() {
		if !strings.Contains(tensor.Name, "running_") {
			continue
		}
		if kept := strings.HasPrefix(tensor.Name, "kept."); slices.Equal(tensor.Data,
			start[i].Data) != kept {
			t.Errorf("%s: %v, was %v", tensor.Name, tensor.Data, start[i].Data)
		}
	}
}

// A step that is interrupted between two shards leaves nothing, statistics included, and the next
// one is as if it had not been.
func TestAStepInterruptedBetweenShards(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		for _, by := range BatchNormModes() {
			t.Run(by, func(t *testing.T) { stepInterrupted(t, engine, by) })
		}
	})
}

func stepInterrupted(t *testing.T, engine, batchNorm string) {
	trainerOf := func() *Trainer {
		config := smallConfig(engine)
		config.BatchSize, config.Shards, config.BatchNorm = 16, 8, batchNorm
		trainer, err := New(smallNormalised(t), datasettest.Bars(t, 60), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(trainer.Close)
		return trainer
	}
	broken, whole := trainerOf(), trainerOf()
	order := broken.batches.Order(0)
	looked := 6
	if batchNorm == BatchNormBatch {
		looked = 1 // at the normalisation, forward and back
	}
	for looks := range looked {
		before := broken.Checkpoint()
		ctx := &endsAfter{Context: t.Context(), looks: looks + 1}
		if err := broken.step(ctx, order[:16]); !errors.Is(err, errStepInterrupted) {
			t.Fatalf("%d looks: the step returned %v", looks, err)
		}
		equalWeights(t, broken.Checkpoint().Weights, before.Weights)
	}
	for _, trainer := range []*Trainer{broken, whole} {
		if err := trainer.step(t.Context(), order[:16]); err != nil {
			t.Fatal(err)
		}
	}
	equalWeights(t, broken.Weights(), whole.Weights())
}

// The record of a run without shards is that of before there were any.
func TestOneShardIsNoSetting(t *testing.T) {
	var records [][]byte
	for _, shards := range []int{0, 1} {
		config := smallConfig(builder.DefaultEngine)
		config.Shards = shards
		config, err := config.WithDefaults(smallNetwork(t))
		if err != nil {
			t.Fatal(err)
		}
		record, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	if !bytes.Equal(records[0], records[1]) || bytes.Contains(records[0], []byte("shard")) ||
		bytes.Contains(records[0], []byte("batch_norm")) {
		t.Errorf("%s and %s", records[0], records[1])
	}
}

// wholeBatch is a layer of one's own that wants the batch.
type wholeBatch struct {
	double
	Name string `json:"name"`
}

func (wholeBatch) Kind() string { return "WholeBatch" }

func (l wholeBatch) Infer(inputs []builder.Shape) (builder.Inferred, error) {
	return builder.Inferred{Layer: l, Output: inputs[0], WholeBatch: true}, nil
}

func TestShardsReject(t *testing.T) {
	small, normalised := smallNetwork(t), smallNormalised(t)
	together, err := builder.New("together", builder.Shape{1, 6, 6}, builder.Flatten{},
		wholeBatch{Name: "own"}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		network *builder.Network
		change  func(*Config)
	}{
		"3 shards; their number is a power of two":     {small, func(c *Config) { c.Shards = 3 }},
		"-2 shards; their number is a power of two":    {small, func(c *Config) { c.Shards = -2 }},
		"16 shards of a batch of 8 images, of which 8": {small, func(c *Config) { c.Shards = 16 }},
		"8 shards of a batch of 8 images, of which 4": {small, func(c *Config) {
			c.Shards, c.Mix.MixUp = 8, 1
		}},
		"layer own (WholeBatch) computes the images of a batch together, and of 2 shards each is computed by " +
			"itself": {together, func(c *Config) { c.Shards = 2 }},
		"has no BatchNorm that learns statistics": {small, func(c *Config) {
			c.Shards, c.BatchNorm = 2, BatchNormShard
		}},
		"applies to batches that are dealt to shards alone": {normalised, func(c *Config) {
			c.BatchNorm = BatchNormShard
		}},
		`statistics of BatchNorm by "rank"`: {normalised, func(c *Config) {
			c.Shards, c.BatchNorm = 2, "rank"
		}},
		"a batch with class weights that is dealt to shards is computed on the CPU alone": {small,
			func(c *Config) {
				c.Shards, c.Device = 2, noDevice{}
				c.Loss.ClassWeights = ClassWeights{Values: []float64{1, 2, 1}}
			}},
		"and the shards of a batch exchange none on a GPU: have each shard be normalised by itself (-batchnorm " +
			"shard), or train on the CPU (-device cpu), or without shards": {normalised, func(c *Config) {
			c.Shards, c.Device = 2, noDevice{}
		}},
		"device none trains in one process, and there are 2 ranks": {small, func(c *Config) {
			c.Shards, c.Device, c.Communicator = 2, noDevice{}, LocalRanks(2)[0]
		}},
	}
	for _, want := range slices.Sorted(maps.Keys(cases)) {
		config := smallConfig(builder.EngineNative)
		cases[want].change(&config)
		_, err := config.WithDefaults(cases[want].network)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A steady step of shards allocates what the machine's runs do.
func TestSteadyStepOfShardsAllocatesNothingOfOurs(t *testing.T) {
	const shards = 4
	trainer := penalisedTrainerOf(t, 32, func(c *Config) { c.Shards = shards })
	indices := trainer.batches.Order(0)[:32]
	step := func() {
		if err := trainer.step(t.Context(), indices); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		step()
	}
	program, err := trainer.program(32/shards, true)
	if err != nil {
		t.Fatal(err)
	}
	machine := fewestAllocations(func() {
		if err := program.run(); err != nil {
			t.Fatal(err)
		}
	})
	if whole := fewestAllocations(step); whole != shards*machine {
		t.Errorf("a step allocates %v times, of which the TapeMachine's %d runs %v", whole, shards,
			shards*machine)
	}
}

// A plan of a grouped convolution is given each group's weights in turn, also while those of a step
// are kept for its shards.
func TestGroupedConvolutionsInShards(t *testing.T) {
	network, err := builder.New("grouped", builder.Shape{1, 28, 28},
		builder.Conv2D{Filters: 32, Kernel: builder.Square(4), Stride: builder.Square(4)}, builder.ReLU{},
		builder.Conv2D{Filters: 32, Kernel: builder.Square(3), Padding: builder.Square(1), Groups: 2,
			NoBias: true},
		builder.ReLU{}, builder.Conv2D{Filters: 8, Kernel: builder.Square(1), Groups: 4},
		builder.Flatten{},
		builder.Dense{Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	set := datasettest.Digits(t, 60)
	trainer := func(shards int) *Trainer {
		return penalisedTrainerFor(t, network, set, 32, func(c *Config) { c.Shards = shards })
	}
	got, gotGradients := stepOf(t, trainer(4), 32)
	want, wantGradients := stepOf(t, trainer(1), 32)
	sameStep(t, got, want, gotGradients, wantGradients)
}
