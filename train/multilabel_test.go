package train

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
)

// labelRecipes are what may be asked for beside the loss of images with any number of labels.
func labelRecipes() map[string]func(*Config) {
	return map[string]func(*Config){
		"plain": func(c *Config) {},
		"everything": func(c *Config) {
			c.Loss = Loss{Name: LossBinary, Smoothing: 0.1, ClassWeights: ClassWeights{Balanced: true}}
			c.Mix, c.EMA, c.ClipNorm = Mix{MixUp: 0.8, CutMix: 1, Probability: 0.9}, EMA{Decay: 0.9}, 1
			c.Best = BestValidationMeanAveragePrecision
		},
		"weights": func(c *Config) {
			c.Loss.ClassWeights, c.Best = ClassWeights{Values: []float64{0.5, 1, 3}}, BestValidationMicroF1
		},
	}
}

func TestResumeOfSeveralLabelsIsBitForBit(t *testing.T) {
	for name, change := range labelRecipes() {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine string) {
				config := varyingConfig(engine)
				config.ValidationFraction = 0.2
				change(&config)
				checkpoint := resumesBitForBit(t, smallNetwork(t), datasettest.Stripes(t, 60), config,
					config.Threads)
				if checkpoint.Config.Loss.Name != LossBinary || !checkpoint.Sets.Training.MultiLabel {
					t.Errorf("recorded are %+v and %+v", checkpoint.Config.Loss, checkpoint.Sets.Training)
				}
				again, err := Resume(checkpoint, datasettest.Stripes(t, 60), config)
				if err != nil {
					t.Fatal(err)
				}
				again.Close()
				if _, err := Resume(checkpoint, datasettest.Stripes(t, 61), config); err == nil ||
					!strings.Contains(err.Error(), "cannot resume with other data") {
					t.Errorf("with another set: %v", err)
				}
			})
		})
	}
}

// The engines come to the same, on any number of threads, and in shards, too, where a batch has
// parts.
func TestEnginesAgreeOnSeveralLabels(t *testing.T) {
	for name, change := range labelRecipes() {
		t.Run(name, func(t *testing.T) {
			fit := func(engine string, threads int) *Trainer {
				config := varyingConfig(engine)
				config.ValidationFraction, config.Threads = 0.2, threads
				change(&config)
				return trained(t)(New(smallNetwork(t), datasettest.Stripes(t, 60), config, nil))
			}
			one := fit(builder.EngineNative, 1)
			if !bytes.Equal(encoded(t, one.Checkpoint()), encoded(t, fit(builder.EngineNative, 3).
				Checkpoint())) {
				t.Error("1 and 3 threads give different runs")
			}
			for _, engine := range builder.EngineNames() {
				for i, epoch := range fit(engine, 1).Progress().History {
					want := one.Progress().History[i]
					// A score near 0 may fall to either side of it by its rounding: of one image of 48.
					if math.Abs(want.MeanLoss-epoch.MeanLoss) > 1e-5 ||
						math.Abs(want.TrainAccuracy-epoch.TrainAccuracy) > 1.0/48+1e-9 {
						t.Errorf("%s, epoch %d: loss %v and accuracy %v, native %v and %v", engine, i+1,
							epoch.MeanLoss,
							epoch.TrainAccuracy, want.MeanLoss, want.TrainAccuracy)
					}
				}
			}
		})
	}
}

