package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset/augment"
)

// mixedNormalisations is a network whose normalisations follow, and precede, what does not take
// their sums: joins, poolings, convolutions of groups and of one tap, dense layers, one large and
// one on a map; one is frozen, and one has a convolution with a bias and dropout beside it.
func mixedNormalisations(t *testing.T) *builder.Network {
	t.Helper()
	conv := func(filters, kernel, groups int) builder.Layer {
		return builder.Conv2D{Filters: filters, Kernel: builder.Square(kernel),
			Padding: builder.Square(kernel / 2), Groups: groups, NoBias: groups != 2}
	}
	g := builder.NewGraph("mixed", builder.Shape{3, 14, 10})
	x := g.Then(g.Input(), conv(16, 3, 0), builder.BatchNorm{Frozen: true}, builder.ReLU{})
	y := g.Then(x, conv(16, 3, 2), builder.BatchNorm{}, builder.SiLU{}, builder.Dropout2D{P: 0.2})
	x = g.Then(g.Join(builder.Add{}, x, y), builder.BatchNorm{}, builder.ReLU{}, conv(24, 1, 0),
		builder.BatchNorm{}, builder.ReLU6{}, builder.MaxPool2D{Kernel: builder.Square(2)},
		builder.BatchNorm{}, conv(33, 1, 0), builder.BatchNorm{})
	x = g.Then(x, builder.GlobalAvgPool{}, builder.Dense{Units: 130}, builder.Flatten{},
		builder.BatchNorm{}, builder.ReLU{}, builder.Dense{Units: 140, NoBias: true},
		builder.BatchNorm{Frozen: true}, builder.ReLU{}, builder.Dropout{P: 0.4})
	network, err := g.Network(g.Then(x, builder.Dense{Units: 10}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// Shards that are normalised together and go forward and back as one batch have the bits of shards
// in lockstep, with a last batch that is dealt unevenly.
func TestJoinedShardsThatAreNormalised(t *testing.T) {
	resnet, err := zoo.New("resnet20", builder.Shape{3, 16, 16}, 10)
	if err != nil {
		t.Fatal(err)
	}
	mobile, err := zoo.New("mobilenet_v2", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []*builder.Network{resnet, mobile, normalisedNetwork(t),
		mixedNormalisations(t)} {
		t.Run(network.Name(), func(t *testing.T) {
			in := network.Input()
			joinedAndSingle(t, network, coloured(t, 37, in[1], in[2]), Config{BatchSize: 32, Seed: 5})
		})
	}
}

// So it is whatever the recipe.
func TestJoinedRecipesWithBatchNorm(t *testing.T) {
	recipes := tenClasses()
	recipes["clipped"] = func(c *Config) { c.ClipNorm = 0.1 }
	recipes["augmented"] = func(c *Config) { c.Augmentation = augment.Record{augment.Flip{}} }
	for _, name := range []string{"conv1", "bn1.weight", "bn3", "bn7.bias", "fc1.weight"} {
		recipes["frozen "+name] = func(c *Config) { c.Freeze = []string{name} }
	}
	for threads := 1; threads <= 3; threads++ {
		recipes[fmt.Sprint("threads ", threads)] = func(c *Config) { c.Threads = threads }
	}
	network, set := mixedNormalisations(t), coloured(t, 53, 14, 10)
	for name, change := range recipes {
		t.Run(name, func(t *testing.T) {
			config := Config{BatchSize: 16, Seed: 3}
			change(&config)
			joinedAndSingle(t, network, set, config)
		})
	}
}

// Normalisations that are all frozen are joined, too.
func TestJoinedFrozenBatchNorm(t *testing.T) {
	network, err := FreezeStatistics(normalisedNetwork(t), []string{"*"}, "")
	if err != nil {
		t.Fatal(err)
	}
	joinedAndSingle(t, network, coloured(t, 37, 9, 8), Config{BatchSize: 16, Seed: 5})
}

// Ranks that join their shards, and those that have one each, are one run, whatever the threads.
func TestJoinedShardsWithBatchNormOnRanks(t *testing.T) {
	network, set := mixedNormalisations(t), coloured(t, 37, 14, 10)
	config := Config{BatchSize: 16, Epochs: 1, Shards: 8, Seed: 1,
		Augmentation: augment.Record{augment.Flip{}},
		Optimizer:    OptimizerConfig{Name: "sgd", LearningRate: 0.1, Momentum: 0.9}}
	var digests []string
	for _, ranks := range []int{1, 2, 4, 8} {
		config.Threads = 1 + ranks%3
		start := func(config Config) (*Trainer, error) {
			trainer, err := New(network, set, config, nil)
			if err == nil && ranks == 1 {
				trainer.shards.single = len(digests) == 0 // lockstep first
			}
			return trainer, err
		}
		for range max(1, 3-ranks) {
			for _, c := range fitOnRanks(t, ranks, start, config) {
				digests = append(digests, digestOfRun(t, c))
			}
		}
	}
	if len(slices.Compact(digests)) > 1 {
		t.Errorf("digests %v", digests)
	}
}

// One image whose convolution overflows in Winograd's filtering, and not without, is no matter of
// other shards' bits, on one rank and on several.
func TestAnOverflowBetweenNormalisations(t *testing.T) {
	conv := builder.Conv2D{Filters: 16, Kernel: builder.Square(3), Padding: builder.Square(1),
		NoBias: true}
	network, err := builder.New("overflow", builder.Shape{1, 12, 12}, conv, builder.ReLU{}, conv,
		builder.ReLU{}, builder.BatchNorm{}, conv, builder.BatchNorm{}, builder.Flatten{},
		builder.Dense{Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	weights := network.InitialWeights(3)
	for i := range weights[0].Data {
		weights[0].Data[i] = float32(math.Abs(float64(weights[0].Data[i])))
	}
	for i := range 16 * 9 { // the first filter of the second convolution
		weights[1].Data[i] = -3e36
	}
	set := oneBright(t, 32)
	var digests []string
	for _, run := range []struct {
		ranks  int
		single bool
	}{{1, true}, {1, false}, {2, false}, {4, false}, {8, false}} {
		config := Config{BatchSize: set.Len(), Shards: 8, Seed: 3, Epochs: 1, Pixels: PixelsUnit, Threads: 1}
		for _, c := range fitOnRanks(t, run.ranks, func(config Config) (*Trainer, error) {
			trainer, err := New(network, set, config, weights)
			if err == nil {
				trainer.shards.single = trainer.shards.single || run.single
			}
			return trainer, err
		}, config) {
			digests = append(digests, digestOfRun(t, c))
		}
	}
	if len(slices.Compact(digests)) > 1 {
		t.Errorf("digests %v", digests)
	}
}

// A rank that cannot read an image of a step whose shards are joined tells the others, who wait at
// the first normalisation.
func TestARankThatFailsBeforeJoinedNormalisations(t *testing.T) {
	network := mixedNormalisations(t)
	steps, own := make([]int, 2), 0
	for rank, err := range onRanks(2, func(rank *LocalRank) error {
		source := &failing{Source: coloured(t, 32, 14, 10), index: 7, epoch: 1,
			err: errors.New("it is gone")}
		config := Config{BatchSize: 16, Epochs: 2, Shards: 8, Seed: 1, Threads: 1, Communicator: rank,
			ExchangeTimeout: 30 * time.Second}
		trainer, err := New(network, source, config, nil)
		if err != nil {
			return err
		}
		defer trainer.Close()
		err = trainer.Fit(t.Context(), Callbacks{})
		if joined := joinedPrograms(trainer); !slices.Equal(joined, []int{4}) {
			t.Errorf("rank %d joined its shards by %v", rank.Rank(), joined)
		}
		steps[rank.Rank()] = trainer.Progress().Step
		return err
	}) {
		var failed *OwnError
		if errors.As(err, &failed) {
			own++
		}
		if err == nil || !OnAllRanks(err) || !strings.Contains(err.Error(), "it is gone") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
	if own != 1 || steps[0] != steps[1] || steps[0] < 2 {
		t.Errorf("%d ranks failed, after steps %v", own, steps)
	}
}

// Shards whose images are together too many for a layer's plan go by themselves, as they do on
// ranks that have one each.
func TestShardsThatAreTooLargeTogether(t *testing.T) {
	network, err := builder.New("large", builder.Shape{3, 256, 256}, builder.Flatten{},
		builder.Dense{Units: 10}, builder.BatchNorm{})
	if err != nil {
		t.Fatal(err)
	}
	config, set := Config{BatchSize: 176, Seed: 5}, coloured(t, 176, 256, 256)
	got, joined := epochOf(t, network, set, config, false)
	want, _ := epochOf(t, network, set, config, true)
	if len(joined) > 0 {
		t.Errorf("shards were joined by %v", joined)
	}
	equalWeights(t, got.Weights, want.Weights)
}
