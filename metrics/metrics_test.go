package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"
)

var (
	nan      = float32(math.NaN())
	infinity = float32(math.Inf(1))
)

func TestAnImageWithoutAnAnswerIsWrong(t *testing.T) {
	m, err := New(t.Context(), []float32{2, 1, 0, nan, 0, 5, 1, 2, 0}, []int{0, 1, 1}, 3,
		Options{TopK: 2})
	if err != nil {
		t.Fatal(err)
	}
	if m.Unanswered != 1 || m.Correct != 2 || m.Accuracy != 2./3 || *m.TopK != 2./3 {
		t.Errorf("%+v", m)
	}
	if *m.PerClass[1].Recall != 0.5 || *m.PerClass[1].Precision != 1 {
		t.Errorf("class 1: %+v", m.PerClass[1])
	}
	if m.ROCAUC != nil || m.AveragePrecision != nil || m.ECE != nil || m.LogLoss != nil ||
		m.Brier != nil {
		t.Errorf("a NaN was ranked: %+v", m)
	}
}

// Infinite logits are probabilities of 0 and 1. A certain answer that is wrong has no finite
// logarithm, and no log loss.
func TestInfiniteLogits(t *testing.T) {
	m, err := New(t.Context(), []float32{infinity, 0, -infinity, 3}, []int{0, 0}, 2, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m.LogLoss != nil || *m.Brier != 1 || *m.ECE != 0.5 || m.Accuracy != 0.5 {
		t.Errorf("log loss %v, Brier %v, calibration %v", m.LogLoss, *m.Brier, *m.ECE)
	}
	if raw, err := json.Marshal(m); err != nil || bytes.Contains(raw, []byte("log_loss")) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestJSONHasTheNamesOfScikitLearn(t *testing.T) {
	m, err := New(t.Context(), []float32{3, 1, 2, 2, 1, 3}, []int{0, 1}, 3,
		Options{TopK: 2, ClassNames: []string{"ant", "bee", "wasp"}})
	if err != nil {
		t.Fatal(err)
	}
	m.Data = "own:test"
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	if members["top_2_accuracy"] != 0.5 || members["accuracy"] != 0.5 ||
		members["balanced_accuracy"] != 0.5 {
		t.Errorf("%s", raw)
	}
	// The wasp has no image: no recall, and neither an area nor an average precision.
	wasp := members["per_class"].([]any)[2].(map[string]any)
	want := map[string]any{"name": "wasp", "support": 0., "precision": 0., "f1": 0.}
	if !reflect.DeepEqual(wasp, want) {
		t.Errorf("a class without images is %v, want %v", wasp, want)
	}
	var read Metrics
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&read, m) {
		t.Errorf("read back %+v, want %+v", read, *m)
	}
}

func TestBadArguments(t *testing.T) {
	single := func(scores []float32, label int, options Options) func() error {
		return func() error {
			_, err := New(t.Context(), scores, []int{label}, 2, options)
			return err
		}
	}
	several := func(scores []float32, targets []bool, labels int) func() error {
		return func() error {
			_, err := NewMultiLabel(scores, targets, labels, 0, nil)
			return err
		}
	}
	two, probabilities := make([]float32, 2), Options{Probabilities: true}
	for name, call := range map[string]func() error{
		"too few scores":       single(two[:1], 0, Options{}),
		"label too large":      single(two, 2, Options{}),
		"negative label":       single(two, -1, Options{}),
		"negative k":           single(two, 1, Options{TopK: -1}),
		"no probability":       single([]float32{-1, 2}, 1, probabilities),
		"infinite probability": single([]float32{0, infinity}, 1, probabilities),
		"multi-label shapes":   several(make([]float32, 4), make([]bool, 3), 2),
		"multi-label NaN":      several([]float32{nan}, []bool{true}, 1),
		"no images": func() error {
			_, err := New(t.Context(), nil, nil, 3, Options{})
			return err
		},
	} {
		if err := call(); !errors.Is(err, ErrArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Classes are ranked side by side, and the figures do not depend on how many at a time.
func TestFiguresDoNotDependOnThreads(t *testing.T) {
	c := readGolden(t).SingleLabel[3]
	threads := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(threads)
	var first *Metrics
	for _, n := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(n)
		m, err := New(t.Context(), c.Scores, c.Labels, c.Classes, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = m
		}
		if !reflect.DeepEqual(m, first) {
			t.Errorf("%d threads: other figures than 1", n)
		}
	}
}

func TestAnEndedContextEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(ctx, []float32{1, 2}, []int{1}, 2, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestFiguresAreThoseThatAreDefined(t *testing.T) {
	m := &Metrics{Accuracy: 0.5, ECE: new(float64)}
	if got := m.Figures(); !reflect.DeepEqual(got, []Figure{{"accuracy", 0.5}, {"ece", 0}}) {
		t.Errorf("%v", got)
	}
}

func BenchmarkThousandClasses(b *testing.B) {
	const images, classes = 5000, 1000
	scores, labels := make([]float32, images*classes), make([]int, images)
	for i := range scores {
		scores[i] = float32((i * 7919) % 10007)
	}
	for i := range labels {
		labels[i] = i % classes
	}
	for b.Loop() {
		if _, err := New(b.Context(), scores, labels, classes, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
