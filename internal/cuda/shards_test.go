//go:build gpu && linux && amd64

package cuda

import (
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
	"slipway/train"
)

// dealtRecipes are runs whose batches are dealt to shards: evenly, unevenly, with a last batch that
// leaves some shards empty, normalised by shard, of several batches a step, and fed.
func dealtRecipes() []recipe {
	bars := func(t testing.TB) *dataset.Set { return datasettest.Bars(t, 60) }
	pictures := func(t testing.TB) *dataset.Set { return colours(t, 44) }
	adamw := train.OptimizerConfig{Name: "adamw", LearningRate: 0.01, WeightDecay: 0.1}

	even := smallConfig()
	even.Shards, even.ValidationFraction = 4, 0.25 // 45 images: 5 steps of 8, one of 5

	uneven := smallConfig() // 13 images to 8 shards, and a last batch of 2: fewer than ranks
	uneven.BatchSize, uneven.Shards, uneven.ClipNorm = 13, 8, 0.3
	uneven.Optimizer, uneven.EMA = adamw, train.EMA{Decay: 0.9}
	uneven.ParameterPenalty = train.Penalty{L1: 0.001, L2: 0.001}
	fewer := func(t testing.TB) *dataset.Set { return datasettest.Bars(t, 54) }

	several := smallConfig()
	several.Shards, several.BatchSize, several.Accumulate = 4, 7, 3

	normalised := normalisedConfig(nil)
	normalised.BatchSize, normalised.Shards = 16, 4 // and a last batch of 12
	normalised.BatchNorm = train.BatchNormShard

	severalNormalised := normalised
	severalNormalised.BatchSize, severalNormalised.Accumulate = 12, 2
	severalNormalised.Optimizer.LearningRate = 0.003

	fed := smallConfig()
	fed.Shards, fed.Mix = 4, train.Mix{MixUp: 0.8}
	fed.Augmentation = augment.Record{augment.Shift{Pixels: 1}}
	return []recipe{
		{"even shards", smallNetwork, bars, even, false},
		{"uneven shards", smallNetwork, fewer, uneven, false},
		{"shards of several batches", smallNetwork, bars, several, false},
		{"shards that are normalised", inverted, pictures, normalised, false},
		{"normalised shards of several batches", inverted, pictures, severalNormalised, false},
		{"shards that are fed", smallNetwork, bars, fed, false},
	}
}

// dealtRecipe is one of them.
func dealtRecipe(name string) recipe {
	all := dealtRecipes()
	return all[slices.IndexFunc(all, func(r recipe) bool { return r.name == name })]
}

// Runs that are dealt to shards hold, as check says.
func TestShards(t *testing.T) {
	for _, r := range dealtRecipes() {
		t.Run(r.name, r.check)
	}
}

// Ten steps of E1 that are dealt to shards are those of the native engine, which deals them, too:
// the losses to 1e-5 of themselves, the gradients to 1e-4 of the largest of the whole batch's.
func TestTenStepsInShardsAreThoseOfTheNativeEngine(t *testing.T) {
	const lossTolerance, gradientTolerance = 1e-5, 1e-4
	set := datasettest.Digits(t, 9*32+20)
	network, config := experiment(t, "e1")
	config.Shards = 4
	want := nativeSteps(t, network, set, config)
	got := deviceSteps(t, openDevice(t), network, set, config)
	compareSteps(t, got, want, lossTolerance, gradientTolerance)
}

// A steady step of shards is one graph, which allocates nothing.
func TestASteadyStepOfShardsAllocatesNothing(t *testing.T) {
	t.Setenv(GraphStepsVariable, "1")
	g := openDevice(t)
	r := dealtRecipe("even shards")
	var n noted
	trainer := r.begin(t, n.by(g))
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
		t.Fatal(err)
	}
	n.areGraphs(t, 2, 5) // the sixth of an epoch is short
	if n.count("take_shard") != 4 || n.count("add_shards") != 3 || n.count("book_shards") != 1 {
		t.Errorf("a step of 4 shards is %v", n.launched)
	}
	t.Logf("a step of 4 shards is 1 graph of %d launches", len(n.launched))
}

// Statistics that are frozen stay to the bit beside others that are learned, also where shards have
// unequal shares.
func TestFrozenStatisticsStayInShards(t *testing.T) {
	network := mustNew(t, "half", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)},
		builder.BatchNorm{Name: "kept", Frozen: true},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(3)}, builder.BatchNorm{Name: "learned"},
		builder.ReLU{}, builder.Flatten{}, builder.Dense{Units: 3})
	start := network.InitialWeights(1)
	for _, tensor := range start {
		for i := range tensor.Data {
			tensor.Data[i] += 0.1 // no power of two
		}
	}
	config := smallConfig()
	config.BatchSize, config.Shards, config.BatchNorm = 13, 4, train.BatchNormShard
	config.Device = openDevice(t)
	trainer, err := train.New(network, datasettest.Bars(t, 60), config, start)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), train.Callbacks{}); err != nil {
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

// What shards do not do on a GPU is refused by its name, with what to do instead.
func TestShardsThatAGPURefuses(t *testing.T) {
	g := openDevice(t)
	whole := dealtRecipe("shards that are normalised")
	whole.config.BatchNorm = ""
	weighted := dealtRecipe("even shards")
	weighted.config.Loss.ClassWeights = train.ClassWeights{Values: []float64{1, 2, 1}}
	for want, r := range map[string]recipe{
		"(BatchNorm) is trained with the statistics of the whole batch, and the shards of a batch " +
			"exchange none on a GPU: have each shard be normalised by itself (-batchnorm shard)": whole,
		"a batch with class weights that is dealt to shards is computed on the CPU alone": weighted,
	} {
		config := r.config
		config.Device = g
		_, err := train.New(r.network(t), r.set(t), config, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
