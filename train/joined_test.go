package train

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
)

// joinedPrograms are the numbers of shards whose program goes forward and back as one batch.
func joinedPrograms(trainer *Trainer) []int {
	counts := make(map[int]bool)
	for key := range trainer.programs {
		if key.shards > 0 {
			counts[key.shards] = true
		}
	}
	return slices.Sorted(maps.Keys(counts))
}

// epochOf trains an epoch of 8 shards, each by itself if single says so, and returns what came of
// it and in what numbers shards were joined.
func epochOf(t *testing.T, network *builder.Network, set dataset.Source, config Config,
	single bool) (*Checkpoint, []int) {
	t.Helper()
	config.Shards, config.Epochs = 8, 1
	trainer, err := New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Close)
	trainer.shards.single = trainer.shards.single || single
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	return trainer.Checkpoint(), joinedPrograms(trainer)
}

// Shards that go forward and back together come to the bits of shards that do so by themselves,
// whatever the recipe, with a last batch that is dealt unevenly.
func TestJoinedShardsHaveTheBitsOfSingleOnes(t *testing.T) {
	e2, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	recipes := tenClasses()
	recipes["plain"] = func(*Config) {}
	recipes["clipped"] = func(c *Config) { c.ClipNorm = 0.1 }
	recipes["frozen"] = func(c *Config) { c.Freeze = []string{"conv1", "fc2.bias"} }
	recipes["augmented"] = func(c *Config) { c.Augmentation = augment.Record{augment.Flip{}} }
	recipes["three threads"] = func(c *Config) { c.Threads = 3 }
	set := datasettest.Digits(t, 150)
	for name, change := range recipes {
		t.Run(name, func(t *testing.T) {
			config := Config{BatchSize: 64, Seed: 3}
			change(&config)
			joinedAndSingle(t, e2, set, config)
		})
	}
}

