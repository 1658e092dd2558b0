package train

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/datasettest"
)

func TestSamplingRejects(t *testing.T) {
	config := smallConfig(builder.DefaultEngine)
	config.Sampling = "fair"
	if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
		!strings.Contains(err.Error(), `unknown sampling "fair"; there are shuffled and balanced`) {
		t.Errorf("error %v", err)
	}
	config.Sampling = SamplingShuffled
	config, err := config.WithDefaults(smallNetwork(t))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := json.Marshal(config); err != nil || strings.Contains(string(raw), "sampling") {
		t.Errorf("the default is recorded: %s, %v", raw, err)
	}
}

// An image that is drawn several times is augmented anew each time, and the same in a run that goes
// on in the middle of the epoch.
func TestDrawnImagesAreAugmentedAnew(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := smallConfig(builder.DefaultEngine)
	config.Sampling, config.Augmentation = SamplingBalanced, augment.Record{augment.Shift{Pixels: 3}}
	trainer, err := New(smallNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	fed := func(first int, indices []int) []float32 {
		images := make([]float32, 36*len(indices))
		trainer.progress.EpochStep = first / 8
		batch := feed{trainer.augmented, trainer.trainingInfo, indices, trainer.epochOf()}
		if err := trainer.feeder.fill(t.Context(), images, make([]int32, len(indices)),
			batch); err != nil {
			t.Fatal(err)
		}
		return images
	}
	same := make([]int, 64)
	seen := make(map[string]bool)
	images := fed(0, same)
	for k := range same {
		seen[string(floatBytes(images[36*k:36*k+36]))] = true
	}
	if len(seen) < 15 { // of 49 shifts
		t.Errorf("an image that is drawn 64 times has %d forms", len(seen))
	}
	if got, want := floatBytes(fed(8, same[:8])),
		floatBytes(images[36*8:36*16]); string(got) != string(want) {
		t.Error("from step 1 on, images are augmented otherwise")
	}
	// The seventh of an epoch is not the first of another.
	trainer.progress.Epochs = 1
	if got, want := floatBytes(fed(0, same[:8])),
		floatBytes(images[:36*8]); string(got) == string(want) {
		t.Error("two epochs augment alike")
	}
}

func floatBytes(values []float32) []byte {
	raw, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return raw
}

// uneven returns n images 1×6×6 of two classes that overlap, one of each share'th of the second.
func uneven(t *testing.T, n, share int, seed uint64) *dataset.Set {
	t.Helper()
	source := rand.New(rand.NewPCG(seed, 1))
	images, labels := make([]uint8, 36*n), make([]int32, n)
	for i := range n {
		center := 110.0
		if i%share == 0 {
			labels[i], center = 1, 130
		}
		for k := range 36 {
			images[36*i+k] = uint8(min(max(center+50*source.NormFloat64(), 0), 255))
		}
	}
	set, err := dataset.NewSet("uneven", images, labels, 1, 6, 6, 2)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Of 50 images 49 are of one class. Trained on plainly, the network hardly finds the other; class
// weights and balanced sampling find most of it, for some of the first.
func TestUnevenClasses(t *testing.T) {
	network, err := builder.New("two", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 2})
	if err != nil {
		t.Fatal(err)
	}
	training, test := uneven(t, 15000, 50, 1), uneven(t, 1000, 2, 2)
	recalls := func(change func(*Config)) (frequent, rare float64) {
		t.Helper()
		config := Config{BatchSize: 50, Epochs: 10, Pixels: PixelsHalf,
			Optimizer: OptimizerConfig{LearningRate: 0.003}}
		change(&config)
		trainer, err := New(network, training, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		evaluation, err := trainer.Evaluate(t.Context(), test)
		if err != nil {
			t.Fatal(err)
		}
		var right, all [2]float64
		for i, label := range test.Labels {
			all[label]++
			if argmax(evaluation.Logits[2*i:2*i+2]) == int(label) {
				right[label]++
			}
		}
		return right[0] / all[0], right[1] / all[1]
	}
	frequent, rare := recalls(func(*Config) {})
	t.Logf("plain: recall %v and %v", frequent, rare)
	if rare > 0.4 || frequent < 0.95 {
		t.Errorf("plain: recall %v and %v; the test is of a rare class that is hardly found", frequent,
			rare)
	}
	for name, change := range map[string]func(*Config){
		"class weights":     func(c *Config) { c.Loss.ClassWeights.Balanced = true },
		"balanced sampling": func(c *Config) { c.Sampling = SamplingBalanced },
	} {
		frequent, found := recalls(change)
		t.Logf("%s: recall %v and %v", name, frequent, found)
		if found < 0.8 || frequent < 0.8 {
			t.Errorf("%s: recall %v and %v; want 0.8 of each or more", name, frequent, found)
		}
	}
}