// In parts the loss and the gradients are those of the whole batch.
func TestShardsOfSeveralLabels(t *testing.T) {
	var histories []History
	for _, shards := range []int{1, 4} {
		config := smallConfig(builder.EngineNative)
		config.Shards, config.Loss.ClassWeights = shards, ClassWeights{Balanced: true}
		trainer, err := New(smallNetwork(t), datasettest.Stripes(t, 64), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		histories = append(histories, trainer.Progress().History)
	}
	for i, want := range histories[0] {
		if math.Abs(want.MeanLoss-histories[1][i].MeanLoss) > 1e-5 {
			t.Errorf("epoch %d: mean loss %v in one, %v in four", i+1, want.MeanLoss,
				histories[1][i].MeanLoss)
		}
	}
}

// Any number of labels is learned, and the accuracy is of images all of whose labels are right.
func TestSeveralLabelsAreLearned(t *testing.T) {
	set := datasettest.Stripes(t, 400)
	config := smallConfig(builder.EngineNative)
	config.Epochs, config.ValidationFraction = 12, 0.25
	trainer, err := New(smallNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	last := trainer.Progress().History[config.Epochs-1]
	if *last.ValidationAccuracy < 0.95 || *last.ValidationMacroF1 < *last.ValidationAccuracy ||
		last.ValidationMeanAveragePrecision == nil || last.ValidationMicroF1 == nil {
		t.Errorf("the last epoch is %+v", last)
	}
	table, err := trainer.Progress().History.CSV()
	if err != nil ||
		!bytes.Contains(table,
			[]byte(",validation_mean_average_precision,validation_macro_f1,validation_micro_f1\n")) {
		t.Errorf("%v: %s", err, table)
	}
	evaluation, err := trainer.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	right, loss := 0, 0.0
	for i := range set.Len() {
		told := []int32{}
		for k, z := range evaluation.Logits[i*3 : i*3+3] {
			has := slices.Contains(set.Combinations[set.Labels[i]], int32(k))
			if z > 0 {
				told = append(told, int32(k))
			}
			if has {
				z = -z
			}
			loss += math.Log1p(math.Exp(float64(z))) / 3 / float64(set.Len())
		}
		if slices.Equal(told, set.Combinations[set.Labels[i]]) {
			right++
		}
	}
	if evaluation.Correct != right || math.Abs(evaluation.Loss-loss) > 1e-5 {
		t.Errorf("%d right with a loss of %v; counted are %d and %v", evaluation.Correct, evaluation.Loss,
			right, loss)
	}
	figures, err := LabelFigures(t.Context(), set, evaluation)
	if err != nil || figures.Correct != right || figures.SubsetAccuracy != evaluation.Accuracy {
		t.Errorf("figures %+v, %v", figures, err)
	}
	if _, err := trainer.Evaluate(t.Context(), datasettest.Bars(t, 8)); !errors.Is(err,
		dataset.ErrMultiLabel) {
		t.Errorf("evaluated on images of one label: %v", err)
	}
	if err := trainer.TestOn(datasettest.Bars(t, 8)); !errors.Is(err, dataset.ErrMultiLabel) ||
		!strings.Contains(err.Error(),
			"the images of small have one label each, those of stripes any number of labels") {
		t.Errorf("tested on images of one label: %v", err)
	}
}

// An image without an answer is wrong, also where it has no label.
func TestTells(t *testing.T) {
	nan := float32(math.NaN())
	for _, test := range []struct {
		logits []float32
		labels []int32
		want   bool
	}{
		{[]float32{-1, -2}, nil, true}, {[]float32{-1, nan}, nil, false}, {[]float32{0, -1}, nil, true},
		{[]float32{1, -1}, []int32{0}, true}, {[]float32{1, 1}, []int32{0}, false},
		{[]float32{0, 1}, []int32{0, 1}, false},
		{[]float32{1, 2}, []int32{0, 1}, true}, {[]float32{-1, 2}, []int32{1}, true},
		{[]float32{1}, []int32{1}, false},
	} {
		if got := tells(test.logits, test.labels); got != test.want {
			t.Errorf("%v tell %v: %v", test.logits, test.labels, got)
		}
	}
}

func TestWhatSeveralLabelsRefuse(t *testing.T) {
	stripes, bars := datasettest.Stripes(t, 40), datasettest.Bars(t, 40)
	none, err := dataset.NewMultiLabelSet("none", stripes.Images, make([][]int32, 40), 1, 6, 6, 3)
	if err != nil {
		t.Fatal(err)
	}
	all, err := dataset.NewMultiLabelSet("all", stripes.Images, slices.Repeat([][]int32{{0, 1}}, 40),
		1, 6, 6, 3)
	if err != nil {
		t.Fatal(err)
	}
	single, err := dataset.NewMultiLabelSet("single", stripes.Images,
		slices.Repeat([][]int32{{0}}, 40), 1, 6, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	balanced := Loss{ClassWeights: ClassWeights{Balanced: true}}
	for name, test := range map[string]struct {
		set    *dataset.Set
		change func(*Config)
		want   string
	}{
		"cross-entropy": {stripes, func(c *Config) { c.Loss.Name = LossCrossEntropy },
			"any number of labels, and the cross-entropy loss is of one each; leave the loss out, or say binary"},
		"focal": {stripes, func(c *Config) { c.Loss.Name = LossFocal },
			"the focal loss is of one each"},
		"balanced sampling": {stripes, func(c *Config) { c.Sampling = SamplingBalanced },
			"class weights (balanced) do it"},
		"best of labels": {bars, func(c *Config) {
			c.Best, c.ValidationFraction = BestValidationMacroF1,
				0.5
		}, "those of small have one each"},
		"best without validation": {stripes, func(c *Config) { c.Best = BestValidationMacroF1 },
			"needs a validation fraction"},
		"weights of no label": {none, func(c *Config) { c.Loss = balanced }, "class 0 has no image"},
		"weights of every label": {all, func(c *Config) { c.Loss = balanced },
			"all images that are trained on are of class 0"},
		"one label": {single, func(c *Config) {}, "at least 2 labels are needed"},
	} {
		config := smallConfig(builder.EngineNative)
		test.change(&config)
		trainer, err := New(smallNetwork(t), test.set, config, nil)
		if err == nil {
			trainer.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	// What the best epoch is told by is not defined without any label.
	config := smallConfig(builder.EngineNative)
	config.Best, config.ValidationFraction = BestValidationMeanAveragePrecision, 0.5
	trainer, err := New(smallNetwork(t), none, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), Callbacks{}); err == nil ||
		!strings.Contains(err.Error(), "not defined on the 20 images held out") {
		t.Errorf("no label held out: %v", err)
	}
}

// Balanced weights are those without a label by those with it.
func TestBalancedWeightsOfSeveralLabels(t *testing.T) {
	set := datasettest.Stripes(t, 50)
	config := smallConfig(builder.EngineNative)
	config.Loss.ClassWeights.Balanced = true
	trainer, err := New(smallNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	counts := set.Stats().Counts
	for k, weight := range trainer.Config().Loss.ClassWeights.Values {
		if want := float64(50-counts[k]) / float64(counts[k]); weight != want || counts[k] == 0 {
			t.Errorf("label %d: weight %v, want %v", k, weight, want)
		}
	}
}

// What frozen layers give is kept with the places of the labels.
func TestFeaturesOfSeveralLabels(t *testing.T) {
	var files [][]byte
	for _, mode := range []string{FeaturesAuto, FeaturesNever} {
		config := smallConfig(builder.EngineNative)
		config.Freeze, config.FineTune.Features = []string{"conv1.*"}, mode
		config.ValidationFraction = 0.25
		trainer, err := New(smallNetwork(t), datasettest.Stripes(t, 40), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		if (trainer.features == nil) != (mode == FeaturesNever) {
			t.Fatalf("features %v with %s", trainer.features, mode)
		}
		if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		files = append(files, encodedWeights(t, trainer))
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("features that are computed once give other weights")
	}
}

func encodedWeights(t *testing.T, trainer *Trainer) []byte {
	t.Helper()
	var all []byte
	for _, tensor := range trainer.Weights() {
		for _, value := range tensor.Data {
			bits := math.Float32bits(value)
			all = append(all, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
		}
	}
	return all
}
