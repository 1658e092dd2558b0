package infer

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/dataset/corrupt"
	"slipway/internal/datasettest"
)

// brightest answers a grey set's classes by the mean of an image's upper and lower
// half: a runtime whose accuracy can be told by hand.
type brightest struct{ seen [][]float32 }

func (b *brightest) Info() Info   { return Info{Runtime: "brightest"} }
func (b *brightest) Close() error { return nil }

func (b *brightest) Run(ctx context.Context, batch Batch) (Logits, error) {
	if err := ctx.Err(); err != nil {
		return Logits{}, err
	}
	b.seen = append(b.seen, slices.Clone(batch.Pixels))
	logits := Logits{N: batch.N, K: 2, Values: make([]float32, 2*batch.N)}
	size := batch.C * batch.H * batch.W
	for i := range batch.N {
		for p, v := range batch.Pixels[i*size:][:size] {
			logits.Values[2*i+2*p/size] += v / float32(size)
		}
	}
	return logits, nil
}

func halves(t *testing.T) *dataset.Set {
	t.Helper()
	images, labels := make([]uint8, 6*784), []int32{0, 1, 0, 1, 0, 1}
	for i, label := range labels {
		half := images[i*784+int(label)*392:][:392]
		for p := range half {
			half[p] = 200
		}
	}
	set, err := dataset.NewSet("halves", images, labels, 1, 28, 28, 2)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestMeasureRobustness(t *testing.T) {
	set := halves(t)
	a, b := &brightest{}, &brightest{}
	var names []string
	measured, err := MeasureRobustness(t.Context(),
		[]Subject{{Runtime: a}, {Runtime: b, Pixels: dataset.UnitPixels()}}, set, RobustnessOptions{
			Corruptions: []string{"rotate", "brightness"}, Seed: 4, Batch: 4,
			Progress: func(name string, done, total int) {
				if names = append(names, name); done != len(names)-1 || total != 11 {
					t.Errorf("%s is %d of %d", name, done, total)
				}
			},
		})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 11 || names[0] != "halves" || names[1] != "halves+rotate:1" ||
		names[10] != "halves+brightness:5" {
		t.Errorf("measured were %v", names)
	}
	for i, m := range measured {
		if m.Info.Runtime != "brightest" || m.Clean.Accuracy != 1 || m.Clean.Images != 6 ||
			m.Mean() != 1 || m.MeanAt(3) != 1 {
			t.Errorf("model %d: %+v", i, m)
		}
		accuracies := m.Accuracies()
		if len(accuracies) != 2 || !slices.Equal(accuracies["rotate"], []float64{1, 1, 1, 1, 1}) {
			t.Errorf("model %d: %v", i, accuracies)
		}
	}
	// The halves differ by 100 levels of mean 0…255 in a, by 100/255 in b.
	for i, want := range []float64{1, 1 / (1 + math.Exp(-100./255))} {
		if got := measured[i].Clean.Mean; math.Abs(got-want) > 1e-6 {
			t.Errorf("model %d is sure by %g, want %g", i, got, want)
		}
	}
	// All models see the same images, those that the corruption makes.
	rotated, err := corrupt.Corruption{Name: "rotate", Strength: 1, Seed: 4}.Apply(set)
	if err != nil {
		t.Fatal(err)
	}
	for p, v := range a.seen[2] {
		if v != float32(rotated.Images[p]) || math.Abs(float64(b.seen[2][p]-v/255)) > 1e-6 {
			t.Fatalf("pixel %d: %g and %g, the set has %d", p, v, b.seen[2][p], rotated.Images[p])
		}
	}
}

func TestMeasureRobustnessRefuses(t *testing.T) {
	set := halves(t)
	one := []Subject{{Runtime: &brightest{}}}
	_, err := MeasureRobustness(t.Context(), one, set,
		RobustnessOptions{Corruptions: []string{"rotat"}})
	if !errors.Is(err, corrupt.ErrUnknown) || !strings.Contains(err.Error(), `"rotate"`) {
		t.Errorf("an unknown corruption: %v", err)
	}
	if _, err := MeasureRobustness(t.Context(), nil, set, RobustnessOptions{}); err == nil {
		t.Error("no model was no error")
	}
	_, err = MeasureRobustness(t.Context(), one, datasettest.Digits(t, 3),
		RobustnessOptions{Corruptions: []string{"scale"}})
	if err == nil || !strings.Contains(err.Error(), "2 classes") {
		t.Errorf("ten classes to a model of two: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := MeasureRobustness(ctx, one, set, RobustnessOptions{}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := MeasureUnseen(ctx, one, []*dataset.Set{set}, RobustnessOptions{}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestMeasureUnseen(t *testing.T) {
	set := halves(t)
	first, err := set.Subset([]int{0})
	if err != nil {
		t.Fatal(err)
	}
	measured, err := MeasureUnseen(t.Context(), []Subject{{Runtime: &brightest{}},
		{Runtime: &brightest{}}}, []*dataset.Set{set, first}, RobustnessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(measured) != 2 || len(measured[1]) != 2 || measured[1][0].Images != 6 ||
		measured[1][1].Images != 1 {
		t.Errorf("%+v", measured)
	}
}

func TestNewConfidence(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, test := range map[string]struct {
		rows             []float32
		mean             float64
		above90, above99 float64
	}{
		"logits": {[]float32{0, 3, 0, 0, 9, 1},
			(1/(1+math.Exp(-3)) + 0.5 + 1/(1+math.Exp(-8))) / 3, 2. / 3, 1. / 3},
		"probabilities": {[]float32{0.25, 0.75, 0.95, 0.05, 1, 0}, 0.9, 2. / 3, 1. / 3},
		"a negative score": {[]float32{-1, 2, 0.5, 0.5, 0.5, 0.5}, (1/(1+math.Exp(-3)) + 1) / 3,
			1. / 3, 0},
		"NaN has none":        {[]float32{nan, 2, 0.5, 0.5, 1, 0}, 0.5, 1. / 3, 1. / 3},
		"infinities share":    {[]float32{inf, inf, inf, 0, -inf, 0}, (0.5 + 1 + 1) / 3, 2. / 3, 2. / 3},
		"large, no overflow":  {[]float32{1e30, 0, 0, 1e30, 5000, 4000}, 1, 1, 1},
		"all answers missing": {[]float32{nan, nan, nan, 0, 0, nan}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewConfidence(&Result{Images: 3, Correct: 2, Unanswered: 1,
				Logits: Logits{N: 3, K: 2, Values: test.rows}})
			if math.Abs(c.Mean-test.mean) > 1e-6 || math.Abs(c.Above90-test.above90) > 1e-9 ||
				math.Abs(c.Above99-test.above99) > 1e-9 {
				t.Errorf("%+v, want mean %g, above 0.9 %g, above 0.99 %g", c, test.mean, test.above90,
					test.above99)
			}
			if c.Images != 3 || c.Unanswered != 1 || math.Abs(c.Accuracy-2./3) > 1e-9 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestMeanAtAStrength(t *testing.T) {
	r := Robustness{Corruptions: []CorruptionResult{
		{Name: "a", Strengths: []Confidence{{Accuracy: 1}, {Accuracy: 0.75}, {Accuracy: 0.5}}},
		{Name: "b", Strengths: []Confidence{{Accuracy: 0.5}, {Accuracy: 0.25}, {Accuracy: 0}}},
	}}
	for i, want := range []float64{0.75, 0.5, 0.25} {
		if got := r.MeanAt(i + 1); got != want {
			t.Errorf("at strength %d: %g, want %g", i+1, got, want)
		}
	}
}
