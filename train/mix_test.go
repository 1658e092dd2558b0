package train

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
	"slipway/internal/ops"
	"slipway/internal/random"
	"slipway/internal/reference"
	"slipway/scripts/golden/goldentest"
)

// Images are mixed to timm's bits, and their targets are timm's.
func TestMixingAgreesWithTimm(t *testing.T) {
	for _, c := range goldentest.Read(t, "testdata/mixing.safetensors").Cases {
		eachEngine(t, func(t *testing.T, engine string) {
			t.Run(c.Name, func(t *testing.T) { checkMixing(t, c, engine) })
		})
	}
}

func checkMixing(t *testing.T, c goldentest.Case, engineName string) {
	var mix struct {
		Cuts             bool
		Share, Smoothing float64
		Row, Column      int
	}
	if err := json.Unmarshal(c.Mix, &mix); err != nil {
		t.Fatal(err)
	}
	engine, err := builder.NewEngine(engineName, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	shape := c.Shape(t, "x")
	batch, size := shape[0], shape[1]*shape[2]*shape[3]
	info := dataset.Info{Channels: shape[1], Height: shape[2], Width: shape[3]}
	m := newMixer(Config{Mix: Mix{MixUp: 1, Probability: 1}}, engine, info)
	order := m.begin(0, places(batch))
	m.blend = blend{share: mix.Share}
	if mix.Cuts {
		m.blend = cut(mix.Share, shape[2], shape[3], mix.Row, mix.Column)
	}
	x, labels := c.Floats(t, "x"), c.Ints(t, "labels")
	var images []float32
	var own []int32
	for _, i := range order {
		images, own = append(images, x[i*size:(i+1)*size]...), append(own, labels[i])
	}
	targets := &ops.Targets{Others: make([]int32, batch), Shares: make([]float32, batch)}
	m.apply(images, own, targets)
	got, _ := reference.Targets(5, own, targets.Others, targets.Shares, mix.Smoothing, nil)
	wantImages, wantTargets := c.Floats(t, "y"), c.Floats(t, "target")
	for at, i := range order {
		goldentest.Compare(t, "image", images[at*size:(at+1)*size], wantImages[i*size:(i+1)*size],
			goldentest.Tolerance{})
		var target []float32
		for _, value := range got[5*at : 5*at+5] {
			target = append(target, float32(value))
		}
		goldentest.Compare(t, "target", target, wantTargets[5*i:5*i+5],
			goldentest.Tolerance{OfLargest: 1e-7})
		if targets.Shares[at] < 0.5 {
			t.Errorf("image %d has a label of the share %v", i, targets.Shares[at])
		}
	}
}

func places(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestPairsOfABatch(t *testing.T) {
	engine, err := builder.NewEngine(builder.DefaultEngine, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	m := newMixer(Config{Mix: Mix{MixUp: 1}}, engine, dataset.Info{Height: 1, Width: 1})
	for n, want := range [][]int{{}, {0}, {0, 1}, {0, 2, 1}, {0, 3, 1, 2}} {
		if got := m.begin(0, places(n)); !slices.Equal(got, want) {
			t.Errorf("%d images are paired as %v, want %v", n, got, want)
		}
	}
}

// Batches are mixed as often, and by cutmix as often, as is asked for; each step in its own way.
func TestBlendsOfSteps(t *testing.T) {
	const steps = 4000
	mix := Mix{MixUp: 0.2, CutMix: 1, Probability: 0.7, Switch: 0.25}
	mixed, cuts := 0, 0
	shares := make(map[float64]int)
	for step := range steps {
		b := mix.draw(random.Key(1, "mix"), step, 32, 32)
		if b != mix.draw(random.Key(1, "mix"), step, 32, 32) {
			t.Fatalf("step %d is mixed in two ways", step)
		}
		if b.share == 1 && !b.cuts {
			continue
		}
		mixed++
		if b.cuts {
			cuts++
			if b.top < 0 || b.left < 0 || b.bottom > 32 || b.right > 32 || b.top > b.bottom ||
				b.left > b.right {
				t.Fatalf("rectangle %+v", b)
			}
			continue
		}
		shares[b.share]++
	}
	near := func(what string, got, of, want float64) {
		if deviation := math.Sqrt(want * (1 - want) / of); math.Abs(got/of-want) > 5*deviation {
			t.Errorf("%s: %v of %v, want %v", what, got, of, want)
		}
	}
	near("mixed batches", float64(mixed), steps, 0.7)
	near("cutmix", float64(cuts), float64(mixed), 0.25)
	if len(shares) < (mixed-cuts)*9/10 {
		t.Errorf("%d steps of mixup have %d shares", mixed-cuts, len(shares))
	}
}

// A probability may be 1, as well as 0 for what is usual.
func TestTheLimitsOfMixing(t *testing.T) {
	for _, test := range []struct{ mix, want Mix }{
		{Mix{MixUp: 1, CutMix: 2, Probability: 1, Switch: 1}, Mix{1, 2, 1, 1}},
		{Mix{MixUp: 1, CutMix: 2}, Mix{1, 2, 1, 0.5}},
		{Mix{CutMix: 2}, Mix{0, 2, 1, 0}},
		{Mix{}, Mix{}},
	} {
		if got, err := test.mix.withDefaults(); err != nil || got != test.want {
			t.Errorf("%+v: %+v (%v), want %+v", test.mix, got, err, test.want)
		}
	}
}

func TestMixRejects(t *testing.T) {
	for _, test := range []struct {
		mix  Mix
		want string
	}{
		{Mix{MixUp: -1}, "mixup: α = -1"},
		{Mix{CutMix: math.Inf(1)}, "cutmix: α = +Inf"},
		{Mix{MixUp: math.NaN()}, "mixup: α = NaN"},
		{Mix{Probability: 0.5}, "needs mixup or cutmix"},
		{Mix{MixUp: 1, Probability: 1.5}, "probability of mixing 1.5 is outside"},
		{Mix{MixUp: 1, Switch: 0.5}, "needs both"},
		{Mix{MixUp: 1, CutMix: 1, Switch: -0.5}, "in place of mixup -0.5 is outside"},
	} {
		config := smallConfig(builder.DefaultEngine)
		config.Mix = test.mix
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.mix, err, test.want)
		}
	}
}

// The loss of a mixed batch is a function of the seed and the step: whoever runs the same batch at
// the same step again, as one that looks for a learning rate does, gets the same one, and another
// at the next step.
func TestTheLossOfAMixedBatchIsOfItsStep(t *testing.T) {
	config := smallConfig(builder.DefaultEngine)
	config.Mix = Mix{MixUp: 1}
	loss := func(step int) float64 {
		trainer := newSmallTrainer(t, config)
		defer trainer.Close()
		trainer.progress.Step = step
		indices := trainer.batches.Order(0)[:8]
		given := slices.Clone(indices)
		result, err := trainer.gradients(t.Context(), feed{trainer.augmented, trainer.trainingInfo,
			indices, 0})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(given, indices) {
			t.Error("the caller's indices are in another order")
		}
		return result.total
	}
	if first, again, next := loss(3), loss(3), loss(4); first != again || first == next {
		t.Errorf("losses %v and %v of step 3, %v of step 4", first, again, next)
	}
}

// Mixed images can be learned from: the network tells the classes apart that it saw in mixtures
// alone.
func TestFitLearnsFromMixedImages(t *testing.T) {
	for name, mix := range map[string]Mix{"mixup": {MixUp: 0.4}, "cutmix": {CutMix: 1}} {
		t.Run(name, func(t *testing.T) {
			config := smallConfig(builder.DefaultEngine)
			config.Epochs, config.Mix = 20, mix
			trainer := newSmallTrainer(t, config)
			defer trainer.Close()
			if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
				t.Fatal(err)
			}
			evaluation, err := trainer.Evaluate(t.Context(), datasettest.Bars(t, 60))
			if err != nil {
				t.Fatal(err)
			}
			if evaluation.Accuracy < 0.95 {
				t.Errorf("accuracy %v", evaluation.Accuracy)
			}
		})
	}
}
