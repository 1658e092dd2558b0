package export

import (
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// The image's range is that of all bytes in all channels, whatever images it is measured
// on: ImageNet's least value is the first channel's, its largest the last one's.
func TestTheImagesRangeIsOfAllChannels(t *testing.T) {
	network, err := builder.New("colour", builder.Shape{3, 6, 6},
		builder.Conv2D{Filters: 2, Kernel: builder.Square(3)}, builder.ReLU{}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	var record onnx.TrainingRecord
	if err := setPixels(&record, train.Config{Pixels: train.PixelsImageNet}); err != nil {
		t.Fatal(err)
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(1), record, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set := func(channels int) *dataset.Set {
		set, err := dataset.NewSet("dark", make([]uint8, 4*channels*36), make([]int32, 4), channels, 6, 6,
			3)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	from := source{model: model, record: record}
	ranges, _, err := calibrate(t.Context(), from, VariantOptions{Images: set(3), Calibration: 4})
	if err != nil {
		t.Fatal(err)
	}
	least, largest := float32(0-float32(0.485))/float32(0.229), float32(1-float32(0.406))/float32(
		0.225)
	if r := ranges[model.Inputs()[0].Name]; r.Min != least || r.Max != largest {
		t.Errorf("the range is %v, want %v…%v", r, least, largest)
	}
	if _, _, err := calibrate(t.Context(), from,
		VariantOptions{Images: set(1), Calibration: 4}); err == nil ||
		!strings.Contains(err.Error(), "which is of 3 channels; the images have 1") {
		t.Errorf("grey images: %v", err)
	}
}

// What is to be measured cannot be recorded: there is nothing to measure it on.
func TestMeasuredPixelsAreNoRecord(t *testing.T) {
	var record onnx.TrainingRecord
	if err := setPixels(&record, train.Config{Pixels: train.PixelsMeasured}); err == nil ||
		!strings.Contains(err.Error(), "give the constants") {
		t.Error(err)
	}
}
