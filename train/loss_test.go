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
	"slipway/internal/reference"
	"slipway/scripts/golden/goldentest"
)

func TestLossRejects(t *testing.T) {
	for _, test := range []struct {
		loss Loss
		want string
	}{
		{Loss{Name: "hinge"}, `unknown loss "hinge"`},
		{Loss{Smoothing: -0.1}, "label smoothing -0.1 is outside"},
		{Loss{Smoothing: 1.5}, "label smoothing 1.5 is outside"},
		{Loss{Smoothing: math.NaN()}, "label smoothing NaN is outside"},
		{Loss{Gamma: 2}, "γ = 2 is of the focal loss alone"},
		{Loss{Name: LossFocal, Gamma: -1}, "focal loss: γ = -1"},
		{Loss{Name: LossFocal, Gamma: math.Inf(1)}, "focal loss: γ = +Inf"},
		{Loss{ClassWeights: ClassWeights{Values: []float64{1, 2}}},
			"2 class weights, and network small has 3 classes"},
		{Loss{ClassWeights: ClassWeights{Values: []float64{1, 0, 2}}}, "that of class 1 is 0"},
		{Loss{ClassWeights: ClassWeights{Values: []float64{1, 2, math.NaN()}}}, "that of class 2 is NaN"},
		{Loss{ClassWeights: ClassWeights{Balanced: true, Values: []float64{1, 1, 1}}},
			"only one of them"},
	} {
		config := smallConfig(builder.DefaultEngine)
		config.Loss = test.loss
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.loss, err, test.want)
		}
	}
}

// What is the default is not recorded, so that records of before keep their bytes.
func TestThePlainLossIsNotRecorded(t *testing.T) {
	for _, loss := range []Loss{{}, {Name: LossCrossEntropy}} {
		config := smallConfig(builder.DefaultEngine)
		config.Loss = loss
		config, err := config.WithDefaults(smallNetwork(t))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "loss\":{") {
			t.Errorf("%s speaks of a loss", raw)
		}
	}
}

func TestClassWeightsInJSON(t *testing.T) {
	for text, want := range map[string]Loss{
		`{"class_weights":"balanced"}`: {ClassWeights: ClassWeights{Balanced: true}},
		`{"class_weights":[1,0.1,1e-7]}`: {ClassWeights: ClassWeights{Values: []float64{1,
			0.1, 1e-7}}},
		`{"name":"focal","gamma":0.5,"class_weights":[2.5,3]}`: {Name: LossFocal, Gamma: 0.5,
			ClassWeights: ClassWeights{Values: []float64{2.5, 3}}},
		`{"name":"focal","smoothing":0.1,"class_weights":"1,2.5"}`: {Name: LossFocal, Smoothing: 0.1,
			ClassWeights: ClassWeights{Values: []float64{1, 2.5}}},
	} {
		var loss Loss
		if err := json.Unmarshal([]byte(text), &loss); err != nil {
			t.Fatal(err)
		}
		same := loss.ClassWeights.Balanced == want.ClassWeights.Balanced &&
			slices.Equal(loss.ClassWeights.Values, want.ClassWeights.Values)
		if !same || loss.Name != want.Name || loss.Gamma != want.Gamma ||
			loss.Smoothing != want.Smoothing {
			t.Errorf("%s is %+v", text, loss)
		}
		raw, err := json.Marshal(loss)
		if err != nil {
			t.Fatal(err)
		}
		var again Loss
		if err := json.Unmarshal(raw, &again); err != nil || again.String() != loss.String() {
			t.Errorf("%s became %s: %v", text, raw, err)
		}
	}
	for _, text := range []string{`"even"`, `"1,two"`, `{}`, `7`, `["1"]`} {
		var weights ClassWeights
		if err := json.Unmarshal([]byte(text), &weights); err == nil ||
			!strings.Contains(err.Error(), ClassWeightsBalanced) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

// Balanced weights are of the images that are trained on, and recorded as constants.
func TestBalancedClassWeightsAreMeasured(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := smallConfig(builder.DefaultEngine)
	config.ValidationFraction, config.Loss.ClassWeights.Balanced = 0.25, true
	trainer, err := New(smallNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	training, _, err := set.SplitFraction(0.25, config.Seed)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]float64, 3)
	for _, label := range training.Labels {
		counts[label]++
	}
	got := trainer.Checkpoint().Config.Loss.ClassWeights
	for class, count := range counts {
		if want := 45 / (3 * count); got.Balanced || len(got.Values) != 3 || got.Values[class] != want {
			t.Errorf("class %d of %v images: weights %+v, want %v", class, count, got, want)
		}
	}
}

func TestBalancedClassWeightsAgreeWithScikitLearn(t *testing.T) {
	for _, c := range goldentest.Read(t, "testdata/classweights.safetensors").Cases {
		want := c.Floats(t, "weights")
		info := dataset.Info{Name: c.Name, Classes: len(want)}
		weights, err := Loss{ClassWeights: ClassWeights{Balanced: true}}.measured(c.Ints(t, "labels"),
			info, len(want))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(weights.Values))
		for class, value := range weights.Values {
			got[class] = float32(value)
		}
		goldentest.Compare(t, c.Name, got, want, goldentest.Tolerance{})
	}
}

