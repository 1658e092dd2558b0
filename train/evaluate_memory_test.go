package train

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/networktest"
)

func noise(t *testing.T, n, channels, height, width int) *dataset.Set {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 8))
	images, labels := make([]uint8, n*channels*height*width), make([]int32, n)
	for i := range images {
		images[i] = uint8(random.IntN(256))
	}
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	set, err := dataset.NewSet("noise", images, labels, channels, height, width, 10)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestLogitsDoNotDependOnTheEvaluationBatch, whose size follows the memory that it takes.
func TestLogitsDoNotDependOnTheEvaluationBatch(t *testing.T) {
	network := networktest.Residual(t, builder.Shape{3, 12, 10}, 10)
	set := noise(t, 30, 3, 12, 10)
	trainer, err := New(network, set, smallConfig(builder.EngineNative),
		networktest.Weights(network, 3))
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	whole, err := trainer.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []int{1, 7, 29} {
		parts, err := trainer.evaluate(t.Context(), set, batch)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(parts.Logits, whole.Logits) || parts.Correct != whole.Correct {
			t.Errorf("batches of %d: other logits, %d correct and %d", batch, parts.Correct, whole.Correct)
		}
	}
}

// TestEvaluationBatch: 250 images, or what the memory is enough for.
func TestEvaluationBatch(t *testing.T) {
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		network *builder.Network
		want    int
	}{
		"e1":       {e1, 250},
		"resnet20": {networktest.ResNet20(t, 16), 250},
		// Two maps of 64 MiB at a time, and the image twice.
		"large": {network(t, builder.Shape{1, 1024, 1024},
			builder.Conv2D{Filters: 16, Kernel: builder.Square(1)}, builder.ReLU{},
			builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dense{Units: 10}), 1},
	} {
		if got := evaluationBatch(test.network); got != test.want {
			t.Errorf("%s: batches of %d, want %d", name, got, test.want)
		}
	}
}

func network(t *testing.T, input builder.Shape, layers ...builder.Layer) *builder.Network {
	t.Helper()
	n, err := builder.New("made", input, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestEvaluationHoldsTwoMaps: six convolutions on 3×64×64 hold what is needed at a time, not each
// one's output.
func TestEvaluationHoldsTwoMaps(t *testing.T) {
	var layers []builder.Layer
	for range 6 {
		layers = append(layers, builder.Conv2D{Filters: 32, Kernel: builder.Square(3),
			Padding: builder.Square(1)}, builder.ReLU{})
	}
	network := network(t, builder.Shape{3, 64, 64},
		append(layers, builder.GlobalAvgPool{}, builder.Flatten{}, builder.Dense{Units: 10})...)
	set := noise(t, 250, 3, 64, 64)
	config := smallConfig(builder.EngineNative)
	trainer, err := New(network, set, config, network.InitialWeights(1))
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := trainer.Evaluate(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("allocated were %.0f MB", float64(allocated)/1e6)
	if allocated > 300e6 {
		t.Errorf("%d bytes were allocated, 300 MB are allowed", allocated)
	}
}
