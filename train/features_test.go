package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/ops"
)

// noisyColours are a few images in colour of three classes.
func noisyColours(t testing.TB, images, size int) *dataset.Set {
	t.Helper()
	source := rand.New(rand.NewPCG(uint64(images), uint64(size)))
	set := &dataset.Set{Name: "colours", Channels: 3, Height: size, Width: size, Classes: 3,
		Images: make([]uint8, images*3*size*size), Labels: make([]int32, images)}
	for i := range set.Images {
		set.Images[i] = uint8(source.IntN(256))
	}
	for i := range set.Labels {
		set.Labels[i] = int32(i % 3)
	}
	return set
}

// Training on features that are computed once has the bits of training without, and so has
// evaluation: of networks with each kind of head, whatever lies at the cut.
func TestFeaturesChangeNoBit(t *testing.T) {
	dense, err := builder.New("dense", builder.Shape{3, 32, 32},
		builder.Conv2D{Filters: 8, Kernel: builder.Square(3),
			Padding: builder.Square(1)}, builder.BatchNorm{}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(4)}, builder.Flatten{},
		builder.Dense{Units: 24}, builder.ReLU{},
		builder.Dropout{P: 0.5}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	flat, err := builder.New("flat", builder.Shape{3, 32, 32},
		builder.Conv2D{Filters: 8, Kernel: builder.Square(3),
			Padding: builder.Square(1)}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(4)}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	networks := map[string]*builder.Network{"dense": dense, "flat": flat}
	for _, name := range []string{"resnet20", "squeezenet1_1", "mobilenet_v2",
		"mobilenet_v3_small"} {
		if networks[name], err = zoo.New(name, builder.Shape{3, 32, 32}, 3); err != nil {
			t.Fatal(err)
		}
	}
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			if frozen, err := FreezeStatistics(network, []string{TrunkWord}, ""); err == nil {
				network = frozen
			}
			for _, freeze := range []string{TrunkWord, "conv1"} {
				config := Config{BatchSize: 12, Epochs: 1, Seed: 3, Pixels: PixelsHalf,
					ValidationFraction: 0.2, Freeze: []string{freeze}}
				if freeze != TrunkWord && name != "flat" {
					continue
				}
				checkFeatures(t, network, config, noisyColours(t, 40, 32), noisyColours(t, 9, 32))
			}
		})
	}
}