// A class without an image has no balanced weight. One that the network alone has needs none.
func TestBalancedClassWeightsOfAbsentClasses(t *testing.T) {
	two := datasettest.Bars(t, 60)
	for i, label := range two.Labels {
		two.Labels[i] = label / 2 // 0 and 1
	}
	three, err := two.WithClassNames([]string{"top", "bottom", "nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	config := smallConfig(builder.DefaultEngine)
	config.Loss.ClassWeights.Balanced = true
	_, err = New(smallNetwork(t), three, config, nil)
	if err == nil ||
		!strings.Contains(err.Error(), "class 2 (nowhere) has no image that is trained on") {
		t.Errorf("error %v", err)
	}
	fewer, err := dataset.NewSet("two", two.Images, two.Labels, 1, 6, 6, 2)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := New(smallNetwork(t), fewer, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if weights := trainer.Config().Loss.ClassWeights.Values; len(weights) != 3 || weights[2] != 1 {
		t.Errorf("weights %v; the class of the network alone counts 1", weights)
	}
}

// Balanced weights of the binary loss are the other images of a class over its own.
func TestBalancedWeightsOfTheBinaryLoss(t *testing.T) {
	loss := Loss{Name: LossBinary, ClassWeights: ClassWeights{Balanced: true}}
	weights, err := loss.measured([]int32{0, 1, 1, 1}, dataset.Info{Classes: 2}, 3)
	if err != nil || !slices.Equal(weights.Values, []float64{3, 1. / 3, 1}) {
		t.Errorf("weights %v, error %v", weights.Values, err)
	}
}

// An evaluation reports the binary cross-entropy of a network that is trained on it, without
// weights.
func TestEvaluationReportsBinaryCrossEntropy(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := smallConfig(builder.DefaultEngine)
	config.Loss = Loss{Name: LossBinary, Smoothing: 0.2,
		ClassWeights: ClassWeights{Values: []float64{1, 5, 2}}}
	config.Mix = Mix{MixUp: 1}
	trainer := newSmallTrainer(t, config)
	defer trainer.Close()
	got, err := trainer.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	targets := make([]float32, len(got.Logits))
	for n, label := range set.Labels {
		targets[3*n+int(label)] = 1
	}
	want := float64(reference.BinaryLossForward(3, got.Logits, targets, nil))
	if math.Abs(got.Loss-want) > 1e-6*want {
		t.Errorf("loss %v, want %v", got.Loss, want)
	}
}

// Whatever the loss of softmax, an evaluation reports the plain cross-entropy.
func TestEvaluationReportsCrossEntropy(t *testing.T) {
	set := datasettest.Bars(t, 60)
	plain := newSmallTrainer(t, smallConfig(builder.DefaultEngine))
	defer plain.Close()
	want, err := plain.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	eachRecipe(t, func(t *testing.T, change func(*Config)) {
		config := smallConfig(builder.DefaultEngine)
		change(&config)
		if config.Loss.Name == LossBinary {
			t.Skip("its evaluation is TestEvaluationReportsBinaryCrossEntropy's matter")
		}
		trainer := newSmallTrainer(t, config)
		defer trainer.Close()
		got, err := trainer.Evaluate(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		if got.Loss != want.Loss || got.Correct != want.Correct {
			t.Errorf("loss %v, %d right; want %v, %d", got.Loss, got.Correct, want.Loss, want.Correct)
		}
	})
}

// Weights are written as they are read, to the last digit.
func TestClassWeightsAsText(t *testing.T) {
	for _, text := range []string{"balanced", "1,2.5", "0.125,1e-07,33.333333333333336"} {
		if weights, err := ParseClassWeights(text); err != nil || weights.String() != text {
			t.Errorf("%q is written as %q (%v)", text, weights, err)
		}
	}
}

// A penalty on weights alone adds nothing where biases alone are trained.
func TestAPenaltyOnNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := smallConfig(engine)
		config.Epochs, config.Freeze = 1, []string{"*.weight"}
		loss := func() float64 {
			trainer := newSmallTrainer(t, config)
			defer trainer.Close()
			loss := math.NaN()
			if err := trainer.Fit(t.Context(), Callbacks{Step: func(report StepReport) error {
				loss = report.Loss
				return nil
			}}); err != nil {
				t.Fatal(err)
			}
			return loss
		}
		plain := loss()
		config.ParameterPenalty, config.Decay = Penalty{L2: 0.1}, DecayWeights
		if got := loss(); got != plain {
			t.Errorf("the loss is %v, without the penalty %v", got, plain)
		}
	})
}
