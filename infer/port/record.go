package port

import (
	"fmt"
	"strconv"

	"slipway/dataset/feed"
	"slipway/dataset/picture"
	"slipway/onnx"
)

// PixelsOf returns how the record's network wants its pixels.
func PixelsOf(record onnx.TrainingRecord) (feed.Pixels, error) {
	scales, offsets := record.PixelTransform()
	if len(scales) != len(offsets) {
		return feed.Pixels{}, fmt.Errorf("the model's record scales pixels by %d numbers and adds %d; "+
			"there is one of each for every channel", len(scales), len(offsets))
	}
	if len(scales) > 1 {
		return channelPixelsOf(scales, offsets)
	}
	scale, offset := scales[0], offsets[0]
	switch {
	case scale == 1 && offset == 0:
		return feed.Pixels{}, nil
	case scale == 1.0/255 && offset == 0:
		return feed.UnitPixels(), nil
	}
	mean, std := standardOf(scale, offset)
	pixels, err := feed.StandardPixels(mean, std)
	if err != nil {
		return feed.Pixels{}, fmt.Errorf("the model's record scales pixels by %g and adds %g: %w", scale,
			offset, err)
	}
	return pixels, nil
}

// channelPixelsOf is PixelsOf where each channel has a factor and a summand.
func channelPixelsOf(scales, offsets []float64) (feed.Pixels, error) {
	means, deviations := make([]float64, len(scales)), make([]float64, len(scales))
	for channel, scale := range scales {
		means[channel], deviations[channel] = standardOf(scale, offsets[channel])
	}
	pixels, err := feed.ChannelPixels(means, deviations)
	if err != nil {
		return feed.Pixels{}, fmt.Errorf("the model's record scales pixels by %v and adds %v: %w",
			scales, offsets, err)
	}
	return pixels, nil
}

// standardOf returns the mean and the deviation of x·scale + offset = (x/255 − mean)/std.
// They are computed with as float32: no more of their digits count, and so they are told
// as they were given.
func standardOf(scale, offset float64) (mean, std float64) {
	std = 1 / (255 * scale)
	return shortest(-offset * std), shortest(std)
}

// shortest returns the number of the fewest digits that is the same float32.
func shortest(value float64) float64 {
	number, err := strconv.ParseFloat(strconv.FormatFloat(value, 'g', -1, 32), 64)
	if err != nil || float32(number) != float32(value) {
		return value
	}
	return number
}

// PixelsOfModel returns how the model wants its pixels, as its record says; 0…255
// where it has none.
func PixelsOfModel(model *onnx.Model) (feed.Pixels, error) {
	record, _, err := model.TrainingRecord()
	if err != nil {
		return feed.Pixels{}, err
	}
	return PixelsOf(record)
}

// Channels are those of the model's input, 0 where it does not say whether it takes
// grey or coloured images.
func Channels(model *onnx.Model) int {
	inputs := model.Inputs()
	if len(inputs) != 1 || len(inputs[0].Dims) != 4 {
		return 0
	}
	for _, dim := range []int{1, 3} {
		if size := inputs[0].Dims[dim].Size; size == 1 || size == 3 {
			return int(size)
		}
	}
	return 0
}

// SizingOf returns how the record says that pictures come to the model's size, nil where it
// does not.
func SizingOf(record onnx.TrainingRecord) (*picture.Sizing, error) {
	if record.Sizing == "" {
		return nil, nil
	}
	sizing, err := picture.ParseSizing(record.Sizing)
	if err != nil {
		return nil, fmt.Errorf("the model's training record: %w", err)
	}
	return &sizing, nil
}