// Features change no bit beside any other part of a recipe: images that are mixed have none, and
// what is drawn, weighted, averaged, clipped or accumulated takes them.
func TestFeaturesWithRecipes(t *testing.T) {
	network, err := builder.New("flat", builder.Shape{3, 32, 32},
		builder.Conv2D{Filters: 8, Kernel: builder.Square(3), Padding: builder.Square(1)},
		builder.ReLU{}, builder.MaxPool2D{Kernel: builder.Square(4)}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	all := lossRecipes()
	all["accumulated"] = func(c *Config) { c.Accumulate, c.BatchSize = 3, 5 }
	all["accumulated and mixed"] = func(c *Config) {
		c.Accumulate, c.BatchSize, c.Mix = 2, 7, Mix{MixUp: 1, CutMix: 1}
	}
	weights := Loss{ClassWeights: ClassWeights{Values: []float64{1, 2, 4}}}
	all["weighted and accumulated"] = func(c *Config) {
		c.Loss, c.Accumulate, c.BatchSize = weights, 3, 5
	}
	all["weighted and in shards"] = func(c *Config) { c.Loss, c.Shards = weights, 4 }
	all["averaged"] = func(c *Config) { c.EMA = EMA{Decay: 0.9} }
	all["clipped"] = func(c *Config) { c.ClipNorm = 0.1 }
	for name, change := range all {
		t.Run(name, func(t *testing.T) {
			config := Config{BatchSize: 12, Epochs: 1, Seed: 3, Pixels: PixelsHalf,
				ValidationFraction: 0.2, Freeze: []string{TrunkWord}}
			change(&config)
			checkFeatures(t, network, config, noisyColours(t, 40, 32), noisyColours(t, 9, 32))
		})
	}
	config := Config{Freeze: []string{TrunkWord}, Mix: Mix{MixUp: 1},
		FineTune: FineTune{Features: FeaturesOnce}}
	if _, err := config.WithDefaults(network); err == nil || !strings.Contains(err.Error(), "mixed") {
		t.Errorf("features once of mixed images: %v", err)
	}
}

// checkFeatures trains with and without features, and compares the bits.
func checkFeatures(t *testing.T, network *builder.Network, config Config, set, test *dataset.Set) {
	t.Helper()
	var encodings [][]byte
	var logits []string
	for _, mode := range []string{FeaturesAuto, FeaturesNever} {
		config.FineTune.Features = mode
		trainer, err := New(network, set, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if err := trainer.TestOn(test); err != nil {
			t.Fatal(err)
		}
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		evaluation, err := trainer.Evaluate(t.Context(), test)
		if err != nil {
			t.Fatal(err)
		}
		logits = append(logits, fmt.Sprint(evaluation.Logits))
		if kept := trainer.features != nil; kept != (mode == FeaturesAuto) {
			_, why := trainer.phase.cut(network)
			t.Fatalf("%s: features are kept: %v (%s)", mode, kept, why)
		}
		if mode == FeaturesAuto {
			for _, set := range trainer.features.sets {
				if set.done != set.source.Len() {
					t.Errorf("%d of %d features of %s are computed", set.done, set.source.Len(),
						set.info.Name)
				}
			}
			want := 3
			if !config.Mix.IsZero() {
				want = 2
			}
			if len(trainer.features.sets) != want {
				t.Errorf("features of %d sets, want those of %d: training unless it is mixed, "+
					"validation and test", len(trainer.features.sets), want)
			}
		}
		trainer.config.FineTune.Features = ""
		encodings = append(encodings, encoded(t, trainer.Checkpoint()))
	}
	if !bytes.Equal(encodings[0], encodings[1]) {
		t.Error("weights trained on features differ")
	}
	if logits[0] != logits[1] {
		t.Error("an evaluation from features differs")
	}
}

// The cut is the last layer that all that changes follows from.
func TestCut(t *testing.T) {
	network, err := zoo.New("mobilenet_v2", builder.Shape{3, 32, 32}, 3)
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := FreezeStatistics(network, []string{"*"}, "")
	if err != nil {
		t.Fatal(err)
	}
	last := func(network *builder.Network, before string) string {
		node, ok := network.Node(before)
		if !ok {
			t.Fatalf("no layer %s", before)
		}
		return network.Nodes()[node.Inputs[0]].Name
	}
	filters := func(n int) *builder.Network {
		network, err := builder.New("flat", builder.Shape{3, 8, 8}, builder.Conv2D{Filters: n,
			Kernel: builder.Square(3), Padding: builder.Square(1)}, builder.Flatten{},
			builder.Dense{Units: 3})
		if err != nil {
			t.Fatal(err)
		}
		return network
	}
	for _, test := range []struct {
		name    string
		network *builder.Network
		config  Config
		want    string
		why     string
	}{
		{"all trained", frozen, Config{}, "", "features.0.0 is trained"},
		{"statistics", network, Config{Freeze: []string{"trunk"}}, "",
			"features.0.1 takes each batch's own statistics, which are not frozen"},
		{"penalty", frozen, Config{Freeze: []string{"trunk"},
			ActivationPenalties: map[string]Penalty{"features.0.0": {L1: 1}}}, "",
			"features.0.0's output is penalised"},
		{"as many values", filters(3), Config{Freeze: []string{TrunkWord}}, "flatten1",
			"fc1 is trained"},
		{"more values", filters(4), Config{Freeze: []string{TrunkWord}}, "",
			"flatten1 below it gives more values than an image has"},
		{"last block", frozen, Config{Freeze: []string{"features.?*", "features.0*"}}, "", ""},
	} {
		if test.name == "last block" {
			test.config.Freeze = nil
			for i := range 18 {
				test.config.Freeze = append(test.config.Freeze, fmt.Sprintf("features.%d.*", i))
			}
			test.want = last(frozen, "features.18.0")
		}
		cut, why := test.config.cut(test.network)
		if cut != test.want || !strings.Contains(why, test.why) {
			t.Errorf("%s: cut at %q (%s), want %q (%s)", test.name, cut, why, test.want, test.why)
		}
	}
}

// What is told of the features, and what is not kept.
func TestFeaturesAreTold(t *testing.T) {
	network, err := builder.New("flat", builder.Shape{3, 8, 8},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(3)},
		builder.ReLU{}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	flips := augment.Record{augment.Flip{}}
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"auto", func(*Config) {},
			"features: what flatten1 gives is computed once for each image: 144 values, 0.0 " +
				"MB in all"},
		{"until", func(c *Config) { c.FineTune.FreezeUntil = 4 },
			"computed once for each image, up to epoch 3: 144 values"},
		{"never", func(c *Config) { c.FineTune.Features = FeaturesNever }, ""},
		{"nothing frozen", func(c *Config) { c.Freeze = nil }, ""},
		{"augmented", func(c *Config) { c.Augmentation = flips },
			"features: what flatten1 gives is computed anew in each step, since images are " +
				"augmented"},
		{"once", func(c *Config) { c.Augmentation, c.FineTune.Features = flips, FeaturesOnce },
			"computed once for each image, of images that are not augmented: 144"},
		{"just room", func(c *Config) { c.FineTune.FeatureBytes = 20 * 4 * (144 + 1) },
			"computed once for each image: 144 values"},
		{"a byte less", func(c *Config) { c.FineTune.FeatureBytes = 20*4*(144+1) - 1 },
			"since that of all images would take 0.0 MB"},
		{"large", func(c *Config) { c.FineTune.FeatureBytes = 100 },
			"since that of all images would take 0.0 MB, and 0.0 MB are allowed"},
	} {
		config := Config{Freeze: []string{TrunkWord}, Epochs: 5}
		test.change(&config)
		trainer, err := New(network, noisyColours(t, 20, 8), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if got := trainer.Features(); test.want == "" && got != "" ||
			!strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Where images are augmented, and their features are to be computed without, memory decides
// nothing: what has no place is refused.
func TestFeaturesOnceNeedTheirMemory(t *testing.T) {
	network, err := builder.New("flat", builder.Shape{3, 8, 8},
		builder.Conv2D{Filters: 4,
			Kernel: builder.Square(3)}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Freeze: []string{TrunkWord}, Augmentation: augment.Record{augment.Flip{}},
		FineTune: FineTune{Features: FeaturesOnce, FeatureBytes: 1000}}
	_, err = New(network, noisyColours(t, 20, 8), config, nil)
	if err == nil || !strings.Contains(err.Error(),
		"features once: those of colours would take 0.0 MB") {
		t.Errorf("error is %v", err)
	}
}

// Nothing is kept of a network that learns from its first layer on, whatever stands before that.
func TestNoFeaturesWithoutALayerThatLearned(t *testing.T) {
	network, err := builder.New("mlp", builder.Shape{3, 8, 8},
		builder.Flatten{}, builder.Dense{Units: 4}, builder.ReLU{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := New(network, noisyColours(t, 20, 8), Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if trainer.features != nil {
		t.Errorf("features of %s are kept", trainer.features.cut)
	}
}

// An interruption while features are computed ends the run as one between two steps does, and the
// run goes on to the same bits.
func TestInterruptedWhileFeaturesAreComputed(t *testing.T) {
	network, err := builder.New("flat", builder.Shape{3, 8, 8},
		builder.Conv2D{Filters: 4,
			Kernel: builder.Square(3)}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	set := noisyColours(t, 40, 8)
	config := Config{Freeze: []string{TrunkWord}, Epochs: 2, BatchSize: 16}
	whole, err := New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	broken, err := New(network, set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := broken.step(ctx, []int{0, 1}); !errors.Is(err, errStepInterrupted) {
		t.Errorf("the step ends with %v", err)
	}
	_, resumed := savedAndResumed(t, broken, set)
	if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, resumed.Checkpoint()), encoded(t, whole.Checkpoint())) {
		t.Error("the run that was interrupted differs")
	}
}

// Below the lowest layer that is trained nothing is computed on the way back and nothing is kept
// for it: neither nodes nor memory grow with its depth.
func TestNothingIsComputedBelowWhatIsTrained(t *testing.T) {
	engine, err := builder.NewEngine(builder.EngineNative, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	measure := func(depth int) (extra int, bytes int64) {
		layers := []builder.Layer{}
		for range depth {
			layers = append(layers, builder.Conv2D{Filters: 8, Kernel: builder.Square(3),
				Padding: builder.Square(1)},
				builder.BatchNorm{Frozen: true}, builder.ReLU{})
		}
		layers = append(layers, builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dense{Units: 3})
		network, err := builder.New("deep", builder.Shape{3, 32, 32}, layers...)
		if err != nil {
			t.Fatal(err)
		}
		variables, err := builder.NewVariables(network, engine, network.InitialWeights(1))
		if err != nil {
			t.Fatal(err)
		}
		config, err := Config{Freeze: []string{TrunkWord}}.WithDefaults(network)
		if err != nil {
			t.Fatal(err)
		}
		nodes := make(map[bool]int)
		for _, training := range []bool{false, true} {
			graph, err := lossGraphOf(network, engine, variables, config, 8, training)
			if err != nil {
				t.Fatal(err)
			}
			memory, err := ops.PlanMemory(graph.Expr, append(gorgonia.Nodes{graph.Logits,
				graph.Total}, graph.Gradients...))
			if err != nil {
				t.Fatal(err)
			}
			nodes[training], bytes = len(graph.Expr.AllNodes()), memory.Bytes()
		}
		return nodes[true] - nodes[false], bytes
	}
	shallow, least := measure(3)
	deep, most := measure(12)
	if deep != shallow || most != least {
		t.Errorf("training has %d nodes more and holds %d bytes with 3 frozen convolutions, %d "+
			"and %d with 12", shallow, least, deep, most)
	}
}