// Networks with convolutions of every kind, dense layers large and small and on maps, and forks:
// their shards are joined, and have the bits of single ones.
func TestJoinedLayers(t *testing.T) {
	input, one, two := builder.Shape{3, 12, 10}, builder.Square(1), builder.Square(2)
	conv := builder.Conv2D{Filters: 6, Kernel: builder.Square(3), Padding: one}
	depthwise, grouped := conv, conv
	depthwise.Groups = 6
	grouped.Groups, grouped.NoBias = 3, true
	g := builder.NewGraph("forks", input)
	a := g.Then(g.Input(), conv, builder.ReLU{})
	b := g.Then(a, depthwise, builder.SiLU{})
	c := g.Then(a, grouped, builder.Tanh{})
	d := g.Then(g.Join(builder.Add{}, b, c), builder.Conv2D{Filters: 4, Kernel: one, NoBias: true},
		builder.MaxPool2D{Kernel: two}, builder.Flatten{})
	forks, err := g.Network(g.Then(d, builder.Dropout{P: 0.2}, builder.Dense{Units: 10}))
	if err != nil {
		t.Fatal(err)
	}
	wide, err := builder.New("wide", input, builder.Conv2D{Filters: 5, Kernel: builder.Square(3)},
		builder.ReLU{}, builder.MaxPool2D{Kernel: two}, builder.Dense{Units: 7}, builder.ReLU{},
		builder.Flatten{}, builder.Dense{Units: 130}, builder.ReLU{}, builder.Dense{Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	set := coloured(t, 80, 12, 10)
	for _, network := range []*builder.Network{forks, wide} {
		t.Run(network.Name(), func(t *testing.T) {
			config := Config{BatchSize: 32, Seed: 5}
			joinedAndSingle(t, network, set, config)
		})
	}
}

// Joins, poolings, activations and dropout of all kinds: shards are joined, and have the bits of
// single ones.
func TestJoinedLayersWithoutTensors(t *testing.T) {
	same := builder.Conv2D{Filters: 8, Kernel: builder.Square(3), Padding: builder.Square(1)}
	three := builder.Square(3)
	g := builder.NewGraph("all", builder.Shape{3, 13, 11})
	x := g.Then(g.Input(), same, builder.LeakyReLU{}, builder.Dropout2D{P: 0.2}, same, builder.GELU{})
	gate := g.Then(x, builder.GlobalAvgPool{}, builder.Conv2D{Filters: 8, Kernel: builder.Square(1)},
		builder.HardSigmoid{})
	x = g.Join(builder.Mul{}, x, gate)
	branch := g.Then(x, same, builder.HardSwish{}, builder.DropPath{P: 0.3})
	x = g.Join(builder.Concat{}, g.Join(builder.Add{}, x, branch),
		g.Then(x, builder.Pad{Top: 1, Bottom: 1, Left: 1, Right: 1},
			builder.AvgPool2D{Kernel: three, Stride: builder.Square(1)}, builder.Sigmoid{}))
	x = g.Then(x, builder.MaxPool2D{Kernel: three, Stride: builder.Square(2),
		Padding: builder.Square(1)}, same, builder.ELU{}, same, builder.Softplus{}, builder.ReLU6{})
	network, err := g.Network(g.Then(g.Join(builder.Concat{},
		g.Then(x, builder.GlobalMaxPool{}), g.Then(x, builder.GlobalAvgPool{})),
		builder.Flatten{}, builder.Dense{Units: 10}, builder.Softmax{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []int{16, 64} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			joinedAndSingle(t, network, coloured(t, 2*batch, 13, 11), Config{BatchSize: batch, Seed: 5})
		})
	}
	squeezenet, err := zoo.New("squeezenet1_1", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		t.Fatal(err)
	}
	joinedAndSingle(t, squeezenet, coloured(t, 32, 32, 32), Config{BatchSize: 16, Seed: 5})
}

// Layers of widths, and batches of sizes, at which what a layer reads is computed otherwise in a
// batch than in a shard of it: with zeros left out, or not; convolutions of single pixels in bands
// of positions.
func TestJoinedLayersOfManyWidths(t *testing.T) {
	conv := func(filters int) builder.Layer {
		return builder.Conv2D{Filters: filters, Kernel: builder.Square(5)}
	}
	pool, flat, relu := builder.MaxPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.ReLU{}
	units := func(units int) builder.Layer { return builder.Dense{Units: units} }
	for name, layers := range map[string][]builder.Layer{
		"dense":       {flat, units(400), relu, units(500), relu, units(10)},
		"dropout":     {flat, units(512), relu, builder.Dropout{P: 0.5}, units(96), relu, units(10)},
		"convolution": {conv(16), relu, pool, conv(25), relu, pool, flat, units(256), relu, units(10)},
	} {
		network, err := builder.New(name, builder.ExperimentInput(), layers...)
		if err != nil {
			t.Fatal(err)
		}
		for _, batch := range []int{64, 128} {
			t.Run(fmt.Sprint(name, " ", batch), func(t *testing.T) {
				set := datasettest.Digits(t, 2*batch)
				joinedAndSingle(t, network, set, Config{BatchSize: batch, Seed: 3})
			})
		}
	}
	for _, size := range [][2]int{{12, 8}, {5, 5}, {9, 9}, {8, 8}} {
		t.Run(fmt.Sprint("pointwise ", size), func(t *testing.T) {
			network, err := builder.New("pointwise", builder.Shape{3, size[0], size[1]},
				builder.Conv2D{Filters: 16, Kernel: builder.Square(1), NoBias: true}, builder.SiLU{},
				flat, units(10))
			if err != nil {
				t.Fatal(err)
			}
			set := coloured(t, 64, size[0], size[1])
			joinedAndSingle(t, network, set, Config{BatchSize: 32, Seed: 5})
		})
	}
}

// joinedAndSingle compares an epoch of shards that are joined with one of the same by themselves.
func joinedAndSingle(t *testing.T, network *builder.Network, set dataset.Source, config Config) {
	t.Helper()
	got, joined := epochOf(t, network, set, config, false)
	want, none := epochOf(t, network, set, config, true)
	if len(joined) != 1 || len(none) > 0 {
		t.Errorf("shards were joined by %v, and by %v where they should not be", joined, none)
	}
	equalWeights(t, got.Weights, want.Weights)
	one, other := got.Progress.History[0], want.Progress.History[0]
	if one.MeanLoss != other.MeanLoss || one.TrainAccuracy != other.TrainAccuracy {
		t.Errorf("loss %v and accuracy %v, want %v and %v",
			one.MeanLoss, one.TrainAccuracy, other.MeanLoss, other.TrainAccuracy)
	}
}

// What cannot be joined goes by itself: penalties, which are of each shard, and layers that are not
// known to give an image the same bits in any batch, or whose gradients are not summed by shard.
func TestShardsThatAreNotJoined(t *testing.T) {
	set := datasettest.Bars(t, 60)
	layerNorm, err := builder.New("layer-norm", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(3)}, builder.LayerNorm{},
		builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		network *builder.Network
		change  func(*Config)
	}{
		"penalty":    {smallNetwork(t), func(c *Config) { c.ParameterPenalty = Penalty{L2: 0.1} }},
		"statistics": {smallNormalised(t), func(c *Config) { c.BatchNorm = BatchNormShard }},
		"engine":     {smallNetwork(t), func(c *Config) { c.Engine = builder.EngineGorgonia }},
		"layer norm": {layerNorm, func(*Config) {}},
	} {
		t.Run(name, func(t *testing.T) {
			config := smallConfig(builder.EngineNative)
			config.BatchSize = 16
			test.change(&config)
			if _, joined := epochOf(t, test.network, set, config, false); len(joined) > 0 {
				t.Errorf("shards were joined by %v", joined)
			}
		})
	}
}

// Of a batch whose shards together are more than a part, as many are joined as one has.
func TestShardsAreJoinedByParts(t *testing.T) {
	e2, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{BatchSize: 2 * partSize(e2), Seed: 3}
	set := datasettest.Digits(t, config.BatchSize)
	got, joined := epochOf(t, e2, set, config, false)
	want, _ := epochOf(t, e2, set, config, true)
	if !slices.Equal(joined, []int{4}) {
		t.Errorf("of %d images shards were joined by %v", config.BatchSize, joined)
	}
	equalWeights(t, got.Weights, want.Weights)
}

// One image whose convolution overflows below a ReLU has its batch computed again without
// Winograd's filtering. Of joined shards that is no matter of the others: their bits stay.
func TestAnOverflowInOneOfTheJoinedShards(t *testing.T) {
	network, err := builder.New("overflow", builder.Shape{1, 12, 12},
		builder.Conv2D{Filters: 16, Kernel: builder.Square(3), Padding: builder.Square(1)},
		builder.ReLU{},
		builder.Conv2D{Filters: 16, Kernel: builder.Square(3), Padding: builder.Square(1)},
		builder.ReLU{},
		builder.Flatten{}, builder.Dense{Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	weights := network.InitialWeights(3)
	for i := range weights[0].Data {
		weights[0].Data[i] = float32(math.Abs(float64(weights[0].Data[i])))
	}
	for i := range 16 * 9 { // the first filter of the second convolution
		weights[2].Data[i] = -3e36
	}
	set := oneBright(t, 32)
	var results []builder.Weights
	for _, single := range []bool{false, true} {
		config := Config{BatchSize: set.Len(), Shards: 8, Seed: 3, Pixels: PixelsUnit}
		trainer, err := New(network, set, config, weights)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(trainer.Close)
		trainer.shards.single = single
		if err := trainer.step(t.Context(), trainer.batches.Order(0)); err != nil {
			t.Fatal(err)
		}
		results = append(results, trainer.Weights())
	}
	equalWeights(t, results[0], results[1])
}

// oneBright is a set of dim images of 12×12, of which the eighth is white.
func oneBright(t testing.TB, images int) *dataset.Set {
	t.Helper()
	const area = 12 * 12
	pixels, labels := make([]uint8, images*area), make([]int32, images)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range pixels {
		pixels[i] = uint8(source.IntN(4))
		if i/area == 7 {
			pixels[i] = 255
		}
	}
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	set, err := dataset.NewSet("dim", pixels, labels, 1, 12, 12, 10)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
