package train

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
)

// What is measured is of the images that are trained on alone, to four decimals, and
// stands in the trainer's configuration and its checkpoints as constants.
func TestMeasuredPixels(t *testing.T) {
	set := colours(t, 60)
	config := smallConfig(builder.DefaultEngine)
	config.Pixels, config.ValidationFraction = PixelsMeasured, 0.25
	trainer, err := New(colourNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	training, _, err := set.SplitFraction(0.25, config.Seed)
	if err != nil {
		t.Fatal(err)
	}
	var means, deviations []string
	for channel := range 3 {
		// Two passes over the values themselves.
		var values []float64
		for i := range training.Len() {
			for _, x := range training.Image(i)[channel*36:][:36] {
				values = append(values, float64(x)/255)
			}
		}
		mean, variance := 0.0, 0.0
		for _, v := range values {
			mean += v / float64(len(values))
		}
		for _, v := range values {
			variance += (v - mean) * (v - mean) / float64(len(values))
		}
		round := func(v float64) string { return fmt.Sprint(math.Round(v*1e4) / 1e4) }
		means, deviations = append(means, round(mean)), append(deviations, round(math.Sqrt(variance)))
	}
	want := "mean=" + strings.Join(means, ",") + ",std=" + strings.Join(deviations, ",")
	if got := trainer.Config().Pixels; got != want {
		t.Errorf("measured is %s, want %s", got, want)
	}
	if got := trainer.Checkpoint().Config.Pixels; got != want {
		t.Errorf("the checkpoint has %s", got)
	}
	// Given as constants they train the same bits.
	config.Pixels = want
	same, err := New(colourNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	for _, each := range []*Trainer{trainer, same} {
		if err := each.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
	}
	equalWeights(t, trainer.Weights(), same.Weights())
}

// A grey set's text is MEAN,STD, as ever.
func TestMeasuredPixelsOfOneChannel(t *testing.T) {
	set := datasettest.Bars(t, 60)
	text, err := measurePixels(set, set.Info())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(text, ",") != 1 || strings.Contains(text, "=") {
		t.Error(text)
	}
}

// A run goes on with the constants of its checkpoint, or with what is measured again and
// is the same: bit for bit.
func TestMeasuredPixelsAreResumed(t *testing.T) {
	set := colours(t, 60)
	config := smallConfig(builder.DefaultEngine)
	config.Pixels, config.Epochs = PixelsMeasured, 4
	fit := trained(t)
	whole := fit(New(colourNetwork(t), set, config, nil))
	config.Epochs = 2
	checkpoint := fit(New(colourNetwork(t), set, config, nil)).Checkpoint()
	config.Epochs = 4
	constants := checkpoint.Config
	constants.Epochs = 4
	for _, c := range []Config{config, constants} {
		equalWeights(t, fit(Resume(checkpoint, set, c)).Weights(), whole.Weights())
	}

	config.Pixels = PixelsUnit
	if _, err := Resume(checkpoint, set, config); err == nil ||
		!strings.Contains(err.Error(), "pixels was") {
		t.Errorf("other constants: %v", err)
	}
	unit := *checkpoint
	unit.Config.Pixels, config.Pixels = PixelsUnit, PixelsMeasured
	if _, err := Resume(&unit, set, config); err == nil ||
		!strings.Contains(err.Error(), `pixels was "0-1" and is now "mean=`) {
		t.Errorf("measured, of a run that was not: %v", err)
	}
}

// Nothing can be divided by the deviation of a channel that is the same everywhere.
func TestMeasuredPixelsOfAConstantChannel(t *testing.T) {
	set := colours(t, 60)
	for i := range set.Len() {
		blue := set.Image(i)[72:]
		for p := range blue {
			blue[p] = 51
		}
	}
	config := smallConfig(builder.DefaultEngine)
	config.Pixels = PixelsMeasured
	_, err := New(colourNetwork(t), set, config, nil)
	if err == nil ||
		!strings.Contains(err.Error(), "channel 3 of 3 is 0.2000 in all pixels of all images") ||
		!strings.Contains(err.Error(), "give -pixels constants") {
		t.Error(err)
	}
}

// colours is a set of n images 3×6×6 whose channels differ in mean and deviation.
func colours(t *testing.T, n int) *dataset.Set {
	t.Helper()
	grey := datasettest.Bars(t, n)
	images := make([]uint8, 0, 3*len(grey.Images))
	for i := range n {
		for channel := range 3 {
			for _, x := range grey.Image(i) {
				images = append(images, x/uint8(channel+1)+uint8(20*channel))
			}
		}
	}
	set, err := dataset.NewSet("colours", images, slices.Clone(grey.Labels), 3, 6, 6, 3)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func colourNetwork(t *testing.T) *builder.Network {
	t.Helper()
	network, err := builder.New("colour", builder.Shape{3, 6, 6},
		builder.Conv2D{Filters: 3, Kernel: builder.Square(3)}, builder.ReLU{}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	return network
}

func equalWeights(t *testing.T, got, want builder.Weights) {
	t.Helper()
	for i, tensor := range want {
		for j, v := range tensor.Data {
			if math.Float32bits(got[i].Data[j]) != math.Float32bits(v) {
				t.Fatalf("weight %d of tensor %d is %v, want %v", j, i, got[i].Data[j], v)
			}
		}
	}
}

// Whatever is measured, its text is one that is read.
func FuzzMeasuredPixels(f *testing.F) {
	f.Add([]byte{0, 255, 7, 9, 1, 2})
	f.Fuzz(func(t *testing.T, images []byte) {
		n := len(images) / 3
		if n == 0 {
			return
		}
		set, err := dataset.NewSet("fuzzed", images[:3*n], make([]int32, n), 3, 1, 1, 1)
		if err != nil {
			return
		}
		text, err := measurePixels(set, set.Info())
		if err != nil {
			return
		}
		if _, _, _, err := parsePixels(text); err != nil {
			t.Fatal(err)
		}
	})
}
